"""Send and edit through a network that is slow, forgetful or asks for patience."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from bot import counts
from bot.frontend import (
    Frontend,
    Message,
    MessageGoneError,
    NetworkError,
    SlowDownError,
    UncertainError,
)

log = logging.getLogger(__name__)

TRIES = 4
PAUSE_S = 1.0

Answer = TypeVar("Answer")


async def edit_or_send(
    frontend: Frontend, chat: str, ref: str, message: Message, key: str, *, tried: bool = False
) -> str:
    """Edit the message if there is one, send it otherwise; the name that it has afterwards.
    ``tried``: a send whose end nobody knows may have brought it, with other words.
    """
    if ref:
        try:
            await _patiently(frontend, "edit", lambda: frontend.edit(chat, ref, message))
        except MessageGoneError:
            log.info("a message is gone; sending it anew")
        else:
            return ref
    sent = await send(frontend, chat, message, key)
    if tried and sent:
        # A network that knows the key gives back that older message, as it stands.
        with suppress(MessageGoneError):
            await _patiently(frontend, "edit", lambda: frontend.edit(chat, sent, message))
    return sent


async def send(frontend: Frontend, chat: str, message: Message, key: str) -> str:
    """Send once. Empty when it may have arrived, but nobody knows under which name."""
    try:
        return await _patiently(frontend, "send", lambda: frontend.send(chat, message, key=key))
    except UncertainError:
        log.warning("a message may or may not have arrived")
        return ""


async def _patiently(
    frontend: Frontend, name: str, call: Callable[[], Awaitable[Answer]]
) -> Answer:
    """Again after a pause, where the network said for sure that it did not do it."""
    for left in reversed(range(TRIES)):
        try:
            answer = await call()
        except SlowDownError as error:
            counts.called(frontend.platform, name, error)
            if not left:
                raise
            await asyncio.sleep(error.after_s)
        except NetworkError as error:
            counts.called(frontend.platform, name, error)
            if error.permanent or isinstance(error, UncertainError) or not left:
                raise
            await asyncio.sleep(PAUSE_S)
        else:
            counts.called(frontend.platform, name)
            return answer
    raise AssertionError
