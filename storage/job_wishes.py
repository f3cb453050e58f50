"""What a person asks of a running training, and what it shows on its way."""

from typing import Any

import sqlalchemy as sa

from storage.database import Tx
from storage.job import JobState, Samples
from storage.job_row import text_of
from storage.job_store import held, step
from storage.schema import jobs


async def ask_samples(tx: Tx, job_id: str) -> bool:
    """Samples now, of a job that trains. False: it does not train."""
    return await _ask(tx, job_id, {"asked_samples": jobs.c.asked_samples + 1})


async def ask_finish(tx: Tx, job_id: str, *, now: float) -> bool:
    """Let a job that trains end with what there is. It stays asked, whatever workers go through."""
    return await _ask(tx, job_id, {"asked_finish": True, **step(now)})


async def _ask(tx: Tx, job_id: str, changes: dict[str, Any]) -> bool:
    trains = sa.and_(jobs.c.id == job_id, jobs.c.state == JobState.TRAINING.value)
    return (await tx.execute(jobs.update().where(trains).values(changes))).rowcount == 1


async def save_samples(tx: Tx, job_id: str, fence: int, samples: Samples, *, now: float) -> bool:
    """The newest pictures; the chat shows them in place of those before."""
    drawn = jobs.update().where(held(job_id, fence)).values(samples=text_of(samples), **step(now))
    return (await tx.execute(drawn)).rowcount == 1


async def save_chart(tx: Tx, job_id: str, fence: int, key: str) -> bool:
    """It is shown when somebody asks for it, so it is no news."""
    drawn = jobs.update().where(held(job_id, fence)).values(chart=key)
    return (await tx.execute(drawn)).rowcount == 1
