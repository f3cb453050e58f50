"""What to try when a run does not work as planned: once more, in a safer or a lighter way.

The new plan is kept in the run's folder, so that a run that is killed after it goes on with it.
"""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from trainer.params import TrainParams
from trainer.run import Extra, Failure, RunSpec

NAME = "plan.json"
CALMER = 1 / 3  # of the learning rate, after a loss that was not finite


def read(spec: RunSpec) -> RunSpec:
    """The run as it was planned anew, if it was."""
    try:
        changes = json.loads((spec.work / NAME).read_text(encoding="ascii"))["changes"]
        return replace(spec, params=replace(spec.params, **changes))
    except (OSError, ValueError, KeyError, TypeError):
        return spec


def after(spec: RunSpec, cause: Failure) -> dict[str, Extra] | None:
    """What to set instead, or None: it was planned anew before, or nothing would help."""
    if (spec.work / NAME).exists():
        return None
    makers: dict[Failure, Callable[[TrainParams], dict[str, Extra]]] = {
        Failure.DIVERGED: _safer,
        Failure.MEMORY: _lighter,
    }
    changes = makers[cause](spec.params) if cause in makers else {}
    if changes:
        _keep(spec.work, cause, changes)
    return changes or None


def _keep(work: Path, cause: Failure, changes: dict[str, Extra]) -> None:
    making = work / f"{NAME}.tmp"
    making.write_text(json.dumps({"cause": cause, "changes": changes}), encoding="ascii")
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


def _lighter(params: TrainParams) -> dict[str, Extra]:
    """The same steps in less memory: activations twice, and one picture at a time."""
    changes: dict[str, Extra] = {}
    if not params.gradient_checkpointing:
        changes["gradient_checkpointing"] = True
    if params.batch_size > 1:
        most = min(256, params.gradient_accumulation * params.batch_size)
        changes |= {"batch_size": 1, "gradient_accumulation": most}
    return changes
