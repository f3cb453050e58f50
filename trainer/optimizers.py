"""The optimizers by name, each from its library, and their state as plain tensors and numbers."""

import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from trainer.families.family import Traits
from trainer.lora import Pair
from trainer.params import TrainParams


class MissingOptimizerError(Exception):
    """Its library is not installed, or does not work here."""


def make(pairs: Sequence[Pair], traits: Traits, params: TrainParams) -> Optimizer:
    """One group for the denoiser, one for the text encoders; ``peak`` is each one's own rate."""
    denoiser = next(iter(traits.parts))
    groups: list[dict[str, Any]] = []
    for text, rate in ((False, params.learning_rate), (True, params.text_encoder_lr)):
        weights = [w for p in pairs if (p.part != denoiser) is text for w in (p.down, p.up)]
        if weights:
            groups.append({"params": weights, "lr": rate, "peak": rate})
    return MAKERS[params.optimizer](groups, params)


def _adamw(groups: list[dict[str, Any]], params: TrainParams) -> Optimizer:
    # One kernel for all weights; on the CPU it is also the quickest.
    return torch.optim.AdamW(groups, weight_decay=params.weight_decay, fused=True)


def _adamw8bit(groups: list[dict[str, Any]], params: TrainParams) -> Optimizer:
    try:
        from bitsandbytes.optim import AdamW8bit
    except Exception as error:
        # It looks for its own CUDA library while it is imported, and may fail in any way.
        raise MissingOptimizerError(f"bitsandbytes cannot be used here: {error}") from error
    made: Optimizer = AdamW8bit(groups, weight_decay=params.weight_decay)
    return made


def _adafactor(groups: list[dict[str, Any]], params: TrainParams) -> Optimizer:
    """With the learning rate as given, not relative to the weights' size (arXiv:1804.04235)."""
    return torch.optim.Adafactor(groups, weight_decay=params.weight_decay)


def _prodigy(groups: list[dict[str, Any]], params: TrainParams) -> Optimizer:
    """It finds the rate itself (arXiv:2306.06101): what is given is a factor, 1 as a rule."""
    try:
        from prodigyopt import Prodigy
    except ImportError as error:
        raise MissingOptimizerError("Prodigy needs the package prodigyopt") from error
    made: Optimizer = Prodigy(
        groups,
        weight_decay=params.weight_decay,
        use_bias_correction=True,
        safeguard_warmup=True,
    )
    return made


MAKERS = {
    "adamw": _adamw,
    "adamw8bit": _adamw8bit,
    "adafactor": _adafactor,
    "prodigy": _prodigy,
}


def set_rate(optimizer: Optimizer, share: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share


def pack(optimizer: Optimizer) -> tuple[dict[str, Tensor], str]:
    """Its whole state: tensors under ``number.name``, and everything else as JSON."""
    whole = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    others: dict[str, dict[str, Any]] = {}
    for number, values in whole["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{number}.{name}"] = value
            else:
                others.setdefault(str(number), {})[name] = value
    return tensors, json.dumps({"groups": whole["param_groups"], "others": others})


def unpack(optimizer: Optimizer, tensors: dict[str, Tensor], text: str) -> None:
    """Put back what ``pack`` gave, bit for bit; ``load_state_dict`` would cast some of it."""
    read = json.loads(text)
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for group, saved in zip(optimizer.param_groups, read["groups"], strict=True):
        before = {name: value for name, value in group.items() if name != "params"}
        # JSON has no tuples.
        group.update(
            {
                name: tuple(value) if isinstance(before.get(name), tuple) else value
                for name, value in saved.items()
                if name != "params"
            }
        )
    for number, weight in enumerate(weights):
        prefix = f"{number}."
        state: dict[str, Any] = dict(read["others"].get(str(number), {}))
        for name, value in tensors.items():
            if name.startswith(prefix):
                state[name.removeprefix(prefix)] = value.to(_home(name, optimizer, weight))
        if state:
            optimizer.state[weight] = state


def _home(name: str, optimizer: Optimizer, weight: Tensor) -> torch.device:
    """Only a fused AdamW counts its steps on the device."""
    counted_here = name.endswith(".step") and not optimizer.defaults.get("fused")
    return torch.device("cpu") if counted_here else weight.device
