"""The learning rate at each step, as a share of its peak. Pure, so a resume needs no state."""

import math

from trainer.params import TrainParams


def share(step: int, params: TrainParams) -> float:
    """Linear warm-up, then the named course down to zero at the last step (or none)."""
    warm = round(params.warmup * params.max_steps)
    if step < warm:
        return (step + 1) / (warm + 1)
    if params.lr_schedule == "constant":
        return 1.0
    done = (step - warm) / max(1, params.max_steps - warm)
    if params.lr_schedule == "linear":
        return 1.0 - done
    return 0.5 * (1.0 + math.cos(math.pi * done))
