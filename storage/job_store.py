"""Jobs in the database. After the claim every write says WHERE id AND fence: no row, no right."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storage import job_line, pause_store
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
    SavedStep,
    Taken,
)
from storage.job_row import text_of, to_job, to_row
from storage.schema import QUEUED, jobs
from trainer.run import Progress

CLAIMS = 0x6C6F7262  # Postgres' advisory lock of whoever claims; any number that is ours
AT_HAND = 3  # candidates, should the first be held by somebody

OWNER = ("owner", "owner_host", "owner_boot", "owner_pid", "owner_started")
FREE = dict.fromkeys(("lease_until", *OWNER))

# Made once: a worker says them at every look.
_LOCK = sa.select(jobs.c.id).where(jobs.c.id.in_(sa.bindparam("ids", expanding=True)), QUEUED)
_LOCK = _LOCK.with_for_update(skip_locked=True)
_TAKE = (
    jobs.update()
    .where(jobs.c.id == sa.bindparam("wanted"), QUEUED)
    .values(
        state=sa.case(
            (jobs.c.artifact.is_not(None), JobState.COPYING.value), else_=JobState.PREPARING.value
        ),
        fence=jobs.c.fence + 1,
        attempts=jobs.c.attempts + 1,
        version=jobs.c.version + 1,
        started_at=sa.func.coalesce(jobs.c.started_at, sa.bindparam("at")),
        updated_at=sa.bindparam("at"),
        progress=None,
        prepared=0,
        lease_until=sa.bindparam("until"),
        **{name: sa.bindparam(f"its_{name}") for name in OWNER},
    )
    .returning(*jobs.c)
)


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
    """What the person wants of a job that runs."""

    cancel_requested: bool = False
    asked_samples: int = 0
    asked_finish: bool = False


def _sources(state: JobState) -> list[str]:
    return [source.value for source, targets in NEXT.items() if state in targets]


def values(states: Collection[JobState]) -> list[str]:
    return [state.value for state in states]


async def add(tx: Tx, job: Job) -> None:
    await tx.execute(jobs.insert().values(to_row(job)))


async def get(tx: Tx, job_id: str) -> Job | None:
    found = await many(tx, sa.select(jobs).where(jobs.c.id == job_id))
    return found[0] if found else None


async def state_of(tx: Tx, job_id: str) -> JobState | None:
    """Also of a job that this version cannot read."""
    found = (await tx.execute(sa.select(jobs.c.state).where(jobs.c.id == job_id))).scalar()
    return None if found is None else JobState(found)


async def claim(  # noqa: PLR0913  what a worker may say of itself
    tx: Tx,
    owner: Owner,
    *,
    lease_s: float,
    now: float,
    bases: Collection[str] | None = None,
    job_id: str | None = None,
    most_running: int = 0,
) -> Job | None:
    """Take the best job that waits and that a worker with these ``bases`` can do; nobody gets more
    than ``most_running`` at once, if that is set. One with a published artifact only needs its
    copy. In a pause nothing is taken, except what somebody at this machine asks for by its id.
    """
    if job_id is None:
        job_id = await _best(tx, bases, most_running, now)
    if job_id is None:
        return None
    who = (owner.name, owner.host, owner.boot_id, owner.pid, owner.started)
    its = {f"its_{name}": value for name, value in zip(OWNER, who, strict=True)}
    taking = {"wanted": job_id, "at": now, "until": now + lease_s}
    found = await many(tx, _TAKE, taking | its)
    return found[0] if found else None


async def _best(tx: Tx, bases: Collection[str] | None, most_running: int, now: float) -> str | None:
    """The job to be claimed, locked until this transaction ends."""
    if tx.dialect.name == "postgresql":
        # One after another, in a moment each: what somebody just took counts for the next.
        await tx.execute(sa.select(sa.func.pg_advisory_xact_lock(CLAIMS)))
    if await pause_store.holds(tx, now=now):
        return None
    found = await job_line.first(tx, limit=AT_HAND, bases=bases, most_running=most_running)
    ids = [one.id for one in found] or await job_line.published(tx, limit=AT_HAND)
    if tx.dialect.name != "postgresql":
        return ids[0] if ids else None  # nobody else writes
    # One that somebody else is about to change, like a cancel, is left to them.
    locked = await tx.execute(_LOCK, {"ids": ids})
    return min((row.id for row in locked), key=ids.index, default=None)


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
    renewed = (
        jobs.update()
        .where(held(job_id, fence))
        .values(lease_until=now + lease_s, **changes)
        .returning(jobs.c.cancel_requested, jobs.c.asked_samples, jobs.c.asked_finish)
    )
    row = (await tx.execute(renewed)).first()
    return None if row is None else Renewal(*row)


def held(job_id: str, fence: int) -> sa.ColumnElement[bool]:
    """The job by that claim, and still running: a released lease is a lost one."""
    return sa.and_(
        jobs.c.id == job_id,
        jobs.c.fence == fence,
        jobs.c.state.in_(values(RUNNING)),
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
    taken: Taken | None = None,
) -> bool:
    """Go to ``state`` if this claim still holds and NEXT leads there. False: it does not."""
    changes: dict[str, Any] = {
        "rejections": text_of(rejections),
        "artifact": text_of(artifact),
        "failure": text_of(failure),
        "taken": text_of(taken),
        "copied_to": copied_to,
    }
    changes = {name: value for name, value in changes.items() if value is not None}
    if state not in RUNNING:
        changes |= FREE
    if state in FINAL:
        changes["finished_at"] = now
    moved = (
        jobs.update()
        .where(held(job_id, fence), jobs.c.state.in_(_sources(state)))
        .values(state=state.value, progress=None, **step(now), **changes)
    )
    return (await tx.execute(moved)).rowcount == 1


def step(now: float) -> dict[str, Any]:
    """Every change that a person can see raises the version in the same statement."""
    return {"version": jobs.c.version + 1, "updated_at": now}


async def save_artifact(
    tx: Tx, job_id: str, fence: int, artifact: Artifact, saved: tuple[SavedStep, ...] = ()
) -> bool:
    """Published: from here on a later claim only copies. ``saved`` lie beside it."""
    made = {"artifact": text_of(artifact), "saved": text_of(saved)}
    published = jobs.update().where(held(job_id, fence)).values(made)
    return (await tx.execute(published)).rowcount == 1


async def requeue(tx: Tx, job_id: str, fence: int, *, now: float, counted: bool) -> bool:
    """Back to the queue; not ``counted`` takes the attempt back, as after a deploy. A job that is
    to be cancelled does not wait again.
    """
    gone = jobs.c.cancel_requested
    back = (
        jobs.update()
        .where(held(job_id, fence))
        .values(
            state=sa.case((gone, JobState.CANCELLED.value), else_=JobState.QUEUED.value),
            finished_at=sa.case((gone, now), else_=None),
            attempts=jobs.c.attempts - (0 if counted else 1),
            progress=None,
            **step(now),
            **FREE,
        )
    )
    return (await tx.execute(back)).rowcount == 1


async def request_cancel(tx: Tx, job_id: str, *, now: float) -> JobState | None:
    """A waiting job is cancelled at once, a running one is told; the state it is in afterwards."""
    waits = jobs.c.state.in_(values({JobState.QUEUED, JobState.HELD}))
    runs = jobs.c.state.in_(values(RUNNING))
    # One statement: between two of them it could be claimed, or given back.
    told = (
        jobs.update()
        .where(jobs.c.id == job_id, sa.or_(waits, runs))
        .values(
            state=sa.case((waits, JobState.CANCELLED.value), else_=jobs.c.state),
            finished_at=sa.case((waits, now), else_=jobs.c.finished_at),
            version=jobs.c.version + sa.case((waits, 1), else_=0),
            updated_at=sa.case((waits, now), else_=jobs.c.updated_at),
            cancel_requested=sa.or_(runs, jobs.c.cancel_requested),
        )
    )
    await tx.execute(told)
    job = await get(tx, job_id)
    return None if job is None else job.state


async def mark_sent(
    tx: Tx,
    job_id: str,
    version: int,
    *,
    status_ref: str | None = None,
    result_ref: str | None = None,
    samples_ref: str | None = None,
) -> None:
    """The chat shows ``version`` now; an older one never takes back a newer."""
    refs = {"status_ref": status_ref, "result_ref": result_ref, "samples_ref": samples_ref}
    seen = sa.case((jobs.c.sent_version < version, version), else_=jobs.c.sent_version)
    changes = {name: ref for name, ref in refs.items() if ref is not None}
    await tx.execute(jobs.update().where(jobs.c.id == job_id).values(sent_version=seen, **changes))


async def delivered(tx: Tx, job_id: str, *, now: float) -> bool:
    there = sa.and_(jobs.c.id == job_id, jobs.c.state == JobState.DELIVERING.value)
    done = jobs.update().where(there)
    done = done.values(state=JobState.DONE.value, finished_at=now, **step(now))
    return (await tx.execute(done)).rowcount == 1


async def many(
    tx: Tx, statement: sa.Executable, values: Mapping[str, object] | None = None
) -> list[Job]:
    return [to_job(row) for row in (await tx.execute(statement, values)).mappings()]
