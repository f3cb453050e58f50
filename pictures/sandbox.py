"""The other side of `pictures.cell`: a few children that open strangers' bytes for this process.

A child that dies or does not answer in time costs its own picture and is replaced.
"""

import asyncio
import json
import logging
from dataclasses import asdict
from typing import Self

from pictures.child import SHARED_BYTES, Child, ChildLostError
from pictures.limits import DEFAULT, Limits
from pictures.look import Look, Refused
from pictures.order import Developed, View, Wanted, read_answer, wanted_to_json

log = logging.getLogger(__name__)

IDLE_S = 60.0  # then a child goes, and with it its memory
# One arena and one thread: a picture is decoded on one core, and memory is counted. What it gives
# back stays with the process for the next picture: fresh pages cost a sixth of the time.
ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 25),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 26),
    "MALLOC_TOP_PAD_": str(1 << 22),
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "VIPS_CONCURRENCY": "1",
}


class Cells:
    """At most ``size`` children, started when there is something to do."""

    def __init__(self, size: int = 2, limits: Limits = DEFAULT) -> None:
        self.limits = limits
        self._free: list[Child] = []
        self._places = asyncio.Semaphore(size)
        self._idle: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        await asyncio.gather(*(cell.end() for cell in self._free), *self._ending)
        self._free.clear()

    async def look(self, data: bytes) -> Look | Refused:
        done = await self.develop(data, Wanted(look=True))
        if isinstance(done, Refused):
            return done
        assert done.look is not None  # noqa: S101  it was asked for
        return done.look

    async def view(self, data: bytes, view: View) -> Developed | Refused:
        return await self.develop(data, Wanted(view=view))

    async def develop(self, data: bytes, wanted: Wanted) -> Developed | Refused:
        """Never raises for anything that is in ``data``."""
        if len(data) > self.limits.file_bytes:
            most = self.limits.file_bytes // 1_000_000
            return Refused("photo.big", {"size": len(data) // 1_000_000, "limit": most})
        async with self._places:
            cell = self._free.pop() if self._free else await self._start()
            try:
                head, body = await cell.ask(wanted_to_json(wanted), data, self.limits.seconds)
            except ChildLostError as error:
                await cell.end()
                log.warning("a picture's decoder %s", error)
                return Refused("photo.slow" if error.slow else "photo.broken", {})
            except BaseException:
                # Interrupted: its answer would be taken for the next picture's.
                self._end_later(cell)
                raise
            self._free.append(cell)
            self._rest()
        return read_answer(head, body)

    async def _start(self) -> Child:
        own = json.dumps(asdict(self.limits))
        room = max(SHARED_BYTES, self.limits.file_bytes)
        cell, _ = await Child.start(
            "pictures.cell", own, environment=ENVIRONMENT, shared_bytes=room
        )
        return cell

    def _end_later(self, cell: Child) -> None:
        task = asyncio.ensure_future(cell.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _rest(self) -> None:
        """Children that have nothing to do for a while are let go."""
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._let_go)

    def _let_go(self) -> None:
        for cell in self._free:
            self._end_later(cell)
        self._free.clear()
