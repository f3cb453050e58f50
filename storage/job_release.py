"""Jobs whose worker went silent or is known to be dead: back to the queue, or to an end."""

from collections.abc import Callable

import sqlalchemy as sa

from storage.database import Tx
from storage.job import Failure, JobState
from storage.job_row import text_of
from storage.job_store import FREE, step
from storage.schema import RUNS, jobs

POISON = Failure(code="fail.poison")


async def release_expired(tx: Tx, *, now: float, max_attempts: int) -> list[str]:
    """Jobs whose worker went silent: back to the queue, or to an end."""
    silent = sa.and_(RUNS, jobs.c.lease_until < now)
    return await _release(tx, silent, now=now, max_attempts=max_attempts)


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
    return await _release(tx, jobs.c.id.in_(dead), now=now, max_attempts=max_attempts)


async def _release(
    tx: Tx, which: sa.ColumnElement[bool], *, now: float, max_attempts: int
) -> list[str]:
    """Cancelled if that was wanted, failed if it killed too many workers, else queued again."""
    spent = jobs.c.attempts >= max_attempts
    state = sa.case(
        (jobs.c.cancel_requested, JobState.CANCELLED.value),
        (spent, JobState.FAILED.value),
        else_=JobState.QUEUED.value,
    )
    ended = sa.or_(jobs.c.cancel_requested, spent)
    released = (
        jobs.update()
        .where(which)
        .values(
            state=state,
            failure=sa.case(
                (sa.and_(spent, sa.not_(jobs.c.cancel_requested)), text_of(POISON)),
                else_=jobs.c.failure,
            ),
            finished_at=sa.case((ended, now), else_=None),
            progress=None,
            **step(now),
            **FREE,
        )
        .returning(jobs.c.id)
    )
    return [row.id for row in await tx.execute(released)]
