"""The parts of a base model in a folder, as diffusers lays them out. Nothing is fetched, and only
``.safetensors`` is read: the older formats can run code.

A base of one file holds the denoiser alone; its other parts lie in a folder beside it that has the
file's name without its ending, or in the folder that it is in.
"""

import json
from pathlib import Path
from typing import Any

import torch

from trainer import quick_start
from trainer.families.family import BaseError, Model
from trainer.objective import Flow

SAFE: dict[str, Any] = {"use_safetensors": True, "local_files_only": True}
TRIALS = ("a red cat", "two blue houses")  # captions that have no word in common
FLOW = "FlowMatchEulerDiscreteScheduler"


def root(path: Path) -> Path:
    """Where the parts are."""
    if not path.is_file():
        return path
    beside = path.with_suffix("")
    return beside if beside.is_dir() else path.parent


def part(path: Path, name: str) -> Path:
    """One part's folder, or a word on what is missing."""
    found = root(path) / name
    if not found.is_dir():
        raise BaseError(f"{path.name} has no {name}: there should be a folder {found}")
    return found


def settings(path: Path, name: str, file: str, kind: str) -> dict[str, Any]:
    """What a part says of itself; it has to be of that class."""
    config = part(path, name) / file
    try:
        found: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BaseError(f"{path.name}: {config} cannot be read") from error
    named = found.get("_class_name") or ", ".join(found.get("architectures") or ())
    if named != kind:
        raise BaseError(f"{path.name}: its {name} is {named or 'unnamed'}, not {kind}")
    return found


def network(
    model: Model, name: str, kind: Any, saved_as: str = "", dtype: torch.dtype | None = None
) -> Any:
    """A part with its weights, frozen, on the model's device. ``saved_as`` is the class that the
    folder names, where it is not the one that is wanted of it.
    """
    settings(model.path, name, "config.json", saved_as or kind.__name__)
    # Some of them compute something while they have no memory yet.
    quick_start.give_way(quick_start.SHAPES)
    found = kind.from_pretrained(part(model.path, name), torch_dtype=dtype or model.dtype, **SAFE)
    return found.requires_grad_(requires_grad=False).to(model.device)


def tokenizer(model: Model, name: str, kind: Any) -> Any:
    """A part's tokenizer. Without its files the library makes one that knows no word, and says
    nothing: what comes of it has to tell two captions apart.
    """
    place = part(model.path, name)
    try:
        found = kind.from_pretrained(place, local_files_only=True)
        one, other = (set(found(text).input_ids) for text in TRIALS)
    except Exception as error:
        # Each class of the library fails in its own way where a file is missing or cut off.
        raise BaseError(f"{model.path.name}: its {name} cannot be read: {error}") from error
    if one == other:
        raise BaseError(
            f"{model.path.name}: its {name} has no vocabulary: files are missing in {place}"
        )
    return found


def flow(model: Model, patch: int) -> Flow:
    """The shift of the base's times; ``patch`` x ``patch`` latents are one token."""
    config = settings(model.path, "scheduler", "scheduler_config.json", FLOW)
    if not config.get("use_dynamic_shifting"):
        return Flow(shift=config.get("shift", 1.0), patch=patch)
    return Flow(
        base=(config.get("base_image_seq_len", 256), config.get("base_shift", 0.5)),
        most=(config.get("max_image_seq_len", 4096), config.get("max_shift", 1.15)),
        patch=patch,
    )
