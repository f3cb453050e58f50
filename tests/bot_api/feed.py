"""Updates that wait for the bot, with the document's rules for offsets and long polls."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

from tests.bot_api.refusals import RefusedError

Update = dict[str, object]

CONFLICT = (
    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is "
    "running"
)


class Feed:
    """``confirmed`` are the ids that the bot has confirmed, by an offset above them, in order.

    ``on_confirm`` is called with them just before they are forgotten.
    """

    def __init__(self) -> None:
        self.waiting: list[Update] = []
        self.confirmed: list[int] = []
        self.on_confirm: Callable[[list[int]], Awaitable[None]] | None = None
        self.wanted: tuple[str, ...] = ()
        self.polls = 0
        self._last_id = 700_000_000
        self.news = asyncio.Event()
        self._ended: asyncio.Future[RefusedError] | None = None

    def add(self, kind: str, body: dict[str, object]) -> int:
        """The update's id, also when the bot does not want this kind."""
        self._last_id += 1
        if not self.wanted or kind in self.wanted:
            self.waiting.append({"update_id": self._last_id, kind: body})
            self.news.set()
        return self._last_id

    async def get(self, offset: int, limit: int, timeout_s: float) -> Sequence[Update]:
        self.polls += 1
        self.end(RefusedError(409, CONFLICT))
        self._ended = ended = asyncio.get_running_loop().create_future()
        await self._confirm(offset)
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self.waiting:
                    self.news.clear()
                    await self._news_or(ended)
        return self.waiting[:limit]

    def end(self, why: RefusedError) -> None:
        """The poll that waits, if there is one, is answered with this."""
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(why)

    async def _news_or(self, ended: asyncio.Future[RefusedError]) -> None:
        news = asyncio.create_task(self.news.wait())
        try:
            either: set[asyncio.Future[Any]] = {news, ended}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            news.cancel()
        if ended.done():
            raise ended.result()

    async def taken(self, update: Update) -> None:
        """A webhook answered for it."""
        number = int(str(update["update_id"]))
        if self.on_confirm is not None:
            await self.on_confirm([number])
        self.confirmed.append(number)
        self.waiting = [one for one in self.waiting if one["update_id"] != number]

    async def _confirm(self, offset: int) -> None:
        if offset < 0:
            offset = int(str(self.waiting[offset:][0]["update_id"])) if self.waiting else 0
        ids = [int(str(one["update_id"])) for one in self.waiting]
        below = [one for one in ids if one < offset]
        if below and self.on_confirm is not None:
            await self.on_confirm(below)
        self.confirmed += below
        self.waiting = self.waiting[len(below) :]
