"""Look at a finished file before anybody gets it, publish it, copy it into the LoRA folder.

No torch here: numpy reads all that is needed, and only after the header was checked.
"""

import hashlib
import json
import math
import os
import shutil
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from storage.blob_store import file_digest, fsync_folder

Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]

MAX_HEADER_BYTES = 10_000_000
PREFIXES = ("lora_unet_", "lora_te_", "lora_te1_", "lora_te2_")
PARTS = (".lora_down.weight", ".lora_up.weight", ".alpha")
MAX_NAMES = 1000


class BadArtifactError(Exception):
    """The file is not a LoRA that we would hand to anybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    sha256: str
    file_bytes: int
    modules: int


def check(path: Path, trigger: str) -> Checked:
    """Opens, keys map, all finite, every module changes something, metadata are right."""
    file_bytes = path.stat().st_size if path.is_file() else 0
    if not file_bytes:
        raise BadArtifactError("there is no file")
    metadata = _header(path, file_bytes)
    try:
        with safe_open(path, framework="np") as file:
            names = set(file.keys())
            modules = _modules(names)
            for module in sorted(modules):
                _check_module(module, [file.get_tensor(module + part) for part in PARTS])
    except (SafetensorError, TypeError, ValueError) as error:
        raise BadArtifactError(f"cannot be read: {error}") from error
    if metadata.get("modelspec.trigger_phrase") != trigger:
        raise BadArtifactError("the trigger is missing in the metadata")
    if metadata.get("sshs_model_hash") != _tensor_hash(path):
        raise BadArtifactError("the model hash in the metadata is wrong")
    return Checked(sha256=file_digest(path).hex(), file_bytes=file_bytes, modules=len(modules))


def _header(path: Path, file_bytes: int) -> dict[str, str]:
    """The metadata, after a look at the sizes that the file claims."""
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER_BYTES, file_bytes - 8):
            raise BadArtifactError(f"claims a header of {length} bytes")
        try:
            metadata = json.loads(file.read(length)).get("__metadata__", {})
        except (ValueError, AttributeError) as error:
            raise BadArtifactError("has a header that is not JSON") from error
    return metadata if isinstance(metadata, dict) else {}


def _modules(names: set[str]) -> set[str]:
    modules = {name.removesuffix(PARTS[0]) for name in names if name.endswith(PARTS[0])}
    expected = {module + part for module in modules for part in PARTS}
    if not modules or names != expected:
        odd = sorted(names ^ expected)[:3]
        raise BadArtifactError(f"has unexpected or missing keys: {odd}")
    if wrong := [module for module in modules if not module.startswith(PREFIXES)]:
        raise BadArtifactError(f"has a module that no program maps: {wrong[0]}")
    return modules


def _check_module(module: str, tensors: list[Array]) -> None:
    """``down`` (r, in ...), ``up`` (out, r ...), and ``alpha``, a scalar."""
    down, up, alpha = tensors
    if down.ndim < 2 or up.ndim < 2 or down.shape[0] != up.shape[1] or alpha.size != 1:
        raise BadArtifactError(f"{module} has shapes that do not fit")
    a = down.reshape(len(down), -1).astype(np.float64)
    b = up.reshape(len(up), -1).astype(np.float64)
    if not (np.isfinite(a).all() and np.isfinite(b).all() and math.isfinite(float(alpha.item()))):
        raise BadArtifactError(f"{module} is not finite")
    # The squared norm of up @ down from two small products, never the large one itself.
    if not float(((b.T @ b) * (a @ a.T)).sum()) > 0 or not float(alpha.item()):
        raise BadArtifactError(f"{module} changes nothing")


def _tensor_hash(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(8 + struct.unpack("<Q", file.read(8))[0])
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_beside(source: Path, folder: Path, stem: str) -> str:
    """Copy into the LoRA folder under a free name, and return it. Nothing is ever overwritten; a
    file that is already ours is found again by its content.
    """
    wanted = file_digest(source)
    handle, made = tempfile.mkstemp(dir=folder, prefix=".lorabot-", suffix=".tmp")
    try:
        with open(handle, "wb") as target, source.open("rb") as file:  # noqa: PTH123  a descriptor
            shutil.copyfileobj(file, target)
            os.fchmod(target.fileno(), 0o644)
            target.flush()
            os.fsync(target.fileno())
        name = _take_name(Path(made), folder, stem, wanted)
    finally:
        Path(made).unlink(missing_ok=True)
    fsync_folder(folder)
    return name


def _take_name(made: Path, folder: Path, stem: str, wanted: bytes) -> str:
    for number in range(1, MAX_NAMES):
        name = f"{stem}.safetensors" if number == 1 else f"{stem}_{number}.safetensors"
        target = folder / name
        if _is(target, wanted):
            return name
        try:
            os.link(made, target)
        except FileExistsError:
            if _is(target, wanted):
                return name
            continue
        except OSError:
            # A file system without hard links: take the name first, then fill it.
            if not _fill(made, target):
                continue
        return name
    raise OSError(f"{MAX_NAMES} files of this name in the LoRA folder")


def _is(path: Path, wanted: bytes) -> bool:
    return path.is_file() and file_digest(path) == wanted


def _fill(made: Path, target: Path) -> bool:
    try:
        with target.open("xb") as file, made.open("rb") as source:
            shutil.copyfileobj(source, file)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    except OSError:
        target.unlink(missing_ok=True)
        raise
    return True
