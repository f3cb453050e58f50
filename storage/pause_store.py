"""The pause: one row while no new job is taken. It ends by its own time, or by somebody's word."""

import sqlalchemy as sa

from storage.access import Pause
from storage.database import Tx
from storage.job import JobState
from storage.schema import jobs, pauses


def holds(now: float) -> sa.ColumnElement[bool]:
    """For whoever claims: true while there is a pause."""
    return sa.exists(sa.select(pauses.c.id).where(_lasts(now)))


async def get(tx: Tx, *, now: float) -> Pause | None:
    row = (await tx.execute(sa.select(pauses).where(_lasts(now)))).first()
    if row is None:
        return None
    return Pause(since=row.since, until=row.until, reason=row.reason, by=row.by)


async def begin(tx: Tx, pause: Pause) -> None:
    """In place of one that is there; whoever waits is told."""
    await tx.execute(pauses.delete())
    row = {"since": pause.since, "until": pause.until, "reason": pause.reason, "by": pause.by}
    await tx.execute(pauses.insert().values(id=1, **row))
    await _tell(tx, pause.since)


async def end(tx: Tx, *, now: float) -> None:
    await tx.execute(pauses.delete())
    await _tell(tx, now)


async def _tell(tx: Tx, now: float) -> None:
    """A raised version brings each waiting job's message up to date, whichever bot shows it."""
    waiting = jobs.update().where(jobs.c.state == JobState.QUEUED.value)
    await tx.execute(waiting.values(version=jobs.c.version + 1, updated_at=now))


def _lasts(now: float) -> sa.ColumnElement[bool]:
    return sa.or_(pauses.c.until.is_(None), pauses.c.until > now)
