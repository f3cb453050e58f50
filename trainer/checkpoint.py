"""Everything that is needed to go on exactly where a run stopped: one safetensors file.

Noise, timesteps and order follow from seed and step, so there is no random state to keep.
"""

import hashlib
import os
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from trainer.lora import Pair
from trainer.params import TrainParams

NAME = "checkpoint.safetensors"


def digest_of(params: TrainParams, dataset: str) -> str:
    """Names the run: a checkpoint of another one is not ours to go on with."""
    return hashlib.sha256(f"{sorted(asdict(params).items())} {dataset}".encode()).hexdigest()


def save(folder: Path, step: int, digest: str, pairs: list[Pair], optimizer: Optimizer) -> None:
    """Write beside, fsync, rename: a kill at any moment leaves the old one or the new one."""
    tensors = {}
    for number, parameter in enumerate(_parameters(pairs)):
        tensors[f"{number}.weight"] = parameter.detach()
        for name, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{number}.{name}"] = value
    making = folder / f"{NAME}.tmp"
    metadata = {"step": str(step), "digest": digest}
    save_file({name: value.contiguous() for name, value in tensors.items()}, making, metadata)
    with making.open("rb") as file:
        os.fsync(file.fileno())
    making.rename(folder / NAME)


def load(folder: Path, digest: str, pairs: list[Pair], optimizer: Optimizer) -> int:
    """Put everything back; the number of steps that are done, 0 where there is nothing to load."""
    path = folder / NAME
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata()
            if metadata["digest"] != digest:
                return 0
            for number, parameter in enumerate(_parameters(pairs)):
                _put_back(file, number, parameter, optimizer)
            return int(metadata["step"])
    except (FileNotFoundError, SafetensorError, KeyError):
        return 0


def _put_back(file: safe_open, number: int, parameter: Tensor, optimizer: Optimizer) -> None:
    names = [name for name in file.keys() if name.startswith(f"{number}.")]  # noqa: SIM118
    with torch.no_grad():
        parameter.copy_(file.get_tensor(f"{number}.weight"))
    optimizer.state[parameter] = {
        name.partition(".")[2]: file.get_tensor(name).to(
            # Only a fused AdamW counts its steps on the device.
            "cpu"
            if name.endswith(".step") and not optimizer.defaults["fused"]
            else parameter.device
        )
        for name in names
        if not name.endswith(".weight")
    }


def _parameters(pairs: list[Pair]) -> list[Tensor]:
    return [parameter for pair in pairs for parameter in (pair.down, pair.up)]
