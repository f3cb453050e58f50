"""Fetch updates and keep them: each lies in the database before Telegram hears that we have it.

Telegram forgets an update as soon as it is asked for the ones after it, so a bot that is killed
between that question and its work would lose somebody's message.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

from telegram.constants import UpdateType
from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError
from telegram.request import BaseRequest

from bot.telegram.errors import TokenRejectedError, seconds
from bot.telegram.updates import PLATFORM
from storage import inbox_store
from storage.database import Database

log = logging.getLogger(__name__)

WANTED = (UpdateType.MESSAGE, UpdateType.CALLBACK_QUERY, UpdateType.MY_CHAT_MEMBER)
WAIT_S = 25  # Telegram holds the answer back for so long while there is no news
ANSWER_S = 20.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0

Raw = dict[str, Any]
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Kept:
    """An update as it lies in the database."""

    update_id: str
    body: str


class Polling:
    """``queue`` gets each kept update once in this process, those of a killed predecessor first.

    The updates stay as they came: one that nobody can read must not stop those behind it.
    """

    def __init__(
        self, request: BaseRequest, url: str, database: Database, queue: asyncio.Queue[object]
    ) -> None:
        self._request = request
        self._url = url
        self._database = database
        self._queue = queue
        self._queued: set[str] = set()

    async def run(self) -> None:
        """For ever. An offset is sent only to confirm: after a week of silence Telegram begins to
        count anew, perhaps lower. What it repeats is known by its id.
        """
        await self._keep([])
        offset = 0
        while True:
            updates = await patiently(partial(self._fetch, offset))
            await self._keep(updates)
            offset = max((one["update_id"] + 1 for one in updates), default=0)

    async def done(self, kept: Kept) -> None:
        async with self._database.write() as tx:
            await inbox_store.done(tx, PLATFORM, kept.update_id)
        self._queued.discard(kept.update_id)

    async def _fetch(self, offset: int) -> list[Raw]:
        wanted = json.dumps(WANTED)
        asked = urlencode({"offset": offset, "timeout": WAIT_S, "allowed_updates": wanted})
        answer = await self._request.post(
            f"{self._url}/getUpdates?{asked}", read_timeout=WAIT_S + ANSWER_S
        )
        return cast(list[Raw], answer)

    async def _keep(self, updates: list[Raw]) -> None:
        items = [(str(one["update_id"]), json.dumps(one)) for one in updates]
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
