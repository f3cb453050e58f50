"""What a job is and which way it may go. Every transition there is stands in NEXT.

A Job is a value: it changes only by `replace` or `enter`, and a row in the database changes only
through `storage.job_store`, where every write carries the fence.
"""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from trainer.params import TrainParams
from trainer.run import Progress

# Kinds of subject, and the general noun that stands beside the trigger.
CLASS_WORDS = {"person": "person", "character": "character", "style": "style", "thing": "object"}
MIN_PHOTOS = 8
MAX_PHOTOS = 25
MAX_ATTEMPTS = 3
# What a worker must know to do today's jobs right. Raise it together with a change of params,
# photos or wishes that an older worker would refuse or take wrongly: it leaves such jobs to others.
SPEC = 1

Args = Mapping[str, str | int | float]
NO_ARGS: Args = {}


class JobState(StrEnum):
    HELD = "held"  # waits for an admin's eye, where the operator wants that
    QUEUED = "queued"  # waits for a worker
    PREPARING = "preparing"  # photos become a dataset
    TRAINING = "training"
    COPYING = "copying"  # the result is checked, published, copied
    DELIVERING = "delivering"  # the artifact is safe; the chat has yet to get it
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


RUNNING = frozenset({JobState.PREPARING, JobState.TRAINING, JobState.COPYING})
FINAL = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})
LIVE = frozenset(JobState) - FINAL

_ENDS = frozenset({JobState.QUEUED, JobState.FAILED, JobState.CANCELLED})
NEXT: Mapping[JobState, frozenset[JobState]] = {
    JobState.HELD: frozenset({JobState.QUEUED, JobState.FAILED, JobState.CANCELLED}),
    # A job that comes back with a published artifact goes straight to copying.
    JobState.QUEUED: frozenset(
        {JobState.PREPARING, JobState.COPYING, JobState.FAILED, JobState.CANCELLED}
    ),
    JobState.PREPARING: _ENDS | {JobState.TRAINING},
    JobState.TRAINING: _ENDS | {JobState.COPYING},
    JobState.COPYING: _ENDS | {JobState.DELIVERING},
    JobState.DELIVERING: frozenset({JobState.DONE}),
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


def code_of(job_id: str) -> str:
    """A job's short name for people and for support."""
    return f"J-{job_id[-4:]}"


class IllegalTransitionError(Exception):
    """A job was told to go where NEXT does not lead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """One upload: ``sha256`` is its key in the blob store, ``number`` what the chat calls it.

    The rest is the person's word: ``choice`` is "use", "out" or open, ``face`` the subject's among
    several, from 1, ``caption`` a caption of their own.
    """

    sha256: str
    number: int
    file_bytes: int
    width: int = 0
    height: int = 0
    choice: str = ""
    face: int = 0
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why photo ``number`` was left out: a text key of `photo.*` and its arguments."""

    number: int
    code: str
    args: Args = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A published file; ``key`` is its place in the blob store."""

    key: str
    sha256: str
    file_bytes: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """What the training drew after ``step``, as keys of the blob store: all on one ``grid``, the
    same within 320 pixels, and each by itself. ``likeness`` is that of the faces, where some were
    recognised; 1 is what the photos have among each other.
    """

    step: int
    grid: str
    small: str = ""
    pictures: tuple[str, ...] = ()
    likeness: float | None = None

    @property
    def keys(self) -> frozenset[str]:
        return frozenset({self.grid, self.small, *self.pictures} - {""})


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The saved step that became the file; ``last`` was reached. ``best`` was recommended among
    ``compared`` ones, ``by`` is what decided: "faces", "likeness", "held_out" or "last".
    """

    step: int
    best: int
    last: int
    by: str = "last"
    compared: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedStep:
    """Another version of a finished file, published beside it: as it was after ``step``.
    ``likeness`` 0..1 of its samples to the photos, where that was measured.
    """

    step: int
    key: str
    sha256: str
    file_bytes: int
    likeness: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """``code`` is a text key of `fail.*` for the person; ``detail`` is for the admin."""

    code: str
    args: Args = field(default_factory=dict)
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One order. ``chat`` and ``person`` are ``platform:id``; times are seconds since the epoch.

    ``prepared`` counts photos done while preparing; ``wishes`` is what the person wants for the
    captions, in the caption's own JSON. ``copied_to`` is the file's name in the LoRA
    folder, empty when there is none. ``status_ref`` and ``result_ref`` are a frontend's own names
    of the two messages; ``samples_ref`` is the grid that is shown, and behind a bar its message's.
    ``chart`` is a picture's key; ``asked_samples`` counts how often the person asked for samples
    now, ``asked_finish`` that the training is to end with what there is. ``saved`` are other
    versions of the file.
    """

    id: str
    chat: str
    person: str
    name: str
    kind: str
    params: TrainParams
    photos: tuple[Photo, ...]
    created_at: float
    state: JobState = JobState.QUEUED
    priority: int = 0
    fence: int = 0
    attempts: int = 0
    version: int = 1
    sent_version: int = 0
    prepared: int = 0
    progress: Progress | None = None
    rejections: tuple[Rejection, ...] = ()
    artifact: Artifact | None = None
    copied_to: str = ""
    failure: Failure | None = None
    cancel_requested: bool = False
    status_ref: str = ""
    result_ref: str = ""
    wishes: str = ""
    samples: Samples | None = None
    samples_ref: str = ""
    chart: str = ""
    taken: Taken | None = None
    saved: tuple[SavedStep, ...] = ()
    asked_samples: int = 0
    asked_finish: bool = False
    started_at: float | None = None
    finished_at: float | None = None

    @property
    def code(self) -> str:
        return code_of(self.id)

    def enter(self, state: JobState) -> "Job":
        if state not in NEXT[self.state]:
            raise IllegalTransitionError(f"job {self.id}: {self.state} does not lead to {state}")
        return replace(self, state=state, version=self.version + 1)


ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32: no I, L, O, U


def new_id(now: float | None = None) -> str:
    """A ULID: 48 bits of milliseconds, 80 random bits; sorts by time, cannot be guessed."""
    milliseconds = int((time.time() if now is None else now) * 1000)
    value = (milliseconds << 80) | secrets.randbits(80)
    return "".join(ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))
