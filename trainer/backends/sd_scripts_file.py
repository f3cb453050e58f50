"""The file that sd-scripts has made: looked at as ours are, and freed of what is the people's.

It writes captions and folder names into the metadata. What it did not reach (the last layer of a
text encoder whose last but one is used) it leaves at zero: such modules do nothing and go.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize

from trainer.whole import write_whole

Array = np.ndarray[Any, np.dtype[np.float64]]

PARTS = (".lora_down.weight", ".lora_up.weight", ".alpha")
KINDS = {"F16": "<f2", "BF16": "<u2", "F32": "<f4"}  # bfloat16 as the bits that it is
TEXT = ("lora_te",)
# Captions, folders, comments, and hashes of the file as it was.
DROPPED = (
    *("ss_tag_frequency", "ss_datasets", "ss_dataset_dirs", "ss_reg_dataset_dirs"),
    *("ss_training_comment", "sshs_legacy_hash", "modelspec.hash_sha256", "modelspec.thumbnail"),
)
MAX_HEADER_BYTES = 100_000_000


class LoraFileError(Exception):
    """The file is not what it should be; it was not given its final name."""


def deliver(source: Path, target: Path, facts: Mapping[str, str]) -> int:
    """Check ``source`` and write it as ``target``, whole or not at all, with ``facts`` in its
    metadata; how many modules it has. Raises LoraFileError.
    """
    data = source.read_bytes()
    header, start = _header(data)
    metadata = header.pop("__metadata__", None) or {}
    modules = sorted({name.partition(".")[0] for name in header})
    kept = [module for module in modules if _moves(data, start, header, module)]
    if not kept:
        raise LoraFileError("there is no LoRA in the file")
    names = [module + part for module in kept for part in PARTS]
    pieces = [_bytes(data, start, header[name]) for name in names]
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    told = {name: text for name, text in metadata.items() if name not in DROPPED} | dict(facts)
    told["sshs_model_hash"] = digest.hexdigest()
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, [_head(header, names, told), *pieces])
    return len(kept)


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    length = int.from_bytes(data[:8], "little")
    if len(data) >= 8 and not 2 <= length <= MAX_HEADER_BYTES:
        raise LoraFileError(f"claims a header of {length} bytes")
    _whole(data, 8 + length)
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise LoraFileError("has a header that is not JSON") from error
    if not isinstance(header, dict):
        raise LoraFileError("has a header that is no table")
    _whole(data, 8 + length + max(map(_end, header.values()), default=0))
    try:
        # Sizes, kinds, and that no tensor lies over another.
        deserialize(data)
    except SafetensorError as error:
        raise LoraFileError(f"cannot be read: {error}") from error
    return header, 8 + length


def _whole(data: bytes, promised: int) -> None:
    if len(data) < promised:
        raise LoraFileError(f"is cut off after {len(data)} of {promised} bytes")


def _end(said: Any) -> int:
    """Where a tensor says that it ends; 0 for what says nothing of the kind."""
    match said:
        case {"data_offsets": [int(), int(end)]}:
            return end
    return 0


def _moves(data: bytes, start: int, header: dict[str, Any], module: str) -> bool:
    """Whether the module changes anything. Raises LoraFileError where it is broken, or where a
    part of the denoiser was not trained.
    """
    own = {name for name in header if name.partition(".")[0] == module}
    if own != {module + part for part in PARTS}:
        raise LoraFileError(f"{module} is no pair of matrices with its alpha")
    down, up, alpha = (_numbers(data, start, module + part, header) for part in PARTS)
    if down.ndim < 2 or up.ndim < 2 or down.shape[0] != up.shape[1] or alpha.size != 1:
        raise LoraFileError(f"{module} has shapes that do not fit")
    a, b = down.reshape(len(down), -1), up.reshape(len(up), -1)
    if not (np.isfinite(a).all() and np.isfinite(b).all() and math.isfinite(alpha.item())):
        raise LoraFileError(f"{module} is not finite")
    # The squared norm of up @ down from two small products, never the large one itself.
    if float(((b.T @ b) * (a @ a.T)).sum()) > 0 and alpha.item():
        return True
    if module.startswith(TEXT):
        return False
    raise LoraFileError(f"{module} changes nothing")


def _numbers(data: bytes, start: int, name: str, header: dict[str, Any]) -> Array:
    said = header[name]
    if said["dtype"] not in KINDS:
        raise LoraFileError(f"{name} is of the kind {said['dtype']}")
    raw = np.frombuffer(_bytes(data, start, said), dtype=KINDS[said["dtype"]])
    if said["dtype"] == "BF16":  # the upper half of a float32, which numpy does not know
        raw = (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.astype(np.float64).reshape(said["shape"])


def _bytes(data: bytes, start: int, said: dict[str, Any]) -> memoryview:
    begin, end = said["data_offsets"]
    return memoryview(data)[start + begin : start + end]


def _head(header: dict[str, Any], names: list[str], metadata: Mapping[str, str]) -> bytes:
    table: dict[str, Any] = {"__metadata__": dict(metadata)}
    at = 0
    for name in names:
        begin, end = header[name]["data_offsets"]
        table[name] = header[name] | {"data_offsets": [at, at + end - begin]}
        at += end - begin
    text = json.dumps(table, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
