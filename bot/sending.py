"""Send and edit through a network that is slow, forgetful or asks for patience."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
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


async def edit_or_send(frontend: Frontend, chat: str, ref: str, message: Message, key: str) -> str:
    """Edit the message if there is one, send it otherwise; the name that it has afterwards."""
    if ref:
        try:
            await _patiently(frontend, "edit", lambda: frontend.edit(chat, ref, message))
        except MessageGoneError:
            log.info("a message is gone; sending it anew")
        else:
            return ref
    return await send(frontend, chat, message, key)


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
