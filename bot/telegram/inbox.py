"""Updates in the database before Telegram hears that we have them, and each one handled once.

Telegram forgets an update as soon as it was confirmed, so a bot that is killed between that and
its work would lose somebody's message.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bot.telegram.updates import PLATFORM
from storage import inbox_store
from storage.database import Database, Tx

AGAIN_S = 1.0

Raw = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """An update as it lies in the database."""

    update_id: str
    body: str


class Inbox:
    """``queue`` gets each kept update once in this process; ``met`` hears of each as soon as it is
    here, perhaps more than once, and before it is certain that it stays.

    The updates stay as they came: one that nobody can read must not stop those behind it.
    """

    def __init__(
        self, database: Database, queue: asyncio.Queue[object], met: Callable[[Raw], None]
    ) -> None:
        self._database = database
        self._queue = queue
        self._met = met
        self._queued: set[str] = set()
        self._settled: set[str] = set()

    async def resume(self) -> None:
        """What a killed predecessor left."""
        async with self._database.read() as tx:
            waiting = await inbox_store.pending(tx, PLATFORM)
        for _, body in waiting:
            self._met(json.loads(body))
        self._put(self._choose([Kept(*one) for one in waiting]))

    async def keep(self, updates: list[Raw]) -> None:
        """Past the line of other writes: the network, and whoever pressed a button, waits for
        this one.
        """
        for one in updates:
            self._met(one)
        bodies = {str(one["update_id"]): json.dumps(one) for one in updates}
        new: list[Kept] = []
        with self._unchosen(new):
            async with self._database.write_soon() as tx:
                await inbox_store.keep(tx, PLATFORM, list(bodies.items()), now=time.time())
                waiting = await inbox_store.waiting(tx, PLATFORM, bodies)
                # Chosen before the next `done` can write: an update is queued once.
                new += self._choose([Kept(*one) for one in bodies.items() if one[0] in waiting])
        self._put(new)

    async def once(self, kept: Kept, tx: Tx) -> bool:
        """Done in the transaction of its effect; False: another one did it."""
        self._settled.add(kept.update_id)
        return await inbox_store.settle(tx, PLATFORM, kept.update_id)

    async def again(self, kept: Kept) -> None:
        """After a pause, where nothing of it was committed: a busy database, say."""
        await asyncio.sleep(AGAIN_S)
        self._settled.discard(kept.update_id)
        self._queue.put_nowait(kept)

    async def done(self, kept: Kept) -> None:
        """For those that had no effect: what `once` settled needs nothing more."""
        if kept.update_id not in self._settled:
            async with self._database.write() as tx:
                await inbox_store.done(tx, PLATFORM, kept.update_id)
        self._settled.discard(kept.update_id)
        self._queued.discard(kept.update_id)

    def _choose(self, waiting: list[Kept]) -> list[Kept]:
        new = [kept for kept in waiting if kept.update_id not in self._queued]
        self._queued.update(kept.update_id for kept in new)
        return new

    @contextmanager
    def _unchosen(self, new: list[Kept]) -> Iterator[None]:
        """What could not be committed comes again, and has to be chosen again."""
        try:
            yield
        except BaseException:
            self._queued.difference_update(kept.update_id for kept in new)
            raise

    def _put(self, new: list[Kept]) -> None:
        for kept in new:
            self._queue.put_nowait(kept)
