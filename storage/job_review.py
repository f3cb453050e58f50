"""Jobs that wait for an admin's eye, where the operator wants that before any training."""

import sqlalchemy as sa

from storage.database import Tx
from storage.job import Failure, Job, JobState
from storage.job_row import text_of
from storage.job_store import many, step
from storage.schema import jobs

REFUSED = Failure(code="fail.review")


async def held(tx: Tx) -> list[Job]:
    waiting = sa.select(jobs).where(jobs.c.state == JobState.HELD.value)
    return await many(tx, waiting.order_by(jobs.c.created_at))


async def decide(tx: Tx, job_id: str, *, approved: bool, now: float) -> bool:
    """False: somebody else was quicker, or the person has cancelled it."""
    there = jobs.update().where(jobs.c.id == job_id, jobs.c.state == JobState.HELD.value)
    if approved:
        decided = there.values(state=JobState.QUEUED.value, **step(now))
    else:
        decided = there.values(
            state=JobState.FAILED.value, failure=text_of(REFUSED), finished_at=now, **step(now)
        )
    return (await tx.execute(decided)).rowcount == 1
