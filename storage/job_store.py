"""Jobs in the database. After the claim every write says WHERE id AND fence: no row, no right."""

import statistics
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storage.database import Tx
from storage.job import (
    FINAL,
    NEXT,
    RUNNING,
    Artifact,
    Failure,
    Job,
    JobState,
    Rejection,
)
from storage.job_row import text_of, to_job, to_row
from storage.schema import jobs
from trainer.run import Progress

RECENT = 20  # finished jobs that an estimate looks back on
FREE = dict.fromkeys(
    ("lease_until", "owner", "owner_host", "owner_boot", "owner_pid", "owner_started")
)
POISON = Failure(code="fail.poison")


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """One worker process. ``started`` tells it from a later process with the same pid."""

    name: str
    host: str
    boot_id: str
    pid: int
    started: int = 0


@dataclass(frozen=True, slots=True)
class Renewal:
    cancel_requested: bool


def _sources(state: JobState) -> list[str]:
    return [source.value for source, targets in NEXT.items() if state in targets]


def _values(states: Collection[JobState]) -> list[str]:
    return [state.value for state in states]


async def add(tx: Tx, job: Job) -> None:
    await tx.execute(jobs.insert().values(to_row(job)))


async def get(tx: Tx, job_id: str) -> Job | None:
    found = await _many(tx, sa.select(jobs).where(jobs.c.id == job_id))
    return found[0] if found else None


def _claim_order() -> tuple[Any, ...]:
    """Priority first, then whoever has fewest jobs running, then age."""
    other = jobs.alias()
    running = (
        sa.select(sa.func.count())
        .where(other.c.person == jobs.c.person, other.c.state.in_(_values(RUNNING)))
        .scalar_subquery()
    )
    return jobs.c.priority.desc(), running, jobs.c.created_at, jobs.c.id


async def claim(
    tx: Tx,
    owner: Owner,
    *,
    lease_s: float,
    now: float,
    families: frozenset[str] | None = None,
    job_id: str | None = None,
) -> Job | None:
    """Take the best job that waits. One with a published artifact only needs its copy."""
    best = sa.select(jobs.c.id).where(jobs.c.state == JobState.QUEUED.value)
    if families is not None:
        best = best.where(jobs.c.family.in_(sorted(families)))
    if job_id is not None:
        best = best.where(jobs.c.id == job_id)
    best = best.order_by(*_claim_order()).limit(1)
    if tx.dialect.name == "postgresql":
        best = best.with_for_update(skip_locked=True, of=jobs)
    entered = sa.case(
        (jobs.c.artifact.is_not(None), JobState.COPYING.value), else_=JobState.PREPARING.value
    )
    taken = (
        jobs.update()
        .where(jobs.c.id == best.scalar_subquery(), jobs.c.state == JobState.QUEUED.value)
        .values(
            state=entered,
            fence=jobs.c.fence + 1,
            attempts=jobs.c.attempts + 1,
            version=jobs.c.version + 1,
            started_at=sa.func.coalesce(jobs.c.started_at, now),
            updated_at=now,
            progress=None,
            prepared=0,
            lease_until=now + lease_s,
            owner=owner.name,
            owner_host=owner.host,
            owner_boot=owner.boot_id,
            owner_pid=owner.pid,
            owner_started=owner.started,
        )
        .returning(*jobs.c)
    )
    found = await _many(tx, taken)
    return found[0] if found else None


async def renew(  # noqa: PLR0913  what a renewal may carry
    tx: Tx,
    job_id: str,
    fence: int,
    *,
    lease_s: float,
    now: float,
    progress: Progress | None = None,
    prepared: int | None = None,
) -> Renewal | None:
    """Keep the lease, carry progress up, bring a cancel down; None: fenced, stop everything."""
    changes: dict[str, Any] = {}
    if progress is not None:
        changes["progress"] = text_of(progress)
    if prepared is not None:
        changes["prepared"] = prepared
    if changes:
        changes |= {"version": jobs.c.version + 1, "updated_at": now}
    held = (
        jobs.update()
        .where(_held(job_id, fence))
        .values(lease_until=now + lease_s, **changes)
        .returning(jobs.c.cancel_requested)
    )
    row = (await tx.execute(held)).first()
    return None if row is None else Renewal(bool(row[0]))


def _held(job_id: str, fence: int) -> sa.ColumnElement[bool]:
    """The job by that claim, and still running: a released lease is a lost one."""
    return sa.and_(
        jobs.c.id == job_id,
        jobs.c.fence == fence,
        jobs.c.state.in_(_values(RUNNING)),
        jobs.c.lease_until.is_not(None),
    )


async def enter(  # noqa: PLR0913  what a change of state may bring
    tx: Tx,
    job_id: str,
    fence: int,
    state: JobState,
    *,
    now: float,
    rejections: tuple[Rejection, ...] | None = None,
    artifact: Artifact | None = None,
    copied_to: str | None = None,
    failure: Failure | None = None,
) -> bool:
    """Go to ``state`` if this claim still holds and NEXT leads there. False: it does not."""
    changes: dict[str, Any] = {
        "rejections": text_of(rejections),
        "artifact": text_of(artifact),
        "failure": text_of(failure),
        "copied_to": copied_to,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    if state not in RUNNING:
        changes |= FREE
    if state in FINAL:
        changes["finished_at"] = now
    moved = (
        jobs.update()
        .where(_held(job_id, fence), jobs.c.state.in_(_sources(state)))
        .values(state=state.value, progress=None, **_step(now), **changes)
    )
    return (await tx.execute(moved)).rowcount == 1


def _step(now: float) -> dict[str, Any]:
    """Every change that a person can see raises the version in the same statement."""
    return {"version": jobs.c.version + 1, "updated_at": now}


async def save_artifact(tx: Tx, job_id: str, fence: int, artifact: Artifact) -> bool:
    """Published: from here on a later claim only copies."""
    saved = jobs.update().where(_held(job_id, fence)).values(artifact=text_of(artifact))
    return (await tx.execute(saved)).rowcount == 1


async def requeue(tx: Tx, job_id: str, fence: int, *, now: float, counted: bool) -> bool:
    """Back to the queue; not ``counted`` takes the attempt back, as after a deploy. A job that is
    to be cancelled does not wait again.
    """
    gone = jobs.c.cancel_requested
    back = (
        jobs.update()
        .where(_held(job_id, fence))
        .values(
            state=sa.case((gone, JobState.CANCELLED.value), else_=JobState.QUEUED.value),
            finished_at=sa.case((gone, now), else_=None),
            attempts=jobs.c.attempts - (0 if counted else 1),
            progress=None,
            **_step(now),
            **FREE,
        )
    )
    return (await tx.execute(back)).rowcount == 1


async def release_expired(tx: Tx, *, now: float, max_attempts: int) -> list[str]:
    """Jobs whose worker went silent: back to the queue, or to an end."""
    silent = sa.and_(jobs.c.state.in_(_values(RUNNING)), jobs.c.lease_until < now)
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
    """A host's leases of processes that are gone, at once: no need to wait them out."""
    mine = sa.select(jobs.c.id, jobs.c.owner_boot, jobs.c.owner_pid, jobs.c.owner_started).where(
        jobs.c.state.in_(_values(RUNNING)), jobs.c.owner_host == host
    )
    dead = [
        row.id
        for row in await tx.execute(mine)
        if row.owner_boot != boot_id or not alive(row.owner_pid, row.owner_started)
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
            **_step(now),
            **FREE,
        )
        .returning(jobs.c.id)
    )
    return [row.id for row in await tx.execute(released)]


async def request_cancel(tx: Tx, job_id: str, *, now: float) -> JobState | None:
    """A waiting job is cancelled at once, a running one is told; the state it is in afterwards."""
    waiting = sa.and_(jobs.c.id == job_id, jobs.c.state == JobState.QUEUED.value)
    await tx.execute(
        jobs.update()
        .where(waiting)
        .values(state=JobState.CANCELLED.value, finished_at=now, **_step(now))
    )
    running = sa.and_(jobs.c.id == job_id, jobs.c.state.in_(_values(RUNNING)))
    await tx.execute(jobs.update().where(running).values(cancel_requested=True))
    job = await get(tx, job_id)
    return None if job is None else job.state


async def place(tx: Tx, job_id: str) -> int | None:
    """1 is next; None: it does not wait."""
    waiting = await _waiting_ids(tx)
    return waiting.index(job_id) + 1 if job_id in waiting else None


async def _waiting_ids(tx: Tx) -> list[str]:
    waiting = (
        sa.select(jobs.c.id).where(jobs.c.state == JobState.QUEUED.value).order_by(*_claim_order())
    )
    return [row.id for row in await tx.execute(waiting)]


async def line(tx: Tx) -> list[Job]:
    """Running first, then waiting in the order of their claims."""
    running = sa.select(jobs).where(jobs.c.state.in_(_values(RUNNING))).order_by(jobs.c.started_at)
    waiting = sa.select(jobs).where(jobs.c.state == JobState.QUEUED.value).order_by(*_claim_order())
    return await _many(tx, running) + await _many(tx, waiting)


async def of_person(tx: Tx, person: str, *, limit: int = 20) -> list[Job]:
    newest = sa.select(jobs).where(jobs.c.person == person).order_by(jobs.c.id.desc())
    return await _many(tx, newest.limit(limit))


async def unsent(tx: Tx, platforms: Collection[str], *, limit: int = 100) -> list[Job]:
    """Jobs of these networks whose chat shows an older version, longest waiting first."""
    named = (jobs.c.chat.startswith(f"{name}:", autoescape=True) for name in platforms)
    ours = sa.or_(sa.false(), *named)
    behind = sa.select(jobs).where(jobs.c.sent_version < jobs.c.version, ours)
    return await _many(tx, behind.order_by(jobs.c.updated_at).limit(limit))


async def mark_sent(
    tx: Tx,
    job_id: str,
    version: int,
    *,
    status_ref: str | None = None,
    result_ref: str | None = None,
) -> None:
    """The chat shows ``version`` now; an older one never takes back a newer."""
    refs = {"status_ref": status_ref, "result_ref": result_ref}
    seen = sa.case((jobs.c.sent_version < version, version), else_=jobs.c.sent_version)
    changes = {name: ref for name, ref in refs.items() if ref is not None}
    await tx.execute(jobs.update().where(jobs.c.id == job_id).values(sent_version=seen, **changes))


async def delivered(tx: Tx, job_id: str, *, now: float) -> bool:
    there = sa.and_(jobs.c.id == job_id, jobs.c.state == JobState.DELIVERING.value)
    done = jobs.update().where(there)
    done = done.values(state=JobState.DONE.value, finished_at=now, **_step(now))
    return (await tx.execute(done)).rowcount == 1


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
    unused = _values({JobState.FAILED, JobState.CANCELLED})
    named = sa.select(jobs.c.name).where(jobs.c.person == person, jobs.c.state.not_in(unused))
    return frozenset(row.name for row in await tx.execute(named))


async def _many(tx: Tx, statement: sa.Executable) -> list[Job]:
    return [to_job(row) for row in (await tx.execute(statement)).mappings()]
