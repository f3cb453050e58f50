"""The chat networks as `lorabot doctor` sees them: is the token one that they take?"""

import importlib.util

from lorabot.finding import Finding, Health
from storage.settings import Settings

PROBE_S = 5.0


async def telegram(settings: Settings) -> Finding:
    if settings.telegram_bot_token is None:
        return Finding("telegram", Health.OK, "off (no TELEGRAM_BOT_TOKEN)")
    if importlib.util.find_spec("telegram") is None:
        fix = "install lorabot[telegram]"
        return Finding("telegram", Health.FAIL, "python-telegram-bot is not installed", fix)
    from telegram import Bot
    from telegram.error import InvalidToken, TelegramError

    token = settings.telegram_bot_token.get_secret_value()
    try:
        async with Bot(token, base_url=f"{settings.telegram_api_url}/bot") as client:
            return Finding("telegram", Health.OK, f"@{client.username}")
    except InvalidToken:
        fix = "get a new token from @BotFather, set TELEGRAM_BOT_TOKEN"
        return Finding("telegram", Health.FAIL, "the token is rejected", fix)
    except TelegramError as error:
        fix = "check the network and TELEGRAM_API_URL"
        return Finding("telegram", Health.FAIL, type(error).__name__, fix)


async def discord(settings: Settings) -> Finding:
    """Plain HTTP: a login through the library would also take the bot's one connection."""
    if settings.discord_bot_token is None:
        return Finding("discord", Health.OK, "off (no DISCORD_BOT_TOKEN)")
    if importlib.util.find_spec("discord") is None:
        fix = "install lorabot[discord]"
        return Finding("discord", Health.FAIL, "discord.py is not installed", fix)
    import httpx

    from bot.discord.gateway import base_of

    secret = {"Authorization": f"Bot {settings.discord_bot_token.get_secret_value()}"}
    address = f"{base_of(settings.discord_api_url)}/applications/@me"
    try:
        async with httpx.AsyncClient(timeout=PROBE_S) as client:
            answer = await client.get(address, headers=secret)
            said = answer.json() if answer.is_success else {}
    except (httpx.HTTPError, ValueError) as error:
        fix = "check the network and DISCORD_API_URL"
        return Finding("discord", Health.FAIL, type(error).__name__, fix)
    if not answer.is_success:
        rejected = answer.status_code == httpx.codes.UNAUTHORIZED
        what = "the token is rejected" if rejected else f"answers {answer.status_code}"
        fix = "Developer Portal > Bot > Reset Token; DISCORD_BOT_TOKEN" if rejected else "later"
        return Finding("discord", Health.FAIL, what, fix)
    if said.get("interactions_endpoint_url"):
        fix = "Developer Portal > General Information: leave Interactions Endpoint URL empty"
        return Finding("discord", Health.FAIL, "presses and commands go elsewhere", fix)
    return Finding("discord", Health.OK, f"{said.get('name', '?')}, no privileged intents")


async def access(settings: Settings) -> Finding:
    if settings.telegram_bot_token is None and settings.discord_bot_token is None:
        return Finding("access", Health.OK, "the local page and the terminal")
    if settings.access == "open" and not settings.max_jobs_per_day:
        fix = "set ACCESS=invite, or MAX_JOBS_PER_DAY; see docs/admin.md"
        said = "whoever finds the bot may train, without limits"
        return Finding("access", Health.WARN, said, fix)
    return Finding("access", Health.OK, settings.access)


async def public_address(settings: Settings) -> Finding:
    if settings.public_url:
        return Finding("public url", Health.OK, settings.public_url)
    if settings.telegram_bot_token is None and settings.discord_bot_token is None:
        return Finding("public url", Health.OK, "not needed for the local web chat")
    fix = "set PUBLIC_URL: files too large for a chat (Telegram 50, Discord 10 MB) become links"
    return Finding("public url", Health.WARN, "not set", fix)
