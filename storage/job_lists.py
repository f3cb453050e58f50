"""Lists of jobs: who is next, what a person has, which chats lag behind. Nothing here writes."""

import statistics
from collections.abc import Collection

import sqlalchemy as sa

from storage import job_line
from storage.database import Tx
from storage.job import Job, JobState
from storage.job_store import many, values
from storage.schema import DELIVERING, DONE, RUNS, jobs

SHOWN = 50  # of the line: nobody reads further
RECENT = 20  # finished jobs that an estimate looks back on


async def place(tx: Tx, job_id: str) -> int | None:
    """1 is next; None: it does not wait."""
    return (await job_line.places(tx, [job_id])).get(job_id)


async def line(tx: Tx, *, limit: int = SHOWN) -> list[Job]:
    """Running first, then the first ``limit`` that wait, in the order of their claims."""
    running = sa.select(jobs).where(RUNS).order_by(jobs.c.started_at)
    ids = [one.id for one in await job_line.first(tx, limit=limit)]
    waiting = await many(tx, sa.select(jobs).where(jobs.c.id.in_(ids)))
    return await many(tx, running) + sorted(waiting, key=lambda job: ids.index(job.id))


async def of_person(tx: Tx, person: str, *, limit: int = 20) -> list[Job]:
    newest = sa.select(jobs).where(jobs.c.person == person).order_by(jobs.c.id.desc())
    return await many(tx, newest.limit(limit))


async def unsent(tx: Tx, platforms: Collection[str], *, limit: int = 100) -> list[Job]:
    """Jobs of these networks whose chat shows an older version, longest waiting first."""
    behind = sa.select(jobs).where(jobs.c.sent_version < jobs.c.version, _of(platforms))
    return await many(tx, behind.order_by(jobs.c.updated_at).limit(limit))


async def delivering(tx: Tx, platforms: Collection[str], *, limit: int = 100) -> list[Job]:
    """Jobs of these networks whose file has yet to reach its chat, whatever that shows."""
    waiting = sa.select(jobs).where(DELIVERING, _of(platforms))
    return await many(tx, waiting.order_by(jobs.c.updated_at).limit(limit))


def _of(platforms: Collection[str]) -> sa.ColumnElement[bool]:
    named = (jobs.c.chat.startswith(f"{name}:", autoescape=True) for name in platforms)
    return sa.or_(sa.false(), *named)


async def typical_seconds(tx: Tx, base_model: str) -> float | None:
    """Median time from start to done of the last jobs on this base; None before the first."""
    took = (
        sa.select(jobs.c.finished_at - jobs.c.started_at)
        .where(jobs.c.base_model == base_model, DONE)
        .order_by(jobs.c.id.desc())
        .limit(RECENT)
    )
    seconds = [row[0] for row in await tx.execute(took) if row[0] is not None]
    return statistics.median(seconds) if seconds else None


async def counted(tx: Tx, person: str, *, since: float) -> list[float]:
    """When this person's jobs of late were ordered, oldest first. A job that failed counts no more,
    nor does one that was cancelled before it had begun.
    """
    failed = jobs.c.state == JobState.FAILED.value
    unused = sa.and_(jobs.c.state == JobState.CANCELLED.value, jobs.c.started_at.is_(None))
    ordered = sa.select(jobs.c.created_at).where(
        jobs.c.person == person, jobs.c.created_at > since, ~sa.or_(failed, unused)
    )
    return [row.created_at for row in await tx.execute(ordered.order_by(jobs.c.created_at))]


async def by_code(tx: Tx, code: str) -> Job | None:
    """The newest job with this short name."""
    tail = code.strip().upper().removeprefix("J-")
    named = sa.select(jobs).where(jobs.c.id.endswith(tail, autoescape=True))
    found = await many(tx, named.order_by(jobs.c.id.desc()).limit(1)) if tail else []
    return found[0] if found else None


async def running_by_owner(tx: Tx) -> dict[str, Job]:
    """What each worker has in hand."""
    held = sa.select(jobs.c.owner, jobs.c.id).where(RUNS)
    owners = {row.id: row.owner for row in await tx.execute(held) if row.owner}
    found = await many(tx, sa.select(jobs).where(jobs.c.id.in_(list(owners))))
    return {owners[job.id]: job for job in found}


async def names_of(tx: Tx, person: str) -> frozenset[str]:
    """Names that this person's models have or will have; that of a deleted one is free again."""
    unused = values({JobState.FAILED, JobState.CANCELLED})
    there = sa.or_(jobs.c.state != JobState.DONE.value, jobs.c.artifact.is_not(None))
    named = sa.select(jobs.c.name).where(
        jobs.c.person == person, jobs.c.state.not_in(unused), there
    )
    return frozenset(row.name for row in await tx.execute(named))
