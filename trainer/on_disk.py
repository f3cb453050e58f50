"""How many numbers a base model's denoiser has, from the headers of its files alone. No torch here.

A ``.safetensors`` begins with the length of its header in eight bytes, and the header is JSON
(https://github.com/huggingface/safetensors).
"""

import json
import math
from pathlib import Path
from typing import Any

FOLDERS = ("unet", "transformer")
WITHIN = "model.diffusion_model."  # the denoiser's names in a file that holds a whole model
LONGEST = 100_000_000  # bytes of a header


def numbers_of(base: Path) -> int:
    """Of a diffusers folder or one file; 0 where that cannot be said."""
    try:
        return _of_folder(base) if base.is_dir() else _of_file(base)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0


def _of_folder(base: Path) -> int:
    for name in FOLDERS:
        # Other variants of the same weights have a second ending, ".fp16.safetensors".
        files = [one for one in (base / name).glob("*.safetensors") if "." not in one.stem]
        if files:
            return sum(_of_file(one) for one in files)
    return 0


def _of_file(path: Path) -> int:
    shapes = {name: one["shape"] for name, one in _header(path).items() if name != "__metadata__"}
    whole = [name for name in shapes if name.startswith(WITHIN)]
    return sum(math.prod(shapes[name]) for name in whole or shapes)


def _header(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > LONGEST:
            raise ValueError("no .safetensors")
        read: dict[str, Any] = json.loads(file.read(length))
        return read
