"""Each refusal of Telegram, and what it means for us."""

from datetime import timedelta

import pytest
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
    TimedOut,
)

from bot import frontend
from bot.telegram.errors import (
    LostAnswerError,
    NotSentError,
    TokenRejectedError,
    explain,
    seconds,
)

TOKEN = "123456:AAsecret"


def caused(error: TelegramError, cause: Exception) -> TelegramError:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind", "permanent"),
    [
        (Forbidden("Forbidden: bot was blocked by the user"), frontend.ChatGoneError, True),
        (BadRequest("Bad Request: chat not found"), frontend.ChatGoneError, True),
        (BadRequest("Bad Request: PEER_ID_INVALID"), frontend.ChatGoneError, True),
        (
            BadRequest("Bad Request: not enough rights to send text messages to the chat"),
            frontend.ChatGoneError,
            True,
        ),
        (BadRequest("Bad Request: message to edit not found"), frontend.MessageGoneError, True),
        (BadRequest("Bad Request: message can't be edited"), frontend.MessageGoneError, True),
        (ChatMigrated(-100), frontend.MessageGoneError, True),
        (BadRequest("Bad Request: file is too big"), frontend.TooLargeError, True),
        (BadRequest("Bad Request: BUTTON_DATA_INVALID"), frontend.NetworkError, True),
        (
            BadRequest("Bad Request: wrong file_id or the file is temporarily unavailable"),
            frontend.NetworkError,
            False,
        ),
        (NetworkError("Request Entity Too Large"), frontend.TooLargeError, True),
        (NetworkError("Bad Gateway"), frontend.NetworkError, False),
        (TimedOut(), frontend.NetworkError, False),
        (Conflict("Conflict: terminated by other"), frontend.NetworkError, False),
        (InvalidToken("Unauthorized"), TokenRejectedError, True),
    ],
)
def test_each_refusal_has_a_meaning(
    error: TelegramError,
    kind: type[frontend.NetworkError],
    permanent: bool,
) -> None:
    meaning = explain(error)
    assert type(meaning) is kind
    assert meaning.permanent is permanent


def test_a_flood_says_how_long_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "true")
    meaning = explain(RetryAfter(7))
    assert isinstance(meaning, frontend.SlowDownError)
    assert meaning.after_s == 7.0
    assert seconds(RetryAfter(timedelta(milliseconds=1500))) == 1.5


def test_a_send_without_an_answer_may_have_arrived() -> None:
    error = LostAnswerError("SocketTimeoutError")
    assert isinstance(explain(error, sending=True), frontend.UncertainError)
    assert type(explain(error)) is frontend.NetworkError
    assert "SocketTimeoutError" in str(explain(error))


def test_a_send_that_never_left_may_be_tried_again() -> None:
    meaning = explain(NotSentError("ClientConnectorError"), sending=True)
    assert type(meaning) is frontend.NetworkError
    assert not meaning.permanent
    assert "ClientConnectorError" in str(meaning)


@pytest.mark.parametrize(
    "error",
    [
        InvalidToken(f"The token `{TOKEN}` was rejected by the server."),
        NetworkError(f"Bad Gateway (502). Parsing the server response b'/bot{TOKEN}/x' failed"),
        BadRequest(f"Bad Request (400). Parsing the server response b'/bot{TOKEN}/x' failed"),
        caused(NetworkError(f"unknown: {TOKEN}"), ValueError(f"https://x/bot{TOKEN}/y")),
        BadRequest(f"Bad Request: inline keyboard button URL 'http://x/{TOKEN}' is invalid"),
        BadRequest(f'Bad Request: can\'t parse entities: Unsupported start tag "{TOKEN}"'),
    ],
)
def test_no_error_of_ours_repeats_a_secret(error: TelegramError) -> None:
    assert TOKEN not in str(explain(error, sending=True))
    assert TOKEN not in str(explain(error))


def test_a_wrong_token_is_explained_with_what_to_do() -> None:
    assert "@BotFather" in str(TokenRejectedError())
