"""What to try when a run does not work as planned: once more, in a safer or a lighter way.

Where it can be foreseen that the memory will not do, the run begins with the lighter plan, and has
its second try still before it. The new plan is kept in the run's folder, so that a run that is
killed after it goes on with it.
"""

import importlib.util
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainer import lighter, memory, on_disk
from trainer.params import TrainParams
from trainer.run import Extra, Failure, RunSpec

NAME = "plan.json"
CHECKPOINT = "checkpoint.safetensors"
CALMER = 1 / 3  # of the learning rate, after a loss that was not finite


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that were ``free`` before anything was loaded; None: nobody can say. ``stays``: the
    base remains loaded after the run, all of it.
    """

    free: int | None = None
    stays: bool = False


ANY = Room()


def read(spec: RunSpec) -> RunSpec:
    """The run as it was planned anew, if it was."""
    changes = _kept(spec.work).get("changes", {})
    try:
        return replace(spec, params=lighter.changed(spec.params, changes))
    except (ValueError, TypeError):
        return spec


def before(spec: RunSpec, room: Room) -> dict[str, Extra] | None:
    """What to set instead before anything is loaded, because as it is the run would not fit; None:
    begin. Raises ``memory.NoRoomError`` where not even the lightest plan might fit.
    """
    if room.free is None or not _is_measured(spec) or spec.devices > 1:
        return None
    if (spec.work / NAME).exists() or (spec.work / CHECKPOINT).exists():
        return None  # it has begun already, and fitted
    need = memory.estimate(spec.params, **_how(spec, room))
    if need is None or need.fits(room.free):
        return None
    changes = _that_fits(spec, room)
    if changes:
        _keep(spec.work, Failure.MEMORY, changes, foreseen=True)
    elif not need.might_fit(room.free):
        raise memory.NoRoomError(
            f"{spec.params.base_model} needs about {need.peak / 1e9:.1f} GB of the GPU as planned, "
            f"and too much in every lighter way; {room.free / 1e9:.1f} GB are free"
        )
    return changes


def after(spec: RunSpec, cause: Failure, room: Room = ANY) -> dict[str, Extra] | None:
    """What to set instead, or None: it was planned anew before, or nothing would help."""
    kept = _kept(spec.work)
    if (spec.work / NAME).exists() and not kept.get("foreseen"):
        return None
    changes: dict[str, Extra] | None = None
    if cause is Failure.DIVERGED:
        changes = _safer(spec.params)
    elif cause is Failure.MEMORY:
        known = room.free is not None and _is_measured(spec)
        changes = _that_fits(spec, room, failed=True) if known else lighter.unmeasured(spec.params)
    if changes:
        _keep(spec.work, cause, {**kept.get("changes", {}), **changes})
    return changes or None


def _is_measured(spec: RunSpec) -> bool:
    params = spec.params
    if not params.memory_check or memory.estimate(params) is None:
        return False
    return memory.is_known(params.family, on_disk.numbers_of(spec.base))


def _how(spec: RunSpec, room: Room) -> dict[str, bool]:
    return {"samples": bool(spec.prompts), "stays": room.stays}


def _that_fits(spec: RunSpec, room: Room, *, failed: bool = False) -> dict[str, Extra] | None:
    eight_bit = importlib.util.find_spec("bitsandbytes") is not None
    how = _how(spec, room)
    return lighter.first_that_fits(
        spec.params, room.free or 0, eight_bit=eight_bit, failed=failed, **how
    )


def _kept(work: Path) -> dict[str, Any]:
    try:
        read: Any = json.loads((work / NAME).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) and isinstance(read.get("changes"), dict) else {}


def _keep(work: Path, cause: Failure, changes: dict[str, Extra], *, foreseen: bool = False) -> None:
    making = work / f"{NAME}.tmp"
    whole = {"cause": cause, "changes": changes, "foreseen": foreseen}
    making.write_text(json.dumps(whole), encoding="ascii")
    with making.open("rb") as file:
        os.fsync(file.fileno())
    making.rename(work / NAME)


def _safer(params: TrainParams) -> dict[str, Extra]:
    """A third of the rate, gradients held, and no half precision with its narrow range."""
    changes: dict[str, Extra] = {
        "learning_rate": params.learning_rate * CALMER,
        "max_grad_norm": min(params.max_grad_norm or 1.0, 1.0),
        "warmup": max(params.warmup, 0.1),
    }
    if params.text_encoder_lr:
        changes["text_encoder_lr"] = params.text_encoder_lr * CALMER
    if params.alpha > params.rank:
        changes["alpha"] = float(params.rank)
    if params.precision == "fp16":
        changes["precision"] = "bf16"
    return changes
