"""The finished file in the kohya layout, which diffusers, A1111/Forge, ComfyUI, Easy Diffusion and
sd-scripts all load: pairs named by module path, alpha stored explicitly, facts in the metadata.
"""

import datetime as dt
import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from trainer import batches
from trainer.buckets import Size
from trainer.families import sd15
from trainer.lora import Pair, delta_norm
from trainer.params import TrainParams

DTYPE = torch.float16  # what everybody ships; the pairs are trained in fp32
PREFIXES = {"unet": "lora_unet", "te": "lora_te"}


class ArtifactError(Exception):
    """The file does not hold what it should; it was not given its final name."""


def module_name(part: str, path: str) -> str:
    """``unet`` and ``mid_block.x.to_q`` to ``lora_unet_mid_block_x_to_q``. Newer transformers drop
    the ``text_model`` level that every loader of such files expects.
    """
    if part == "te" and not path.startswith("text_model."):
        path = f"text_model.{path}"
    return f"{PREFIXES[part]}_{path.replace('.', '_')}"


def tensors_of(pairs: list[Pair], alpha: float) -> dict[str, Tensor]:
    """``down`` (r, in), ``up`` (out, r) and a scalar ``alpha`` for each module."""
    tensors = {}
    for pair in pairs:
        name = module_name(pair.part, pair.path)
        tensors[f"{name}.lora_down.weight"] = pair.down.detach().to("cpu", DTYPE).contiguous()
        tensors[f"{name}.lora_up.weight"] = pair.up.detach().to("cpu", DTYPE).contiguous()
        tensors[f"{name}.alpha"] = torch.tensor(alpha, dtype=DTYPE)
    return tensors


def metadata_of(
    params: TrainParams, name: str, sizes: Sequence[Size], tensors: bytes
) -> dict[str, str]:
    """The names that tools read. No captions and no folder names: those are the people's."""
    header = int.from_bytes(tensors[:8], "little")
    now = dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds")
    side = str(params.resolution)
    epoch_steps = batches.per_epoch(sizes, params.batch_size)
    return {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(params.rank),
        "ss_network_alpha": f"{params.alpha:g}",
        "ss_base_model_version": sd15.BASE_VERSION,
        "ss_v2": "False",
        "ss_output_name": name,
        "ss_resolution": f"({side}, {side})",
        "ss_enable_bucket": str(in_buckets(sizes, params.resolution)),
        "ss_bucket_info": bucket_info(sizes, params.resolution),
        "ss_num_train_images": str(len(sizes)),
        "ss_num_batches_per_epoch": str(epoch_steps),
        "ss_num_epochs": str(-(-params.max_steps // epoch_steps)),
        "ss_steps": str(params.max_steps),
        "ss_learning_rate": f"{params.learning_rate:g}",
        "ss_optimizer": "torch.optim.AdamW",
        "ss_lr_scheduler": params.lr_schedule,
        "ss_seed": str(params.seed),
        "ss_mixed_precision": "no" if params.precision == "fp32" else params.precision,
        "sshs_model_hash": hashlib.sha256(tensors[8 + header :]).hexdigest(),
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": f"{sd15.ARCHITECTURE}/lora",
        "modelspec.implementation": "diffusers",
        "modelspec.title": name,
        "modelspec.resolution": f"{side}x{side}",
        "modelspec.date": now,
        "modelspec.trigger_phrase": params.trigger,
        "modelspec.usage_hint": f"Put {params.trigger} {params.class_word} in the prompt.",
    }


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


def write(output: Path, pairs: list[Pair], params: TrainParams, sizes: Sequence[Size]) -> None:
    """Write beside, read back, check, and only then give it its name."""
    tensors = tensors_of(pairs, params.alpha)
    metadata = metadata_of(params, output.stem, sizes, to_bytes(tensors))
    making = output.with_name(f".{output.name}.tmp")
    making.write_bytes(to_bytes(tensors, metadata))
    check(making, pairs)
    with making.open("rb") as file:
        os.fsync(file.fileno())
    making.rename(output)


def check(path: Path, pairs: list[Pair]) -> None:
    """Every module is there, finite, and changes something."""
    with safe_open(path, framework="pt") as file:
        for pair in pairs:
            name = module_name(pair.part, pair.path)
            down = file.get_tensor(f"{name}.lora_down.weight")
            up = file.get_tensor(f"{name}.lora_up.weight")
            if not (down.isfinite().all() and up.isfinite().all()):
                raise ArtifactError(f"{name} is not finite")
            if not delta_norm(down, up):
                raise ArtifactError(f"{name} changes nothing")
