"""The line of jobs as lists show it, and in another order, as an admin wants it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.job import Job, JobState, code_of

MOVES = ("first", "up", "down")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One job of the line, as far as lists and estimates ask: without photos and parameters."""

    id: str
    chat: str
    person: str
    name: str
    base_model: str
    state: JobState
    priority: int
    created_at: float
    started_at: float | None = None

    @property
    def code(self) -> str:
        return code_of(self.id)


def entry_of(job: Job) -> Entry:
    return Entry(
        id=job.id,
        chat=job.chat,
        person=job.person,
        name=job.name,
        base_model=job.params.base_model,
        state=job.state,
        priority=job.priority,
        created_at=job.created_at,
        started_at=job.started_at,
    )


def moved(waiting: Sequence[Entry], job_id: str, move: str) -> list[Entry]:
    """The same jobs with one of them elsewhere. ``move`` is one of MOVES."""
    ids = [job.id for job in waiting]
    if job_id not in ids or move not in MOVES:
        return list(waiting)
    at = ids.index(job_id)
    there = {"first": 0, "up": at - 1, "down": at + 1}[move]
    others = [*waiting[:at], *waiting[at + 1 :]]
    there = max(0, min(there, len(others)))
    return [*others[:there], waiting[at], *others[there:]]


def priorities(before: Sequence[Entry], after: Sequence[Entry]) -> dict[str, int]:
    """Which jobs need which priority, so that they are claimed in the order of ``after``. Whoever
    stands behind the last that moved keeps theirs, and the fairness that goes with it.
    """
    changed = [at for at, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]
    if not changed:
        return {}
    last = changed[-1]
    behind = max((job.priority for job in after[last + 1 :]), default=0)
    return {job.id: behind + last + 1 - at for at, job in enumerate(after[: last + 1])}
