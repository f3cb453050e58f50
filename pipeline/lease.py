"""Hold one job's lease: renew it, carry progress up, and say when to stop and why."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from enum import StrEnum
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy.exc import DBAPIError

from pipeline.tally import Stage
from storage import clock, job_store
from storage.database import Database, Tx
from storage.job import Job
from storage.job_store import Renewal
from trainer.run import Progress

log = logging.getLogger(__name__)

RENEWALS = 4  # in one lease
SAFE_SHARE = 0.8  # of the lease; after it another worker may hold the job
NEWS_S = 1.0  # progress is written at most so often
RETRY_S = 0.2
LAST_S = 0.05  # a process that was frozen may find that the job is still its own

Result = TypeVar("Result")


class Halt(StrEnum):
    CANCELLED = "cancelled"  # the person wants it no more
    LOST = "lost"  # the job is not ours any more: write nothing, publish nothing
    DRAIN = "drain"  # this worker stops; another one goes on


class HaltedError(Exception):
    """The work on this job has to stop; the lease knows why."""


class Lease:
    """``halt`` is set as soon as the work has to stop, and ``why`` says the reason."""

    def __init__(self, job: Job, database: Database, lease_s: float) -> None:
        self.halt = asyncio.Event()
        self.why: Halt | None = None
        self.stage = Stage(job.state, time.monotonic())
        self._job = job
        self._database = database
        self._lease_s = lease_s
        self._held_at = time.monotonic()
        self._progress: Progress | None = None
        self._prepared: int | None = None
        self._news = asyncio.Event()
        self._hear: Callable[[Renewal], None] | None = None
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    async def __aenter__(self) -> Self:
        self._tasks = (asyncio.create_task(self._hold()), asyncio.create_task(self._guard()))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def tell(self, progress: Progress) -> None:
        self._progress = progress
        self._news.set()

    def tell_prepared(self, count: int) -> None:
        self._prepared = count
        self._news.set()

    def listen(self, hear: Callable[[Renewal], None] | None) -> None:
        """What the person wants of this job, with each renewal: the same again and again."""
        self._hear = hear
        self._news.set()

    def stop(self, why: Halt) -> None:
        """The first reason counts, except that a lost job is lost whatever was wanted before."""
        if self.why is None or why is Halt.LOST:
            self.why = why
        self.halt.set()

    def check(self) -> None:
        if self.halt.is_set():
            raise HaltedError(self.why)

    async def write(self, change: Callable[[Tx], Awaitable[Result]]) -> Result:
        """One transaction on the job's row, again and again while the database is busy, for as
        long as the lease is surely ours.
        """
        return await self._patiently(self._database.write, change)

    async def read(self, look: Callable[[Tx], Awaitable[Result]]) -> Result:
        """What the job needs to know, with the same patience."""
        return await self._patiently(self._database.read, look)

    async def _patiently(
        self,
        begin: Callable[[], AbstractAsyncContextManager[Tx]],
        work: Callable[[Tx], Awaitable[Result]],
    ) -> Result:
        while True:
            try:
                async with begin() as tx:
                    return await work(tx)
            except DBAPIError as error:
                log.warning("job %s: the database does not answer (%s)", self._job.id, error.orig)
                if self._left() <= 0:
                    self.stop(Halt.LOST)
                    raise HaltedError(Halt.LOST) from error
                await asyncio.sleep(RETRY_S)

    def _left(self) -> float:
        return self._held_at + SAFE_SHARE * self._lease_s - time.monotonic()

    async def _hold(self) -> None:
        """Renew every quarter, or sooner when there is news or the last try failed."""
        quarter = self._lease_s / RENEWALS
        pause = quarter
        while self.why is not Halt.LOST:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._news.wait()
            pause = quarter if await self._renew() else RETRY_S
            await asyncio.sleep(min(NEWS_S, quarter / 2))

    async def _guard(self) -> None:
        """Stop in time whatever the renewal hangs on: a busy database cannot be hurried."""
        while (left := self._left()) > -LAST_S:  # noqa: ASYNC110  time is what it waits for
            await asyncio.sleep(max(left, LAST_S))
        log.warning("job %s: the lease could not be renewed in time", self._job.id)
        self.stop(Halt.LOST)

    async def _renew(self) -> bool:
        self._news.clear()
        progress, self._progress = self._progress, None
        prepared, self._prepared = self._prepared, None
        asked_at = time.monotonic()
        try:
            async with self._database.write() as tx:
                if self.why is Halt.LOST:
                    # It took too long: the next one need not wait for our lease to run out.
                    return False
                renewal = await job_store.renew(
                    tx,
                    self._job.id,
                    self._job.fence,
                    lease_s=self._lease_s,
                    now=await clock.now(tx),
                    progress=progress,
                    prepared=prepared,
                )
        except DBAPIError as error:
            log.warning("job %s: the lease was not renewed (%s)", self._job.id, error.orig)
            return False
        if renewal is None:
            self.stop(Halt.LOST)
            return False
        self._held_at = asked_at
        if renewal.cancel_requested:
            self.stop(Halt.CANCELLED)
        elif self._hear is not None:
            self._pass_on(self._hear, renewal)
        return True

    def _pass_on(self, hear: Callable[[Renewal], None], renewal: Renewal) -> None:
        try:
            hear(renewal)
        except OSError as error:
            # A full disk, say. It is heard again with the next renewal.
            log.warning("job %s: a wish was not passed on (%s)", self._job.id, error.strerror)
