"""Muon for the matrices and AdamW for the rest: as many steps as a small machine has go further.

The update of a matrix is its momentum with all singular values near one (K. Jordan, "Muon", 2024),
scaled so that one rate serves both (arXiv:2502.16982, section 2.2).
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
TURNS = 5
QUINTIC = (3.4445, -4.7750, 2.0315)
DECAY = 1e-3
LEAST = 16  # rows and columns of a matrix that is worth it


class Muon:
    """Both optimizers as one; ``lr`` is set before each step."""

    def __init__(self, weights: Iterable[Tensor]) -> None:
        every = list(weights)
        self.matrices = [w for w in every if w.ndim > 1 and min(len(w), w[0].numel()) >= LEAST]
        mine = {id(w) for w in self.matrices}
        rest = [w for w in every if id(w) not in mine]
        self.adam = torch.optim.AdamW(rest, weight_decay=0.0, betas=(0.9, 0.99), fused=True)
        self.moments = [torch.zeros_like(w) for w in self.matrices]
        self.lr = 0.0

    def zero_grad(self) -> None:
        self.adam.zero_grad(set_to_none=True)
        for weight in self.matrices:
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        for group in self.adam.param_groups:
            group["lr"] = self.lr
        self.adam.step()
        for weight, moment in zip(self.matrices, self.moments, strict=True):
            if weight.grad is None:
                continue
            moment.lerp_(weight.grad, 1 - MOMENTUM)
            ahead = weight.grad.lerp(moment, MOMENTUM)
            update = orthogonal(ahead.reshape(len(ahead), -1)).reshape(weight.shape)
            size = 0.2 * math.sqrt(max(len(weight), weight[0].numel()))
            weight.mul_(1 - self.lr * DECAY).sub_(self.lr * size * update)

    def state_dict(self) -> dict[str, Any]:
        return {"adam": self.adam.state_dict(), "moments": self.moments}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.adam.load_state_dict(state["adam"])
        for moment, saved in zip(self.moments, state["moments"], strict=True):
            moment.copy_(saved)


def orthogonal(matrix: Tensor) -> Tensor:
    """(r, c): the same directions, with singular values between about 0.7 and 1.2."""
    a, b, c = QUINTIC
    wide: Tensor = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x: Tensor = wide / (wide.norm() + 1e-7)
    for _ in range(TURNS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return x if wide is matrix else x.T
