"""Low-rank pairs beside a base model's own weights (arXiv:2106.09685), and how they are found.

A layer that gets a pair stays where it is and keeps its weights; only its class changes, to one
whose ``forward`` adds ``up(down(x)) * alpha / rank``.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.families.family import BaseError, Model, Part, Traits
from trainer.params import TrainParams


class LoraLinear(nn.Linear):
    """``lora_down`` (r, in), ``lora_up`` (out, r); ``lora_scale`` 0 switches the pair off."""

    lora_down: nn.Parameter
    lora_up: nn.Parameter
    lora_scale: float

    def forward(self, x: Tensor) -> Tensor:
        plain = functional.linear(x, self.weight, self.bias)
        if not self.lora_scale:
            return plain
        # Scaled where it is small: (..., r), not (..., out).
        narrow = functional.linear(x, self.lora_down) * self.lora_scale
        return plain + functional.linear(narrow, self.lora_up)


class LoraConv2d(nn.Conv2d):
    """``lora_down`` (r, in, kh, kw), ``lora_up`` (out, r, 1, 1)."""

    lora_down: nn.Parameter
    lora_up: nn.Parameter
    lora_scale: float

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  the base class calls it so
        plain = super().forward(input)
        if not self.lora_scale:
            return plain
        narrow = functional.conv2d(
            input, self.lora_down, None, self.stride, self.padding, self.dilation
        )
        return plain + functional.conv2d(narrow * self.lora_scale, self.lora_up)


KINDS: dict[type[nn.Module], type[LoraLinear] | type[LoraConv2d]] = {
    nn.Linear: LoraLinear,
    nn.Conv2d: LoraConv2d,
}


@dataclass(frozen=True, slots=True)
class Pair:
    """One module's pair under its path in the base model."""

    part: str
    path: str
    layer: LoraLinear | LoraConv2d

    @property
    def down(self) -> nn.Parameter:
        return self.layer.lora_down

    @property
    def up(self) -> nn.Parameter:
        return self.layer.lora_up


def inject(model: Model, traits: Traits, params: TrainParams) -> list[Pair]:
    """Add the pairs, in fp32, with ``up`` zero: at the start the model is the base. The draw of
    ``down`` depends on the seed alone.
    """
    draw = torch.Generator().manual_seed(params.seed)
    denoiser, *texts = traits.parts
    names = [denoiser, *(texts if params.text_encoder_lr else ())]
    pairs = [
        Pair(name, path, _with_pair(layer, params, draw))
        for name in names
        for path, layer in _chosen(model.network(name), traits.parts[name], params.targets)
    ]
    if not pairs:
        raise BaseError("the base model has no layer that this family's LoRA goes into")
    return pairs


def _chosen(network: Any, part: Part, targets: str) -> Iterator[tuple[str, nn.Module]]:
    ends = part.attention + (part.rest if targets == "all" else ())
    for path, layer in network.named_modules():
        meant = path.startswith(part.within) and any(f".{path}".endswith(f".{end}") for end in ends)
        if meant and type(layer) in KINDS:
            yield path, layer


def _with_pair(layer: Any, params: TrainParams, draw: torch.Generator) -> LoraLinear | LoraConv2d:
    out, *inner = layer.weight.shape
    down = torch.empty(params.rank, *inner)
    # What nn.Linear starts with: uniform in +- 1 / sqrt(inputs).
    bound = 1 / math.sqrt(down[0].numel())
    down.uniform_(-bound, bound, generator=draw)
    up = torch.zeros(out, params.rank, *(1 for _ in inner[1:]))
    layer.__class__ = KINDS[type(layer)]
    layer.lora_down = nn.Parameter(down.to(layer.weight.device))
    layer.lora_up = nn.Parameter(up.to(layer.weight.device))
    layer.lora_scale = params.alpha / params.rank
    added: LoraLinear | LoraConv2d = layer
    return added


def switched_off(pairs: Sequence[Pair]) -> AbstractContextManager[None]:
    """The base model as it is without its pairs."""
    return strengthened(pairs, 0.0)


@contextmanager
def strengthened(pairs: Sequence[Pair], factor: float) -> Iterator[None]:
    """All pairs so many times as strong."""
    scales = [pair.layer.lora_scale for pair in pairs]
    for pair in pairs:
        pair.layer.lora_scale *= factor
    try:
        yield
    finally:
        for pair, scale in zip(pairs, scales, strict=True):
            pair.layer.lora_scale = scale


def remove(pairs: Sequence[Pair]) -> None:
    """Give every layer its own class back: the base model is as it was loaded."""
    plain = {after: before for before, after in KINDS.items()}
    for pair in pairs:
        layer: Any = pair.layer
        del layer.lora_down, layer.lora_up, layer.lora_scale
        layer.__class__ = plain[type(layer)]


def weights(pairs: Sequence[Pair]) -> list[nn.Parameter]:
    return [weight for pair in pairs for weight in (pair.down, pair.up)]


def delta_norm(down: Tensor, up: Tensor) -> float:
    """The Frobenius norm of ``up @ down``, through two r x r products."""
    a, b = down.flatten(1).double(), up.flatten(1).double()
    return float(((b.T @ b) * (a @ a.T)).sum().clamp(min=0).sqrt())
