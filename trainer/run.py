"""The trainer's two ends: a RunSpec goes in as a file, Messages come out as JSON lines.

This is the whole protocol between whoever starts a training process and the process itself. It
is free of torch, so that both sides can import it.
"""

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from trainer.params import TrainParams

EXIT_FAILED = 1
# Stopped by SIGTERM with a checkpoint written: start the same spec again to go on (EX_TEMPFAIL).
EXIT_RESUMABLE = 75


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """One run: the base model's folder, the dataset's folder, where the file goes.

    ``work`` keeps the checkpoint and is the run's own; a second start with the same ``work`` goes
    on where the first one stopped. ``output`` is the finished ``.safetensors``.
    """

    params: TrainParams
    base: Path
    dataset: Path
    output: Path
    work: Path
    device: str = "auto"
    checkpoint_every_s: float = 120.0

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=str, indent=1)

    @classmethod
    def from_json(cls, text: str) -> "RunSpec":
        raw: dict[str, Any] = json.loads(text)
        raw["params"] = TrainParams(**raw["params"])
        for key in ("base", "dataset", "output", "work"):
            raw[key] = Path(raw[key])
        return cls(**raw)


class Phase(StrEnum):
    LOADING = "loading"  # imports and the base model: a silent minute looks like a hang
    ENCODING = "encoding"  # captions and pictures, once
    TRAINING = "training"
    SAVING = "saving"


class Failure(StrEnum):
    DATASET = "dataset"  # no usable picture in the folder
    BASE = "base"  # the base model cannot be loaded
    MEMORY = "memory"  # the device ran out of memory
    DIVERGED = "diverged"  # loss not finite
    STALLED = "stalled"  # no message for too long
    KILLED = "killed"  # by the kernel, or by somebody
    ARTIFACT = "artifact"  # the result did not pass its own check
    INTERNAL = "internal"  # ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where the run is; ``loss`` is smoothed, ``eta_s`` counts the rest of the training."""

    phase: Phase
    step: int = 0
    total: int = 0
    loss: float | None = None
    steps_per_s: float | None = None
    eta_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    steps: int
    loss: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """``detail`` is for the operator's log, never for the chat."""

    code: Failure
    detail: str


Message = Progress | Finished | Failed


def to_line(message: Message) -> str:
    return json.dumps({"type": type(message).__name__, **asdict(message)})


def from_line(line: str) -> Message | None:
    """The message in one line of output, or None for any other line (a library's print, say)."""
    if not line.startswith("{"):
        return None
    try:
        raw = json.loads(line)
        match raw.pop("type", None):
            case "Progress":
                return Progress(**{**raw, "phase": Phase(raw["phase"])})
            case "Finished":
                return Finished(**raw)
            case "Failed":
                return Failed(**{**raw, "code": Failure(raw["code"])})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return None
