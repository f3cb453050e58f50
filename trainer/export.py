"""The finished file, in the layouts that diffusers, A1111/Forge, ComfyUI, Easy Diffusion and
sd-scripts load: pairs named by module path, facts in the metadata.
"""

import datetime as dt
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from trainer import batches
from trainer.buckets import Size
from trainer.families.family import Traits
from trainer.lora import Pair, delta_norm
from trainer.params import TrainParams
from trainer.step import Work

DTYPE = torch.float16  # what everybody ships; the pairs are trained in fp32


class ArtifactError(Exception):
    """The file does not hold what it should; it was not given its final name."""


def keys(pair: Pair, traits: Traits) -> tuple[str, str]:
    """The names of ``down`` and ``up``: ``lora_unet_mid_block_x_to_q.lora_down.weight`` in the
    kohya layout, ``transformer.blocks.0.x.to_q.lora_A.weight`` in peft's.
    """
    part = traits.parts[pair.part]
    path = pair.path if pair.path.startswith(part.level) else part.level + pair.path
    for ours, theirs in part.renamed:
        if path.startswith(ours):
            path = theirs + path.removeprefix(ours)
            break
    if traits.layout == "kohya":
        name = f"{part.prefix}_{path.replace('.', '_')}"
        return f"{name}.lora_down.weight", f"{name}.lora_up.weight"
    return f"{part.prefix}.{path}.lora_A.weight", f"{part.prefix}.{path}.lora_B.weight"


def tensors_of(pairs: Sequence[Pair], traits: Traits, params: TrainParams) -> dict[str, Tensor]:
    """``down`` (r, in) and ``up`` (out, r) of each module, and in the kohya layout a scalar
    ``alpha``. Programs that read peft's layout take alpha for the rank, so there ``up`` is scaled.
    """
    kohya = traits.layout == "kohya"
    scale = 1.0 if kohya else params.alpha / params.rank
    tensors = {}
    for pair in pairs:
        down, up = keys(pair, traits)
        tensors[down] = pair.down.detach().to("cpu", DTYPE).contiguous()
        tensors[up] = (pair.up.detach() * scale).to("cpu", DTYPE).contiguous()
        if kohya:
            alpha = down.removesuffix("lora_down.weight") + "alpha"
            tensors[alpha] = torch.tensor(params.alpha, dtype=DTYPE)
    return tensors


def metadata_of(work: Work, name: str, steps: int, tensors: bytes) -> dict[str, str]:
    """The names that tools read. No captions and no folder names: those are the people's."""
    params, traits, sizes = work.params, work.family.TRAITS, work.data.trained
    header = int.from_bytes(tensors[:8], "little")
    now = dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds")
    side = str(params.resolution)
    epoch_steps = -(-batches.per_epoch(sizes, params.batch_size) // params.gradient_accumulation)
    prediction = getattr(work.model.aim, "prediction_type", "")
    return {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(params.rank),
        "ss_network_alpha": f"{params.alpha if traits.layout == 'kohya' else params.rank:g}",
        "ss_base_model_version": traits.base_version,
        "ss_v2": "False",
        "ss_output_name": name,
        "ss_resolution": f"({side}, {side})",
        "ss_enable_bucket": str(in_buckets(sizes, params.resolution)),
        "ss_bucket_info": bucket_info(sizes, params.resolution),
        "ss_num_train_images": str(len(sizes)),
        "ss_num_batches_per_epoch": str(epoch_steps),
        "ss_num_epochs": str(-(-steps // epoch_steps)),
        "ss_steps": str(steps),
        "ss_batch_size_per_device": str(params.batch_size),
        "ss_gradient_accumulation_steps": str(params.gradient_accumulation),
        "ss_learning_rate": f"{params.learning_rate:g}",
        "ss_optimizer": params.optimizer,
        "ss_lr_scheduler": params.lr_schedule,
        "ss_seed": str(params.seed),
        "ss_mixed_precision": "no" if params.precision == "fp32" else params.precision,
        "sshs_model_hash": hashlib.sha256(tensors[8 + header :]).hexdigest(),
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": f"{traits.architecture}/lora",
        "modelspec.implementation": "diffusers",
        "modelspec.title": name,
        "modelspec.resolution": f"{side}x{side}",
        "modelspec.date": now,
        "modelspec.trigger_phrase": params.trigger,
        "modelspec.usage_hint": f"Put {params.trigger} {params.class_word} in the prompt.",
    } | (
        {"modelspec.prediction_type": prediction.removesuffix("_prediction")} if prediction else {}
    )


def in_buckets(sizes: Sequence[Size], resolution: int) -> bool:
    """Anything but the one square that a run without buckets trains in."""
    return set(sizes) != {(resolution, resolution)}


def bucket_info(sizes: Sequence[Size], resolution: int) -> str:
    """How many pictures were trained in which size, as sd-scripts writes it."""
    if not in_buckets(sizes, resolution):
        return "null"
    used = enumerate(sorted(Counter(sizes).items()))
    return json.dumps(
        {"buckets": {place: {"resolution": size, "count": count} for place, (size, count) in used}}
    )


def write(output: Path, pairs: Sequence[Pair], work: Work, name: str, steps: int) -> None:
    """Write beside, read back, check, and only then give it its path. ``name`` is what programs
    show.
    """
    tensors = tensors_of(pairs, work.family.TRAITS, work.params)
    metadata = metadata_of(work, name, steps, to_bytes(tensors))
    output.parent.mkdir(parents=True, exist_ok=True)
    making = output.with_name(f".{output.name}.tmp")
    making.write_bytes(to_bytes(tensors, metadata))
    check(making, pairs, work.family.TRAITS)
    with making.open("rb") as file:
        os.fsync(file.fileno())
    making.rename(output)


def copy(saved: Path, output: Path) -> None:
    """A saved step, which was checked when it was written, as the output."""
    output.parent.mkdir(parents=True, exist_ok=True)
    making = output.with_name(f".{output.name}.tmp")
    shutil.copyfile(saved, making)
    with making.open("rb") as file:
        os.fsync(file.fileno())
    making.rename(output)


def check(path: Path, pairs: Sequence[Pair], traits: Traits) -> None:
    """Every module is there, finite, and changes something."""
    with safe_open(path, framework="pt") as file:
        for pair in pairs:
            names = keys(pair, traits)
            down, up = (file.get_tensor(name) for name in names)
            if not (down.isfinite().all() and up.isfinite().all()):
                raise ArtifactError(f"{names[0]} is not finite")
            if not delta_norm(down, up):
                raise ArtifactError(f"{names[1]} changes nothing")


def read(file: safe_open, pairs: Sequence[Pair], work: Work) -> None:
    """Put what the file holds into the pairs."""
    traits, params = work.family.TRAITS, work.params
    scale = 1.0 if traits.layout == "kohya" else params.rank / params.alpha
    with torch.no_grad():
        for pair in pairs:
            down, up = keys(pair, traits)
            pair.down.copy_(file.get_tensor(down))
            pair.up.copy_(file.get_tensor(up).float() * scale)
