"""Priorities that an admin gives to waiting jobs."""

from collections.abc import Mapping

from storage.database import Tx
from storage.job import JobState
from storage.job_store import step
from storage.schema import jobs


async def write(tx: Tx, wanted: Mapping[str, int], *, now: float) -> None:
    """Jobs that have begun meanwhile stay as they are."""
    for job_id, priority in wanted.items():
        waits = jobs.update().where(jobs.c.id == job_id, jobs.c.state == JobState.QUEUED.value)
        await tx.execute(waits.values(priority=priority, **step(now)))
