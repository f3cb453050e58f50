"""What is counted of a job on its way, for /metrics. Pure: the clock comes in."""

from collections import Counter
from dataclasses import dataclass

from storage.job import Failure, Job, JobState, Rejection, Taken
from storage.meter_store import (
    FAILURES,
    PHOTOS,
    QUEUE_SECONDS,
    STAGE_SECONDS,
    STEPS,
    Meter,
    timed,
)

KEPT = "kept"
COUNTED = frozenset({"rejections", "failure", "taken"})
FORWARD = frozenset({JobState.TRAINING, JobState.COPYING, JobState.DELIVERING})


@dataclass(slots=True)
class Stage:
    """The stage that a claimed job is in, and since when, on a clock that never jumps."""

    state: JobState
    began_at: float

    def go(self, state: JobState, now: float) -> None:
        self.state, self.began_at = state, now


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a job's state, and what came with it."""

    state: JobState
    rejections: tuple[Rejection, ...] | None = None
    failure: Failure | None = None
    taken: Taken | None = None


def claimed(job: Job) -> tuple[Meter, ...]:
    """How long it waited. Only the first claim of all ends a wait; the others are repetitions."""
    if job.fence != 1 or job.started_at is None:
        return ()
    waited = max(0.0, job.started_at - job.created_at)
    return timed(QUEUE_SECONDS, {"base": job.params.base_model}, waited)


def counted(job: Job, stage: Stage, change: Change, now: float) -> list[Meter]:
    """What this change adds. The time of a stage counts where it was gone through."""
    base = {"base": job.params.base_model}
    found: list[Meter] = []
    if change.state in FORWARD:
        took = {**base, "stage": stage.state.value}
        found += timed(STAGE_SECONDS, took, max(0.0, now - stage.began_at))
    if change.rejections is not None:
        verdicts = Counter(one.code.removeprefix("photo.") for one in change.rejections)
        verdicts[KEPT] = len(job.photos) - len({one.number for one in change.rejections})
        found += [Meter(PHOTOS, {"verdict": name}, count) for name, count in verdicts.items()]
    if change.failure is not None:
        code = change.failure.code.removeprefix("fail.")
        found.append(Meter(FAILURES, {**base, "cause": code}))
    if change.taken is not None:
        found.append(Meter(STEPS, base, change.taken.last))
    return found
