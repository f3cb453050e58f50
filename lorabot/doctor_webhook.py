"""How Telegram's updates reach the bot, as `lorabot doctor` sees it: brought, or fetched."""

import importlib.util
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lorabot.finding import Finding, Health
from storage.settings import Settings

if TYPE_CHECKING:
    from telegram import WebhookInfo  # its library is not everywhere

WHAT = "webhook"
LATELY_S = 3600.0  # a visit that failed longer ago is history
NOT_FOUND = " 404 "
ANOTHER = "another program uses this token: stop it, or get a new one from @BotFather"


async def webhook(settings: Settings) -> Finding:
    """What is set at Telegram, beside what the settings want."""
    if settings.telegram_bot_token is None or importlib.util.find_spec("telegram") is None:
        return Finding(WHAT, Health.OK, "no Telegram")
    from telegram import Bot
    from telegram.error import TelegramError

    token = settings.telegram_bot_token.get_secret_value()
    try:
        async with Bot(token, base_url=f"{settings.telegram_api_url}/bot") as client:
            info = await client.get_webhook_info()
    except TelegramError as error:
        return Finding(WHAT, Health.FAIL, type(error).__name__, "see the line of telegram")
    if settings.telegram_webhook:
        return _brought(info, address(settings))
    return _fetched(info, address(settings))


def address(settings: Settings) -> str:
    """Where the bot wants to be visited; empty without a public address."""
    from bot.telegram.webhook import PATH

    return settings.public_url + PATH if settings.public_url else ""


def _brought(info: "WebhookInfo", ours: str) -> Finding:
    waits = f"{info.pending_update_count} waiting"
    if not info.url:
        return Finding(WHAT, Health.WARN, f"not set; {waits}", "start the bot: it sets it")
    if info.url != ours:
        return Finding(WHAT, Health.FAIL, f"set to {_host(info.url)}, not here; {waits}", ANOTHER)
    if not info.pending_update_count or not _failed_lately(info):
        # The secret is not told back, but the bot sets no address without one.
        return Finding(WHAT, Health.OK, f"set with its secret to {_host(ours)}; {waits}")
    why = info.last_error_message or "no reason given"
    fix = "PUBLIC_URL has to lead to this bot over HTTPS, /hook/telegram with it"
    if NOT_FOUND in f" {why} ":
        fix = "restart the bot: it sets the secret anew; and PUBLIC_URL has to lead to it"
    return Finding(WHAT, Health.FAIL, f"Telegram cannot bring updates ({why}); {waits}", fix)


def _fetched(info: "WebhookInfo", ours: str) -> Finding:
    waits = f"{info.pending_update_count} waiting"
    if not info.url:
        return Finding(WHAT, Health.OK, f"none: updates are fetched; {waits}")
    if info.url == ours:
        fix = "start the bot: it takes it away; or set TELEGRAM_WEBHOOK=1"
        return Finding(WHAT, Health.WARN, f"still set, from before; {waits}", fix)
    said = f"set to {_host(info.url)}: nothing can be fetched; {waits}"
    return Finding(WHAT, Health.FAIL, said, ANOTHER)


def _host(url: str) -> str:
    """No more of it: the way behind may hold a secret."""
    return urlsplit(url).hostname or "somewhere"


def _failed_lately(info: "WebhookInfo") -> bool:
    failed = info.last_error_date
    return failed is not None and time.time() - failed.timestamp() < LATELY_S
