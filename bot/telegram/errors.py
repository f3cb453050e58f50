"""What Telegram's refusals mean for us. No text of ours ever holds the token. Pure."""

from datetime import timedelta

import httpx
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Forbidden,
    InvalidToken,
    RetryAfter,
    TelegramError,
)
from telegram.error import NetworkError as Unreachable

from bot.frontend import (
    ChatGoneError,
    MessageGoneError,
    NetworkError,
    SlowDownError,
    UncertainError,
)

MESSAGE_GONE = (
    "message to edit not found",
    "message can't be edited",
    "message_id_invalid",
    "message identifier is not specified",
)
CHAT_GONE = (
    "chat not found",
    "user not found",
    "user is deactivated",
    "peer_id_invalid",
    "chat_write_forbidden",
    "not enough rights to send",
    "have no rights to send",
)
FOR_NOW = ("temporarily unavailable",)
TOO_LARGE = "too large"
UNCHANGED = "message is not modified"
NO_TEXT = "there is no text in the message to edit"
# Nothing had been sent yet when these came up: trying again makes no second message.
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)


class TokenRejectedError(NetworkError):
    """Telegram does not know this bot."""

    def __init__(self) -> None:
        super().__init__(
            "Telegram rejects the bot's token: get a valid one from @BotFather and set "
            "TELEGRAM_BOT_TOKEN (and check TELEGRAM_API_URL, if you changed it)",
            permanent=True,
        )


def explain(error: TelegramError, *, sending: bool = False) -> NetworkError:
    """``sending`` is true where the same call once more could make a second message."""
    match error:
        case RetryAfter():
            return SlowDownError("Telegram asks for a pause", after_s=seconds(error))
        case Forbidden():
            return ChatGoneError("Telegram: the person blocked the bot or left the chat")
        case InvalidToken():
            return TokenRejectedError()
        case ChatMigrated():
            return MessageGoneError("Telegram: the group became a supergroup")
        case BadRequest():
            return _refused(error)
        case Unreachable() if TOO_LARGE in error.message.lower():
            return NetworkError("Telegram: the file is too large", permanent=True)
        case Unreachable() if sending and isinstance(error.__cause__, httpx.HTTPError):
            if not isinstance(error.__cause__, NOT_SENT):
                return UncertainError(f"Telegram: no answer ({type(error.__cause__).__name__})")
    return NetworkError(f"Telegram: {type(error.__cause__ or error).__name__}")


def seconds(error: RetryAfter) -> float:
    """An int or a timedelta, as the library is set."""
    after = error.retry_after
    return after.total_seconds() if isinstance(after, timedelta) else float(after)


def says(error: TelegramError, *sentences: str) -> bool:
    said = error.message.lower()
    return any(one in said for one in sentences)


def _refused(error: BadRequest) -> NetworkError:
    if says(error, *MESSAGE_GONE):
        return MessageGoneError("Telegram: the message is gone")
    if says(error, *CHAT_GONE):
        return ChatGoneError("Telegram: the chat is gone")
    # A description of Telegram's own, about the form of our call: it quotes no message.
    return NetworkError(f"Telegram: {error.message}", permanent=not says(error, *FOR_NOW))
