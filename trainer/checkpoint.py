"""Everything that is needed to go on exactly where a run stopped: one safetensors file.

Noise, timesteps and order follow from seed and step, so there is no random state to keep.
"""

import hashlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from trainer import optimizers
from trainer.lora import Pair, weights
from trainer.optimizers import Optimizer
from trainer.params import TrainParams

NAME = "checkpoint.safetensors"
WEIGHT, STATE = "weight.", "state."
# Settings that are younger than the first checkpoints: at these values a run is as it was then.
LATER = {"resolutions": (), "memory_check": True, "compile": "auto", "preservation": 0.0}

log = logging.getLogger(__name__)


def digest_of(params: TrainParams, dataset: str) -> str:
    """Names the run: a checkpoint of another one is not ours to go on with."""
    told = {
        name: value
        for name, value in asdict(params).items()
        if name not in LATER or value != LATER[name]
    }
    return hashlib.sha256(f"{sorted(told.items())} {dataset}".encode()).hexdigest()


def save(
    folder: Path,
    digest: str,
    pairs: Sequence[Pair],
    optimizer: Optimizer,
    numbers: dict[str, float],
) -> None:
    """Write beside, fsync, rename: a kill at any moment leaves the old one or the new one.
    ``numbers`` are the loop's own: the step, what people see of the loss.
    """
    tensors = {f"{WEIGHT}{n}": weight.detach() for n, weight in enumerate(weights(pairs))}
    state, groups = optimizers.pack(optimizer)
    tensors |= {f"{STATE}{name}": value for name, value in state.items()}
    making = folder / f"{NAME}.tmp"
    metadata = {"digest": digest, "numbers": json.dumps(numbers), "optimizer": groups}
    save_file({name: value.contiguous() for name, value in tensors.items()}, making, metadata)
    with making.open("rb") as file:
        os.fsync(file.fileno())
    making.rename(folder / NAME)


def load(
    folder: Path, digest: str, pairs: Sequence[Pair], optimizer: Optimizer
) -> dict[str, float]:
    """Put everything back; the loop's numbers, none where there is nothing to go on with."""
    try:
        with safe_open(folder / NAME, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (FileNotFoundError, SafetensorError):
        return {}
    if metadata.get("digest") != digest:
        log.info("the checkpoint is of another run: beginning at the first step")
        return {}
    with torch.no_grad():
        for n, weight in enumerate(weights(pairs)):
            weight.copy_(tensors[f"{WEIGHT}{n}"])
    state = {
        name.removeprefix(STATE): value for name, value in tensors.items() if name.startswith(STATE)
    }
    optimizers.unpack(optimizer, state, metadata["optimizer"])
    numbers: dict[str, float] = json.loads(metadata["numbers"])
    return numbers
