"""The chat networks that the settings name, and the secret that the bot signs with."""

from typing import TYPE_CHECKING

from bot.frontend import Frontend
from bot.links import Links, secret_key
from storage import bases
from storage.database import Database
from storage.settings import Settings

if TYPE_CHECKING:
    from bot.telegram.webhook import Webhook  # brings the network's library


def networks(
    settings: Settings, database: Database, hook: "Webhook | None" = None
) -> list[Frontend]:
    """The chat networks that have a token. A new one is one more `if` here."""
    found: list[Frontend] = []
    if settings.telegram_bot_token is not None:
        from bot.frontends.telegram import Telegram

        token = settings.telegram_bot_token.get_secret_value()
        telegram = Telegram(
            token,
            database=database,
            api_url=settings.telegram_api_url,
            local_server=settings.telegram_local,
            admins=settings.admin_ids,
            webhook=hook,
        )
        found.append(telegram)
    if settings.discord_bot_token is not None:
        from bot.frontends.discord import Discord

        token = settings.discord_bot_token.get_secret_value()
        known = tuple(bases.load(settings.data_dir, settings.bases_file).values())
        api_url = settings.discord_api_url
        gallery = settings.discord_gallery_channel
        found.append(
            Discord(token, api_url=api_url, bases=known, database=database, gallery=gallery)
        )
    return found


def webhook_of(settings: Settings) -> "Webhook | None":
    """Where Telegram brings updates, if it is to; else they are fetched."""
    if settings.telegram_bot_token is None or not settings.telegram_webhook:
        return None
    from bot.telegram import webhook

    token = settings.telegram_bot_token.get_secret_value()
    secret = webhook.secret_of(secret_of(settings), token)
    return webhook.Webhook(settings.public_url, secret)


def secret_of(settings: Settings) -> str:
    given = settings.secret_key
    return secret_key(settings.data_dir, given.get_secret_value() if given else None)


def links_of(settings: Settings) -> Links:
    return Links(secret_of(settings), settings.link_hours)
