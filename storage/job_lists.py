"""Lists of jobs: who is next, what a person has, which chats lag behind. Nothing here writes."""

import statistics
from collections.abc import Collection

import sqlalchemy as sa

from storage.database import Tx
from storage.job import RUNNING, Job, JobState
from storage.job_store import claim_order, many, values
from storage.schema import jobs

RECENT = 20  # finished jobs that an estimate looks back on


async def place(tx: Tx, job_id: str) -> int | None:
    """1 is next; None: it does not wait."""
    waiting = await _waiting_ids(tx)
    return waiting.index(job_id) + 1 if job_id in waiting else None


async def _waiting_ids(tx: Tx) -> list[str]:
    waiting = (
        sa.select(jobs.c.id).where(jobs.c.state == JobState.QUEUED.value).order_by(*claim_order())
    )
    return [row.id for row in await tx.execute(waiting)]


async def line(tx: Tx) -> list[Job]:
    """Running first, then waiting in the order of their claims."""
    running = sa.select(jobs).where(jobs.c.state.in_(values(RUNNING))).order_by(jobs.c.started_at)
    waiting = sa.select(jobs).where(jobs.c.state == JobState.QUEUED.value).order_by(*claim_order())
    return await many(tx, running) + await many(tx, waiting)


async def of_person(tx: Tx, person: str, *, limit: int = 20) -> list[Job]:
    newest = sa.select(jobs).where(jobs.c.person == person).order_by(jobs.c.id.desc())
    return await many(tx, newest.limit(limit))


async def unsent(tx: Tx, platforms: Collection[str], *, limit: int = 100) -> list[Job]:
    """Jobs of these networks whose chat shows an older version, longest waiting first."""
    named = (jobs.c.chat.startswith(f"{name}:", autoescape=True) for name in platforms)
    ours = sa.or_(sa.false(), *named)
    behind = sa.select(jobs).where(jobs.c.sent_version < jobs.c.version, ours)
    return await many(tx, behind.order_by(jobs.c.updated_at).limit(limit))


async def typical_seconds(tx: Tx, base_model: str) -> float | None:
    """Median time from start to done of the last jobs on this base; None before the first."""
    took = (
        sa.select(jobs.c.finished_at - jobs.c.started_at)
        .where(jobs.c.base_model == base_model, jobs.c.state == JobState.DONE.value)
        .order_by(jobs.c.id.desc())
        .limit(RECENT)
    )
    seconds = [row[0] for row in await tx.execute(took) if row[0] is not None]
    return statistics.median(seconds) if seconds else None


async def names_of(tx: Tx, person: str) -> frozenset[str]:
    """Names that this person's models have or will have."""
    unused = values({JobState.FAILED, JobState.CANCELLED})
    named = sa.select(jobs.c.name).where(jobs.c.person == person, jobs.c.state.not_in(unused))
    return frozenset(row.name for row in await tx.execute(named))
