"""The optimizers by name, each from its library, and their state as plain tensors and numbers."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from trainer.families.family import Traits
from trainer.flat import FlatAdamW
from trainer.lora import Pair
from trainer.params import TrainParams

Optimizer = torch.optim.Optimizer | FlatAdamW


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
    return FlatAdamW(groups, params.weight_decay)


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


def leaves(optimizer: Optimizer) -> list[nn.Parameter]:
    """What it steps: the weights, or one flat tensor of all of a group's."""
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def pack(optimizer: Optimizer) -> tuple[dict[str, Tensor], str]:
    """Its whole state: tensors under ``number.name``, and everything else as JSON."""
    whole = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    others: dict[str, dict[str, Any]] = {}
    for number, values in whole["state"].items():
        for name, value in _level(values):
            if isinstance(value, Tensor):
                tensors[f"{number}.{name}"] = value
            else:
                others.setdefault(str(number), {})[name] = value
    return tensors, json.dumps({"groups": whole["param_groups"], "others": others})


def _level(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """One weight's state by name. bitsandbytes hands out its 8-bit part as one value, whose tables
    all weights share: a file wants each to be its own.
    """
    for name, value in values.items():
        if isinstance(value, dict):
            yield from ((inner, one.clone()) for inner, one in value.items())
        else:
            yield name, value


def unpack(optimizer: Optimizer, tensors: dict[str, Tensor], text: str) -> None:
    """Put back what ``pack`` gave, bit for bit; ``load_state_dict`` would cast some of it."""
    read = json.loads(text)
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
    count = sum(len(group["params"]) for group in read["groups"])
    states = [dict(read["others"].get(str(number), {})) for number in range(count)]
    for name, value in tensors.items():
        number, _, own = name.partition(".")
        states[int(number)][own] = value
    if isinstance(optimizer, FlatAdamW):
        optimizer.put_back(states)
        return
    for weight, state in zip(leaves(optimizer), states, strict=True):
        if state:
            optimizer.state[weight] = {
                name: value.to(_home(name, weight)) if isinstance(value, Tensor) else value
                for name, value in state.items()
            }


def _home(name: str, weight: Tensor) -> torch.device:
    """Steps are counted on the CPU."""
    return torch.device("cpu") if name == "step" else weight.device
