"""The other processes that train the same run, one on each device; alone as a rule."""

import os
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import nn


class Comrades(Protocol):
    """``rank`` of ``count``; rank 0 speaks and writes."""

    rank: int
    count: int

    def share_gradients(self, weights: Sequence[nn.Parameter]) -> None:
        """Replace every gradient by the mean over all."""

    def agree(self, flag: bool) -> bool:  # noqa: FBT001
        """Rank 0's flag, for all: they have to leave the loop at the same step."""


class Alone:
    rank = 0
    count = 1

    def share_gradients(self, weights: Sequence[nn.Parameter]) -> None:
        pass

    def agree(self, flag: bool) -> bool:  # noqa: FBT001
        return flag


class Many:
    """Started by ``torch.distributed.run`` (or ``accelerate launch``, which uses it): each process
    is told its place, and accelerate finds its device and the others.
    """

    def __init__(self, device: torch.device) -> None:
        from accelerate import PartialState

        self._state: Any = PartialState(cpu=device.type == "cpu")
        self.rank: int = self._state.process_index
        self.count: int = self._state.num_processes
        self.device: torch.device = self._state.device

    def share_gradients(self, weights: Sequence[nn.Parameter]) -> None:
        from accelerate.utils import reduce

        # One message for all of them: each has its price, whatever its size.
        grads = [weight.grad for weight in weights if weight.grad is not None]
        flat: Any = reduce(torch.cat([grad.flatten() for grad in grads]), reduction="mean")
        for grad, part in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
            grad.copy_(part.view_as(grad))

    def agree(self, flag: bool) -> bool:  # noqa: FBT001
        from accelerate.utils import broadcast

        told: Any = broadcast(torch.tensor(float(flag), device=self.device))
        return bool(told)


def find(devices: int, device: torch.device) -> Comrades:
    if devices > 1 and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return Many(device)
    return Alone()
