"""Looks at the jobs' rows the whole time: who runs what, and when a job that was hit goes on."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from storage.database import Database
from storage.job import FINAL, RUNNING, JobState
from storage.schema import jobs, workers
from tests.torture.blows import Kind
from tests.torture.troop import Member
from tests.torture.wounds import Row, Wounds

LOOK_S = 0.1
NO_WORKER = FINAL | {JobState.DELIVERING}  # it has done its part


@dataclass(slots=True)
class Watch:
    """``members`` are the workers. ``unsettled`` jobs have not ended, or their chat does
    not know the last of it; ``moved_at`` is when any job last went on. While the database is
    ``away`` nothing is seen.
    """

    database: Database
    members: Sequence[Member] = ()
    lease_s: float = 0.0
    away: Callable[[], bool] = lambda: False
    wounds: Wounds = field(default_factory=Wounds)
    rows: dict[str, Row] = field(default_factory=dict)
    others: dict[Kind, list[float]] = field(default_factory=dict)
    unsettled: int = 0
    waiting: int = 0
    moved_at: float = field(default_factory=time.monotonic)
    _ready: set[int] = field(default_factory=set)

    @property
    def known(self) -> int:
        return len(self.rows)

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)

    async def look(self) -> dict[str, Row]:
        if self.away():
            return self._blind()
        try:
            found, ready = await self._read()
        except DBAPIError:
            return self._blind()
        rows = {
            one.id: Row(
                one.fence,
                one.state in RUNNING,
                one.state in NO_WORKER,
                one.owner_pid or 0,
                (one.lease_until or 0.0) - self.lease_s,
            )
            for one in found
        }
        unsettled = sum(one.state not in FINAL or bool(one.behind) for one in found)
        if (rows, unsettled) != (self.rows, self.unsettled):
            self.moved_at = time.monotonic()
        self.rows, self.unsettled = rows, unsettled
        self.waiting = sum(one.state == JobState.QUEUED for one in found)
        self._ready = ready
        self.wounds.look(self.rows, time.monotonic(), crowded=not self._free())
        return self.rows

    async def _read(self) -> tuple[Sequence[Any], set[int]]:
        """The jobs' rows, and the pids of workers that have said that they are there."""
        columns = (jobs.c.id, jobs.c.state, jobs.c.fence, jobs.c.owner_pid, jobs.c.lease_until)
        behind = (jobs.c.sent_version < jobs.c.version).label("behind")
        async with self.database.read() as tx:
            found = (await tx.execute(sa.select(*columns, behind))).all()
            names = await tx.execute(sa.select(workers.c.name))
            return found, {int(one.name.rpartition(":")[2]) for one in names}

    def _blind(self) -> dict[str, Row]:
        """As it was; and whoever waits, nobody can take it."""
        self.wounds.look(self.rows, time.monotonic(), crowded=True)
        return self.rows

    def is_up(self, member: Member) -> bool:
        """It has said in the database that it is there."""
        return member.pid in self._ready

    def _free(self) -> int:
        """How many workers could take a job: awake, started up, and without one."""
        busy = {row.holder for row in self.rows.values() if row.running}
        awake = {one.pid for one in self.members if one.pid and not one.frozen}
        return len(awake & self._ready - busy)

    def note(self, kind: Kind, gap_s: float) -> None:
        """A recovery of something that holds no job."""
        self.others.setdefault(kind, []).append(gap_s)
