"""Lists of jobs: who is next, what a person has, which chats lag behind. Nothing here writes."""

import statistics
from collections import Counter
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from storage import job_line, line_parts
from storage.database import Tx
from storage.job import Job, JobState
from storage.job_store import many, values
from storage.line import Entry
from storage.schema import DELIVERING, DONE, RUNS, UNSENT, jobs

SHOWN = 50  # of the line: nobody reads further
RECENT = 20  # finished jobs that an estimate looks back on


_ENTRY = sa.select(
    *(jobs.c.id, jobs.c.chat, jobs.c.person, jobs.c.name, jobs.c.base_model, jobs.c.state),
    *(jobs.c.priority, jobs.c.created_at, jobs.c.started_at),
)
_RUNNING = _ENTRY.where(RUNS).order_by(jobs.c.started_at)
_NAMED = _ENTRY.where(jobs.c.id.in_(sa.bindparam("ids", expanding=True)))


async def place(tx: Tx, job_id: str) -> int | None:
    """1 is next; None: it does not wait."""
    return (await line_parts.places(tx, [job_id])).get(job_id)


async def line(tx: Tx, *, limit: int = SHOWN) -> list[Entry]:
    """Running first, then the first ``limit`` that wait, in the order of their claims."""
    running = await _entries(tx, _RUNNING)
    counts = Counter(one.person for one in running)
    ids = [one.id for one in await job_line.first(tx, limit=limit, running=counts)]
    waiting = {one.id: one for one in await _entries(tx, _NAMED, ids=ids)} if ids else {}
    return running + [waiting[job_id] for job_id in ids if job_id in waiting]


async def _entries(tx: Tx, statement: sa.Select[tuple[Any, ...]], **values: object) -> list[Entry]:
    found = (await tx.execute(statement, values)).mappings()
    return [Entry(**{**row, "state": JobState(row["state"])}) for row in found]


async def those(tx: Tx, ids: Sequence[str]) -> list[Job]:
    """The whole jobs, in this order, as far as they are there."""
    found = await many(tx, sa.select(jobs).where(jobs.c.id.in_(ids))) if ids else []
    return sorted(found, key=lambda job: ids.index(job.id))


async def of_person(tx: Tx, person: str, *, limit: int = 20) -> list[Job]:
    newest = sa.select(jobs).where(jobs.c.person == person).order_by(jobs.c.id.desc())
    return await many(tx, newest.limit(limit))


async def unsent(tx: Tx, platforms: Collection[str], *, limit: int = 100) -> list[Job]:
    """Jobs of these networks whose chat shows an older version, longest waiting first."""
    behind = _lagging(UNSENT.text, tuple(platforms))
    return await many(tx, behind, {"most": limit})


async def delivering(tx: Tx, platforms: Collection[str], *, limit: int = 100) -> list[Job]:
    """Jobs of these networks whose file has yet to reach its chat, whatever that shows."""
    return await many(tx, _lagging(DELIVERING.text, tuple(platforms)), {"most": limit})


@lru_cache(maxsize=8)
def _lagging(condition: str, platforms: tuple[str, ...]) -> sa.Select[tuple[Any, ...]]:
    named = (jobs.c.chat.startswith(f"{name}:", autoescape=True) for name in platforms)
    ours = sa.select(jobs).where(sa.text(condition), sa.or_(sa.false(), *named))
    return ours.order_by(jobs.c.updated_at).limit(sa.bindparam("most"))


async def typical_seconds(tx: Tx, bases: tuple[str, ...]) -> dict[str, float]:
    """Median times from start to done of the last jobs on each base that has any."""
    took: dict[str, list[float]] = {}
    for row in await tx.execute(_took(bases)) if bases else ():
        took.setdefault(row.base_model, []).append(row.seconds)
    return {base: statistics.median(seconds) for base, seconds in took.items()}


@lru_cache(maxsize=8)
def _took(bases: tuple[str, ...]) -> sa.CompoundSelect[tuple[str, float]]:
    seconds = (jobs.c.finished_at - jobs.c.started_at).label("seconds")
    lately = (
        sa.select(jobs.c.base_model, seconds)
        .where(jobs.c.base_model == base, DONE, jobs.c.started_at.is_not(None))
        .order_by(jobs.c.id.desc())
        .limit(RECENT)
        .subquery()
        for base in bases
    )
    return sa.union_all(*map(sa.select, lately))


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
