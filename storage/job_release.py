"""Jobs whose worker went silent or is known to be dead: back to the queue, or to an end."""

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.sql.dml import ReturningUpdate

from storage.database import Tx
from storage.job import Failure, JobState
from storage.job_row import text_of
from storage.job_store import FREE
from storage.schema import QUEUED, RUNS, jobs

POISON = Failure(code="fail.poison")
AT = sa.bindparam("at", type_=sa.Float)


def _released(which: sa.ColumnElement[bool]) -> ReturningUpdate[tuple[str]]:
    """Cancelled if that was wanted, failed if it killed too many workers, else queued again."""
    spent = jobs.c.attempts >= sa.bindparam("most")
    ended = sa.or_(jobs.c.cancel_requested, spent)
    poisoned = sa.and_(spent, sa.not_(jobs.c.cancel_requested))
    return (
        jobs.update()
        .where(which)
        .values(
            state=sa.case(
                (jobs.c.cancel_requested, JobState.CANCELLED.value),
                (spent, JobState.FAILED.value),
                else_=JobState.QUEUED.value,
            ),
            failure=sa.case((poisoned, text_of(POISON)), else_=jobs.c.failure),
            finished_at=sa.case((ended, AT), else_=None),
            progress=None,
            version=jobs.c.version + 1,
            updated_at=AT,
            **FREE,
        )
        .returning(jobs.c.id)
    )


# Made once: each worker says the first at every look.
_EXPIRED = _released(sa.and_(RUNS, jobs.c.lease_until < AT))
_DEAD = _released(jobs.c.id.in_(sa.bindparam("ids", expanding=True)))


_WAITS = sa.select(jobs.c.id).where(QUEUED)
_SILENT = sa.select(jobs.c.id).where(RUNS, jobs.c.lease_until < AT)
_ANY = sa.select(sa.or_(sa.exists(_WAITS), sa.exists(_SILENT)))


async def is_quiet(tx: Tx, *, now: float) -> bool:
    """No job waits, and no worker is silent: nobody need ask for the right to write."""
    return not (await tx.execute(_ANY, {"at": now})).scalar_one()


async def release_expired(tx: Tx, *, now: float, max_attempts: int) -> list[str]:
    """Jobs whose worker went silent: back to the queue, or to an end."""
    found = await tx.execute(_EXPIRED, {"at": now, "most": max_attempts})
    return [row.id for row in found]


async def release_dead(
    tx: Tx,
    host: str,
    boot_id: str,
    alive: Callable[[int, int], bool],
    *,
    now: float,
    max_attempts: int,
) -> list[str]:
    """A host's leases of processes that are gone, at once: no need to wait them out. Where hosts
    share the database two of them may have one name, so there only the same start of the same
    machine can tell; the others' leases end by themselves.
    """
    shared = tx.dialect.name == "postgresql"
    mine = sa.select(jobs.c.id, jobs.c.owner_boot, jobs.c.owner_pid, jobs.c.owner_started).where(
        RUNS, jobs.c.owner_host == host
    )
    dead = [
        row.id
        for row in await tx.execute(mine)
        if (row.owner_boot == boot_id or not shared)
        and (row.owner_boot != boot_id or not alive(row.owner_pid, row.owner_started))
    ]
    if not dead:
        return []
    found = await tx.execute(_DEAD, {"at": now, "most": max_attempts, "ids": dead})
    return [row.id for row in found]
