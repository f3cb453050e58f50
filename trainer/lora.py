"""Where the low-rank pairs go in (arXiv:2106.09685), and how they are found again."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn

from trainer.families import sd15
from trainer.params import TrainParams

ADAPTER = "default"


@dataclass(frozen=True, slots=True)
class Pair:
    """One module's pair under its path in the base model: ``down`` (r, in), ``up`` (out, r); a
    1x1 convolution's have two more axes of size one.
    """

    part: str
    path: str
    down: nn.Parameter
    up: nn.Parameter


def inject(model: sd15.Model, params: TrainParams) -> list[Pair]:
    """Add the pairs, in fp32, with ``up`` zero: at the start the model is the base. The draw of
    ``down`` depends on the seed alone.
    """
    everything = params.targets == "all"
    torch.manual_seed(params.seed)
    unet = sd15.UNET_ATTENTION + (sd15.UNET_REST if everything else ())
    model.unet.add_adapter(_config(params, unet), adapter_name=ADAPTER)
    pairs = list(_pairs("unet", model.unet))
    if params.text_encoder_lr:
        text = sd15.TEXT_ATTENTION + (sd15.TEXT_REST if everything else ())
        model.text_encoder.add_adapter(_config(params, text), adapter_name=ADAPTER)
        pairs += _pairs("te", model.text_encoder)
    for pair in pairs:
        pair.down.data = pair.down.data.float()
        pair.up.data = pair.up.data.float()
    return pairs


def _config(params: TrainParams, targets: tuple[str, ...]) -> LoraConfig:
    return LoraConfig(
        r=params.rank,
        lora_alpha=params.alpha,  # type: ignore[arg-type]  # it divides by it
        target_modules=list(targets),
    )


def _pairs(part: str, module: Any) -> Iterator[Pair]:
    for path, layer in module.named_modules():
        if isinstance(layer, LoraLayer):
            a: Any = layer.lora_A[ADAPTER]
            b: Any = layer.lora_B[ADAPTER]
            yield Pair(part, path, a.weight, b.weight)


def delta_norm(down: Tensor, up: Tensor) -> float:
    """The Frobenius norm of ``up @ down``, through two r x r products."""
    a, b = down.flatten(1).double(), up.flatten(1).double()
    return float(((b.T @ b) * (a @ a.T)).sum().clamp(min=0).sqrt())
