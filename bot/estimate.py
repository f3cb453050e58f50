"""When a waiting job starts, from how long this server's own past runs took. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from storage.job import RUNNING
from storage.line import Entry


@dataclass(frozen=True, slots=True)
class Far:
    """Behind the line that was read wait ``further`` jobs, some with known ``places``. They are
    taken for jobs like those of the line.
    """

    further: int = 0
    places: Mapping[str, int] = field(default_factory=dict)


NOBODY = Far()


def start_times(
    line: Sequence[Entry],
    seconds: Mapping[str, float],
    workers: int,
    now: float,
    far: Far = NOBODY,
) -> tuple[dict[str, float], float]:
    """Seconds until each job of the line starts, and until one that would be added now does.

    ``line`` is in the order of the claims, running ones first; ``seconds`` is by base model. Each
    worker takes the next job as soon as it is free.
    """
    free = [0.0] * max(1, workers)
    starts: dict[str, float] = {}
    for job in line:
        takes = seconds.get(job.base_model, 0.0)
        if job.state in RUNNING:
            takes = max(0.0, takes - (now - (job.started_at or now)))
        first = min(range(len(free)), key=free.__getitem__)
        starts[job.id] = 0.0 if job.state in RUNNING else free[first]
        free[first] += takes
    waiting = [seconds.get(job.base_model, 0.0) for job in line if job.state not in RUNNING]
    each = sum(waiting) / len(waiting) / len(free) if waiting else 0.0
    for job_id, place in far.places.items():
        starts.setdefault(job_id, min(free) + max(0, place - len(waiting) - 1) * each)
    return starts, min(free) + far.further * each
