"""What Discord's refusals mean for us. No text of ours ever holds a token or a message. Pure."""

import aiohttp
from discord.errors import DiscordServerError, HTTPException, LoginFailure, RateLimited

from bot.frontend import (
    ChatGoneError,
    MessageGoneError,
    NetworkError,
    SlowDownError,
    TooLargeError,
)

UNKNOWN_CHANNEL = 10003
UNKNOWN_MESSAGE = 10008
UNKNOWN_WEBHOOK = 10015
UNKNOWN_INTERACTION = 10062
OLD_EDITS = 30046  # a message older than an hour takes few edits
TOO_LARGE = 40005
TOO_MANY_ANSWERS = 40094
ALREADY_ANSWERED = 40060
NO_ACCESS = 50001
DM_CLOSED = 50007
NO_PERMISSION = 50013
BAD_TOKEN = 50027
THREAD_CLOSED = 50083
NO_SHARED_SERVER = 50278

CHAT_GONE = (DM_CLOSED, NO_SHARED_SERVER, NO_ACCESS, NO_PERMISSION, UNKNOWN_CHANNEL, THREAD_CLOSED)
ANSWER_OVER = (UNKNOWN_WEBHOOK, UNKNOWN_INTERACTION, TOO_MANY_ANSWERS, BAD_TOKEN, UNKNOWN_MESSAGE)
FIRST_PAUSE_S = 1.0
# Whatever the library lets through; the rest are our own faults.
FAILURES = (HTTPException, RateLimited, aiohttp.ClientError, OSError, TimeoutError)


class TokenRejectedError(NetworkError):
    """Discord does not know this bot."""

    def __init__(self) -> None:
        super().__init__(
            "Discord rejects the bot's token: reset it in the Developer Portal under Bot and set "
            "DISCORD_BOT_TOKEN (and check DISCORD_API_URL, if you changed it)",
            permanent=True,
        )


def explain(error: Exception) -> NetworkError:
    match error:
        case RateLimited():
            return SlowDownError("Discord asks for a pause", after_s=error.retry_after)
        case LoginFailure():
            return TokenRejectedError()
        case DiscordServerError():
            return NetworkError(f"Discord: {error.status}")
        case HTTPException():
            return _refused(error)
        case _:
            return NetworkError(f"Discord: {type(error).__name__}")


def _refused(error: HTTPException) -> NetworkError:
    what = f"Discord: {error.status}, code {error.code}"
    match error.status, error.code:
        case 429, _:
            return SlowDownError(what, after_s=pause_of(error))
        case (413, _) | (_, 40005):
            return TooLargeError(what)
        case 401, 0:
            return TokenRejectedError()
        case _, code if code == UNKNOWN_MESSAGE:
            return MessageGoneError(what)
        case _, code if code in CHAT_GONE:
            return ChatGoneError(what)
    return NetworkError(what, permanent=True)


def pause_of(error: HTTPException) -> float:
    """Seconds, where a proxy before Discord refused: the library waits out Discord's own."""
    headers = getattr(error.response, "headers", {})
    try:
        return float(headers.get("Retry-After", FIRST_PAUSE_S))
    except ValueError:
        return FIRST_PAUSE_S
