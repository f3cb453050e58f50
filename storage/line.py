"""The waiting jobs in another order, as an admin wants it. Pure."""

from collections.abc import Sequence

from storage.job import Job

MOVES = ("first", "up", "down")


def moved(waiting: Sequence[Job], job_id: str, move: str) -> list[Job]:
    """The same jobs with one of them elsewhere. ``move`` is one of MOVES."""
    ids = [job.id for job in waiting]
    if job_id not in ids or move not in MOVES:
        return list(waiting)
    at = ids.index(job_id)
    there = {"first": 0, "up": at - 1, "down": at + 1}[move]
    others = [*waiting[:at], *waiting[at + 1 :]]
    there = max(0, min(there, len(others)))
    return [*others[:there], waiting[at], *others[there:]]


def priorities(before: Sequence[Job], after: Sequence[Job]) -> dict[str, int]:
    """Which jobs need which priority, so that they are claimed in the order of ``after``. Whoever
    stands behind the last that moved keeps theirs, and the fairness that goes with it.
    """
    changed = [at for at, pair in enumerate(zip(before, after, strict=True)) if pair[0] != pair[1]]
    if not changed:
        return {}
    last = changed[-1]
    behind = max((job.priority for job in after[last + 1 :]), default=0)
    return {job.id: behind + last + 1 - at for at, job in enumerate(after[: last + 1])}
