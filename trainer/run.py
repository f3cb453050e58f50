"""The trainer's two ends: a RunSpec goes in as a file, Messages come out as JSON lines.

This is the whole protocol between whoever starts a training process and the process itself. It
is free of torch, so that both sides can import it.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from trainer.params import TrainParams

EXIT_FAILED = 1
# Stopped by SIGTERM with a checkpoint written: start the same spec again to go on (EX_TEMPFAIL).
EXIT_RESUMABLE = 75

# In the run's ``work``:
ASKED = "asked"
SAVED = "saved"  # a LoRA for each saved step: 000250.safetensors
SAMPLES = "samples"  # 000250.png is the grid, 000250-1.png its first picture
SCORES = "scores"  # 000250.json is what somebody else measured on them; see `trainer.outside`


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A sample to draw. The seed is fixed, so that samples differ by the training alone; 0 as a
    side is the training's resolution.
    """

    text: str
    seed: int = 1
    width: int = 0
    height: int = 0


Extra = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One run: the base model, the dataset's folder, where the file goes.

    ``base`` is a diffusers folder or one ``.safetensors``. ``work`` keeps the checkpoint, the
    samples, the saved steps and the history, and is the run's own; a second start with the same
    ``work`` goes on where the first one stopped. ``output`` is the finished ``.safetensors``.
    ``prompts`` are drawn after each of the shares ``sample_at`` of the steps. With more than one of
    ``devices`` the run uses as many, each with batches of its own. At its end it waits for
    ``scores_wait_s`` at most for scores of its samples that somebody else measures. ``extra`` is
    the backend's own.

    While it runs, a file of the name "sample", "save" or "finish" in ``work / ASKED`` asks for
    samples now, a saved step now, or an end with what there is.
    """

    params: TrainParams
    base: Path
    dataset: Path
    output: Path
    work: Path
    device: str = "auto"
    checkpoint_every_s: float = 120.0
    prompts: tuple[Prompt, ...] = ()
    sample_at: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    save_at: tuple[float, ...] = tuple(tenth / 10 for tenth in range(1, 11))
    devices: int = 1
    scores_wait_s: float = 0.0
    extra: dict[str, Extra] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=str, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "RunSpec":
        raw: dict[str, Any] = json.loads(text)
        raw["params"] = TrainParams(**raw["params"])
        for key in ("base", "dataset", "output", "work"):
            raw[key] = Path(raw[key])
        raw["prompts"] = tuple(Prompt(**one) for one in raw.get("prompts", ()))
        for key in ("sample_at", "save_at"):
            if key in raw:
                raw[key] = tuple(raw[key])
        return cls(**raw)


class Phase(StrEnum):
    LOADING = "loading"  # imports and the base model: a silent minute looks like a hang
    ENCODING = "encoding"  # captions and pictures, once
    TRAINING = "training"
    SAMPLING = "sampling"
    SAVING = "saving"


class Failure(StrEnum):
    DATASET = "dataset"  # no usable picture in the folder
    BASE = "base"  # the base model cannot be loaded
    MEMORY = "memory"  # the device ran out of memory
    DISK = "disk"  # no room for a checkpoint, samples, or the file
    DIVERGED = "diverged"  # loss not finite
    STALLED = "stalled"  # no message for too long
    KILLED = "killed"  # by the kernel, or by somebody
    ARTIFACT = "artifact"  # the result did not pass its own check
    OPTIMIZER = "optimizer"  # its library is missing
    INTERNAL = "internal"  # ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where the run is; ``loss`` is smoothed, ``eta_s`` counts the rest of the training, and
    of the samples.
    """

    phase: Phase
    step: int = 0
    total: int = 0
    loss: float | None = None
    steps_per_s: float | None = None
    eta_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """Samples after ``step`` are drawn: ``grid`` holds them all."""

    step: int
    grid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replanned:
    """It did not work as planned, and begins again in another way: ``cause`` is why, ``changes``
    what is set instead.
    """

    cause: Failure
    changes: dict[str, Extra]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """``recommended`` is the saved step that seemed best, if they were compared; ``taken`` the one
    that became the file.
    """

    steps: int
    loss: float | None
    recommended: int | None = None
    taken: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """``detail`` is for the operator's log, never for the chat."""

    code: Failure
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A trainer that stays is done with a run; ``code`` would have been its exit code."""

    code: int


Message = Progress | Sampled | Replanned | Finished | Failed | Ended


def to_line(message: Message) -> str:
    return json.dumps({"type": type(message).__name__, **asdict(message)})


KINDS: dict[str, type[Message]] = {
    kind.__name__: kind for kind in (Progress, Sampled, Replanned, Finished, Failed, Ended)
}
ENUMS: dict[str, Callable[[Any], Any]] = {"phase": Phase, "cause": Failure}


def from_line(line: str) -> Message | None:
    """The message in one line of output, or None for any other line (a library's print, say)."""
    if not line.startswith("{"):
        return None
    try:
        raw = json.loads(line)
        kind = KINDS[raw.pop("type", "")]
        enums = ENUMS | ({"code": Failure} if kind is Failed else {})
        return kind(**raw | {name: enums[name](raw[name]) for name in enums.keys() & raw.keys()})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
