"""Looks at the jobs' rows the whole time: who runs what, and when a job that was hit goes on."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from storage.database import Database
from storage.job import FINAL, RUNNING, JobState
from storage.schema import jobs, workers
from tests.torture.blows import Kind
from tests.torture.troop import Member
from tests.torture.wounds import Row, Wounds

LOOK_S = 0.1


@dataclass(slots=True)
class Watch:
    """``members`` are the workers. ``unsettled`` jobs have not ended, or their chat does
    not know the last of it; ``moved_at`` is when any job last went on.
    """

    database: Database
    members: Sequence[Member] = ()
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
        columns = (jobs.c.id, jobs.c.state, jobs.c.fence, jobs.c.owner_pid)
        behind = (jobs.c.sent_version < jobs.c.version).label("behind")
        async with self.database.read() as tx:
            found = (await tx.execute(sa.select(*columns, behind))).all()
            ready = {one.name for one in await tx.execute(sa.select(workers.c.name))}
        ended = {one.id for one in found if one.state in FINAL}
        rows = {
            one.id: Row(one.fence, one.state in RUNNING, one.id in ended, one.owner_pid or 0)
            for one in found
        }
        if rows != self.rows:
            self.moved_at = time.monotonic()
        self.rows = rows
        self.unsettled = sum(one.id not in ended or bool(one.behind) for one in found)
        self.waiting = sum(one.state == JobState.QUEUED for one in found)
        self._ready = {int(name.rpartition(":")[2]) for name in ready}
        self.wounds.look(self.rows, time.monotonic(), crowded=not self._free())
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
