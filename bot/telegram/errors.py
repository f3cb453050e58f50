"""What Telegram's refusals mean for us. No text of ours ever holds the token or a message. Pure."""

import re
from datetime import timedelta

from telegram.error import (
    BadRequest,
    ChatMigrated,
    Forbidden,
    InvalidToken,
    RetryAfter,
    TelegramError,
)
from telegram.error import NetworkError as CallError

from bot.frontend import (
    ChatGoneError,
    MessageGoneError,
    NetworkError,
    SlowDownError,
    TooLargeError,
    UncertainError,
)

UNCHANGED = "message is not modified"
NO_TEXT = "there is no text in the message to edit"
WRONG_FILE = ("wrong file identifier", "wrong remote file id", "file_id")
MESSAGE_GONE = ("message to edit not found", "message can't be edited", "message_id_invalid")
CHAT_GONE = (
    "chat not found",
    "user not found",
    "user is deactivated",
    "peer_id_invalid",
    "chat_write_forbidden",
    "rights to send",
)
TOO_LARGE = ("too large", "too big")  # the first is the web server's own, in front of the API
FOR_NOW = "temporarily unavailable"
QUOTED = re.compile(r"[:\"]| '|\. ")  # from here on a description may repeat what we sent


class NotSentError(CallError):
    """Nothing of a call had left yet: trying again makes no second message."""


class LostAnswerError(CallError):
    """A call went out, or a part of it, and what came of it is not known."""


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
        case BadRequest() | ChatMigrated():
            return _refused(error)
        case _:
            return _failed(error, sending=sending)


def seconds(error: RetryAfter) -> float:
    """The library says an int or a timedelta, as it is set."""
    after = error.retry_after
    return after.total_seconds() if isinstance(after, timedelta) else float(after)


def says(error: TelegramError, *sentences: str) -> bool:
    said = error.message.lower()
    return any(one in said for one in sentences)


def _refused(error: TelegramError) -> NetworkError:
    # A group that became another one has left its messages behind.
    if isinstance(error, ChatMigrated) or says(error, *MESSAGE_GONE):
        return MessageGoneError("Telegram: the message is gone")
    if says(error, *CHAT_GONE):
        return ChatGoneError("Telegram: the chat is gone")
    if says(error, *TOO_LARGE):
        return TooLargeError("Telegram: the file is too large")
    description = QUOTED.split(error.message, maxsplit=1)[0]
    return NetworkError(f"Telegram: {description}", permanent=not says(error, FOR_NOW))


def _failed(error: TelegramError, *, sending: bool) -> NetworkError:
    """No answer, or one that is not Telegram's."""
    if says(error, *TOO_LARGE):
        return TooLargeError("Telegram: the file is too large")
    what = f"Telegram: {name(error)}"
    if sending and isinstance(error, LostAnswerError):
        return UncertainError(what)
    return NetworkError(what)


def name(error: TelegramError) -> str:
    """Fit for a log: words of others may hold the token."""
    if isinstance(error, NotSentError | LostAnswerError):
        return error.message
    return type(error.__cause__ or error).__name__
