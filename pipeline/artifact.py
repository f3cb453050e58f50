"""Look at a finished file before anybody gets it, publish it, copy it into the LoRA folder.

No torch here: numpy reads all that is needed, and only after the header was checked.
"""

import fcntl
import hashlib
import json
import math
import os
import shutil
import struct
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from storage.blob_store import file_digest, fsync_folder

Array = np.ndarray[tuple[int, ...], np.dtype[np.generic]]

MAX_HEADER_BYTES = 10_000_000
KOHYA = (".lora_down.weight", ".lora_up.weight", ".alpha")
PEFT = (".lora_A.weight", ".lora_B.weight")
PREFIXES = {
    KOHYA: ("lora_unet_", "lora_te_", "lora_te1_", "lora_te2_", "lora_transformer_"),
    PEFT: ("transformer.", "diffusion_model."),
}
MAX_NAMES = 1000
HALF_COPY = (".lorabot-", ".tmp")  # how a copy's name begins and ends until it is whole


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
    header = _header(path, file_bytes)
    try:
        with safe_open(path, framework="np") as file:
            names = set(file.keys())
            layout = PEFT if any(name.endswith(PEFT[0]) for name in names) else KOHYA
            modules = _modules(names, layout)
            for module in sorted(modules):
                parts = [_tensor(path, file, header, module + part) for part in layout]
                _check_module(module, parts)
    except (SafetensorError, TypeError, ValueError) as error:
        raise BadArtifactError(f"cannot be read: {error}") from error
    metadata = header.get("__metadata__") or {}
    if metadata.get("modelspec.trigger_phrase") != trigger:
        raise BadArtifactError("the trigger is missing in the metadata")
    if metadata.get("sshs_model_hash") != _tensor_hash(path):
        raise BadArtifactError("the model hash in the metadata is wrong")
    return Checked(sha256=file_digest(path).hex(), file_bytes=file_bytes, modules=len(modules))


def _header(path: Path, file_bytes: int) -> dict[str, Any]:
    """What the file says about itself, after a look at the sizes that it claims."""
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER_BYTES, file_bytes - 8):
            raise BadArtifactError(f"claims a header of {length} bytes")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError) as error:
            raise BadArtifactError("has a header that is not JSON") from error
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__", {}), dict):
        raise BadArtifactError("has a header that is no table")
    return header


def _tensor(path: Path, file: Any, header: dict[str, Any], name: str) -> Array:
    """One tensor. ``safe_open`` has checked the header against the file by now."""
    if header[name]["dtype"] != "BF16":
        read: Array = file.get_tensor(name)
        return read
    # numpy does not know bfloat16: it is the upper half of a float32.
    begin, end = header[name]["data_offsets"]
    offset = _tensors_at(path) + begin
    halves = np.fromfile(path, dtype="<u2", count=(end - begin) // 2, offset=offset)
    return (halves.astype(np.uint32) << 16).view(np.float32).reshape(header[name]["shape"])


def _tensors_at(path: Path) -> int:
    with path.open("rb") as file:
        return 8 + int(struct.unpack("<Q", file.read(8))[0])


def _modules(names: set[str], layout: tuple[str, ...]) -> set[str]:
    modules = {name.removesuffix(layout[0]) for name in names if name.endswith(layout[0])}
    expected = {module + part for module in modules for part in layout}
    if not modules or names != expected:
        odd = sorted(names ^ expected)[:3]
        raise BadArtifactError(f"has unexpected or missing keys: {odd}")
    if wrong := [module for module in modules if not module.startswith(PREFIXES[layout])]:
        raise BadArtifactError(f"has a module that no program maps: {wrong[0]}")
    return modules


def _check_module(module: str, tensors: list[Array]) -> None:
    """``down`` (r, in ...), ``up`` (out, r ...), and the scalar ``alpha`` if the layout has one."""
    down, up = tensors[:2]
    alpha = tensors[2] if len(tensors) > 2 else np.ones(1)
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
    begin = _tensors_at(path)
    with path.open("rb") as file:
        file.seek(begin)
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_beside(source: Path, folder: Path, stem: str) -> str:
    """Copy into the LoRA folder under a free name, and return it. Nothing is ever overwritten; a
    file that is already ours is found again by its content.
    """
    wanted = file_digest(source)
    prefix, suffix = HALF_COPY
    handle, made = tempfile.mkstemp(dir=folder, prefix=prefix, suffix=suffix)
    try:
        with open(handle, "wb") as target, source.open("rb") as file:  # noqa: PTH123  a descriptor
            with suppress(OSError):
                # Says that somebody still writes; see `sweep`.
                fcntl.flock(target, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.copyfileobj(file, target)
            _for_everybody(target.fileno())
            target.flush()
            os.fsync(target.fileno())
        name = _take_name(Path(made), folder, stem, wanted)
    finally:
        Path(made).unlink(missing_ok=True)
    fsync_folder(folder)
    return name


def _for_everybody(handle: int) -> None:
    """Other programs read the folder too; some network shares and sticks have no modes."""
    with suppress(PermissionError):
        os.fchmod(handle, 0o644)


def sweep(folder: Path) -> None:
    """Remove what a copy left that was killed half-way: nobody holds it any more."""
    prefix, suffix = HALF_COPY
    for path in folder.glob(f"{prefix}*{suffix}"):
        with suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


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
            _for_everybody(file.fileno())
            shutil.copyfileobj(source, file)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        return False
    except OSError:
        target.unlink(missing_ok=True)
        raise
    return True
