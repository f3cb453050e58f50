"""Fetch updates and keep them: each lies in the database before Telegram hears that we have it.

Telegram forgets an update as soon as it is asked for the ones after it, so a bot that is killed
between that question and its work would lose somebody's message.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from telegram import Bot, Update
from telegram.constants import UpdateType
from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError

from bot.telegram.errors import TokenRejectedError, seconds
from bot.telegram.updates import PLATFORM
from storage import inbox_store
from storage.database import Database

log = logging.getLogger(__name__)

WANTED = (UpdateType.MESSAGE, UpdateType.CALLBACK_QUERY, UpdateType.MY_CHAT_MEMBER)
WAIT = timedelta(seconds=25)  # Telegram holds the answer back for so long while there is no news
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Kept:
    """An update as it lies in the database."""

    update_id: str
    body: str


class Polling:
    """``queue`` gets each kept update once in this process, those of a killed predecessor first."""

    def __init__(self, bot: Bot, database: Database, queue: asyncio.Queue[object]) -> None:
        self._bot = bot
        self._database = database
        self._queue = queue
        self._queued: set[str] = set()

    async def run(self) -> None:
        """For ever. The first question has no offset: after a long silence Telegram begins to
        count anew, and what it repeats is known by its id.
        """
        await self._keep(())
        offset: int | None = None
        while True:
            updates = await patiently(
                lambda after=offset: self._bot.get_updates(
                    offset=after, timeout=WAIT, allowed_updates=WANTED
                )
            )
            await self._keep(updates)
            if updates:
                offset = updates[-1].update_id + 1

    async def done(self, kept: Kept) -> None:
        async with self._database.write() as tx:
            await inbox_store.done(tx, PLATFORM, kept.update_id)
        self._queued.discard(kept.update_id)

    async def _keep(self, updates: tuple[Update, ...]) -> None:
        items = [(str(one.update_id), one.to_json()) for one in updates]
        async with self._database.write() as tx:
            await inbox_store.keep(tx, PLATFORM, items, now=time.time())
            waiting = await inbox_store.pending(tx, PLATFORM)
            # Chosen before the next `done` can write: an update is queued once.
            new = [Kept(*one) for one in waiting if one[0] not in self._queued]
            self._queued.update(kept.update_id for kept in new)
        for kept in new:
            self._queue.put_nowait(kept)


async def patiently(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Until Telegram answers, with a growing pause. Only a wrong token is hopeless."""
    pause = FIRST_PAUSE_S
    while True:
        try:
            return await call()
        except InvalidToken:
            raise TokenRejectedError from None
        except RetryAfter as error:
            pause = max(pause, seconds(error))
        except Conflict:
            log.warning("another program reads this bot's messages: stop it, or change its token")
        except TelegramError as error:
            log.warning("Telegram does not answer (%s)", type(error.__cause__ or error).__name__)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_S)
