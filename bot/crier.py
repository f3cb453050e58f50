"""Bring announcements to people, one after the other, slowly enough for every network."""

import asyncio
import logging
import time
from collections.abc import Collection
from contextlib import suppress

from sqlalchemy.exc import DBAPIError

from bot.admin_service import letter
from bot.presenter import Presenter
from storage import announcement_store
from storage.database import Database

log = logging.getLogger(__name__)

PACE_S = 0.25  # Telegram takes 30 a second, and people's own messages go first
LOOK_S = 5.0


class Crier:
    """Each letter is marked before it goes out: a bot that dies may lose one, never repeat one."""

    def __init__(
        self, database: Database, presenter: Presenter, platforms: Collection[str]
    ) -> None:
        self._database = database
        self._presenter = presenter
        self._platforms = tuple(platforms)
        self._woken = asyncio.Event()

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        while True:
            self._woken.clear()
            try:
                while await self._one():  # noqa: ASYNC110  the pace is what it waits for
                    await asyncio.sleep(PACE_S)
            except DBAPIError as error:
                log.warning("the database does not answer (%s)", type(error.orig).__name__)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._woken.wait()

    async def _one(self) -> bool:
        async with self._database.read() as tx:
            waits = await announcement_store.waits(tx, self._platforms)
        if not waits:
            return False
        async with self._database.write() as tx:
            found = await announcement_store.take(tx, self._platforms, now=time.time())
        if found is not None:
            await self._presenter.tell(found.person, letter(found.text))
        return found is not None
