"""The pause: one row while no new job is taken. It ends by its own time, or by somebody's word.

What the chats of waiting jobs show changes with it, however many wait. So whoever begins or ends
one only notes that they are to be told; whoever tells goes along the line in small steps.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage import job_line
from storage.access import Pause
from storage.database import Tx
from storage.job_line import Waits
from storage.schema import QUEUED, jobs, pauses, telling

FRONT = {"job_id": "", "priority": 0, "created_at": 0.0}


LASTS = sa.or_(pauses.c.until.is_(None), pauses.c.until > sa.bindparam("now"))
_GET = sa.select(pauses).where(LASTS)
_TO_TELL = sa.select(
    sa.or_(sa.exists(sa.select(pauses.c.id).where(~LASTS)), sa.exists(sa.select(telling.c.id)))
)


async def holds(tx: Tx, *, now: float) -> bool:
    """For whoever claims."""
    return await get(tx, now=now) is not None


async def get(tx: Tx, *, now: float) -> Pause | None:
    row = (await tx.execute(_GET, {"now": now})).first()
    if row is None:
        return None
    return Pause(since=row.since, until=row.until, reason=row.reason, by=row.by)


async def begin(tx: Tx, pause: Pause) -> None:
    """In place of one that is there; whoever waits is to be told."""
    await tx.execute(pauses.delete())
    row = {"since": pause.since, "until": pause.until, "reason": pause.reason, "by": pause.by}
    await tx.execute(pauses.insert().values(id=1, **row))
    await _tell_all(tx)


async def end(tx: Tx) -> None:
    await tx.execute(pauses.delete())
    await _tell_all(tx)


async def lapse(tx: Tx, *, now: float) -> None:
    """One whose time has come is taken away, and whoever waits is to be told."""
    if (await tx.execute(pauses.delete().where(~LASTS), {"now": now})).rowcount:
        await _tell_all(tx)


# --- telling -------------------------------------------------------------------------------------


async def _tell_all(tx: Tx) -> None:
    """From the front of the line, also if somebody is at it already."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    first = dialect.insert(telling).values(id=1, **FRONT)
    await tx.execute(first.on_conflict_do_update(index_elements=["id"], set_=FRONT))


async def to_tell(tx: Tx, *, now: float) -> bool:
    """Somebody has yet to hear that a pause began or ended."""
    return bool((await tx.execute(_TO_TELL, {"now": now})).scalar_one())


async def tell(tx: Tx, *, limit: int, now: float) -> int:
    """The next ``limit`` of those who wait; how many they were. A raised version brings a job's
    message up to date, whichever bot shows it. Who changes their place in the line meanwhile gets
    a raised version by that.
    """
    await lapse(tx, now=now)
    found = await tx.execute(sa.select(telling).with_for_update(skip_locked=True))
    row = found.first()
    if row is None:
        return 0
    last = Waits(row.job_id, row.priority, 0, row.created_at) if row.job_id else None
    those = await job_line.after(tx, last, limit=limit)
    ids = [one.id for one in those]
    waiting = jobs.update().where(jobs.c.id.in_(ids), QUEUED)
    await tx.execute(waiting.values(version=jobs.c.version + 1, updated_at=now))
    if len(those) < limit:
        await tx.execute(telling.delete())
    else:
        at = those[-1]
        reached = {"job_id": at.id, "priority": at.priority, "created_at": at.created_at}
        await tx.execute(telling.update().values(reached))
    return len(those)
