"""A smaller twin of a finished LoRA: each module's update at a lower rank, as near as can be.

The truncated singular value decomposition is the nearest matrix of its rank (Eckart and Young,
1936). ``python -m trainer.resize IN OUT --rank 8`` or ``--max-mb 50``. Numpy alone: no torch.
"""

import argparse
import hashlib
import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

Array = np.ndarray[Any, np.dtype[np.float64]]
Half = np.ndarray[Any, np.dtype[np.float16]]

LAYOUTS = ((".lora_down.weight", ".lora_up.weight"), (".lora_A.weight", ".lora_B.weight"))
ALPHA = ".alpha"
MAX_HEADER_BYTES = 10_000_000
MEGABYTE = 1_000_000


class ResizeError(ValueError):
    """The file is not a LoRA whose rank can be lowered; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resized:
    """``error`` is the Frobenius norm of all that was lost over that of all there was, 0..1;
    ``worst`` names the module that lost the greatest share of its own.
    """

    rank: int
    file_bytes: int
    error: float
    worst: tuple[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Module:
    """``down`` (r, in), ``up`` (out, r) with the scale in it, ``inner`` the shape behind r."""

    name: str
    down: Array
    up: Array
    inner: tuple[int, ...]
    outer: tuple[int, ...]

    @property
    def rank(self) -> int:
        return len(self.down)

    def bytes_at(self, rank: int) -> int:
        """Of both halves, in half precision."""
        sides = int(self.down.shape[1]) + len(self.up)
        return 2 * min(rank, self.rank) * sides


@dataclass(frozen=True, slots=True)
class _Lora:
    modules: tuple[_Module, ...]
    layout: tuple[str, str]
    alphas: bool
    metadata: dict[str, str]


def resize(source: Path, target: Path, rank: int) -> Resized:
    """Write ``target`` at ``rank``; modules of a lower one keep theirs. Alpha becomes the rank, so
    that the scale is 1 and lies in ``up``. Raises ResizeError; ``target`` is whole or untouched.
    """
    if rank < 1:
        raise ResizeError(f"rank {rank} is below 1")
    return _write(_read(source), target, rank)


def fit(source: Path, target: Path, max_bytes: int) -> Resized | None:
    """The same at the highest rank whose file has at most ``max_bytes``; None: not even rank 1."""
    lora = _read(source)
    highest = max(one.rank for one in lora.modules)
    # What is not tensors: names, shapes, metadata. It hardly depends on the rank.
    room = max_bytes - len(_encoded(lora, 1, [_lower(one, 1)[:2] for one in lora.modules]))
    spent = sum(one.bytes_at(1) for one in lora.modules) - 64  # numbers get longer by digits
    for rank in range(highest, 0, -1):
        if sum(one.bytes_at(rank) for one in lora.modules) - spent <= room:
            return _write(lora, target, rank)
    return None


def _write(lora: _Lora, target: Path, rank: int) -> Resized:
    lowered = [_lower(one, rank) for one in lora.modules]
    lost = sum(loss for _, _, loss, _ in lowered)
    whole = sum(size for _, _, _, size in lowered)
    shares = [
        (one.name, float(np.sqrt(loss / size)) if size else 0.0)
        for one, (_, _, loss, size) in zip(lora.modules, lowered, strict=True)
    ]
    data = _encoded(lora, rank, [(down, up) for down, up, _, _ in lowered])
    making = target.with_name(f".{target.name}.tmp")
    try:
        with making.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        making.rename(target)
    finally:
        making.unlink(missing_ok=True)
    return Resized(
        rank=min(rank, max(one.rank for one in lora.modules)),
        file_bytes=len(data),
        error=float(np.sqrt(lost / whole)) if whole else 0.0,
        worst=max(shares, key=lambda one: one[1]),
    )


def _lower(one: _Module, rank: int) -> tuple[Half, Half, float, float]:
    """``down`` and ``up`` at the rank, the squared norm that is lost, and that of all. The large
    product is never formed: both factors are triangular but for a rotation.
    """
    q_up, r_up = np.linalg.qr(one.up)
    q_down, r_down = np.linalg.qr(one.down.T)
    left, values, right = np.linalg.svd(r_up @ r_down.T)
    keep = min(rank, one.rank)
    root = np.sqrt(values[:keep])
    up = (q_up @ left[:, :keep]) * root
    down = root[:, None] * (right[:keep] @ q_down.T)
    lost, whole = float((values[keep:] ** 2).sum()), float((values**2).sum())
    limit = float(np.finfo(np.float16).max)
    if max(float(np.abs(up).max()), float(np.abs(down).max())) > limit:
        raise ResizeError(f"{one.name} does not fit into half precision")
    return (
        down.astype(np.float16).reshape(keep, *one.inner),
        up.astype(np.float16).reshape(len(up), keep, *one.outer),
        lost,
        whole,
    )


def _encoded(lora: _Lora, rank: int, lowered: list[tuple[Half, Half]]) -> bytes:
    tensors: dict[str, Half] = {}
    for one, (down, up) in zip(lora.modules, lowered, strict=True):
        tensors[one.name + lora.layout[0]] = np.ascontiguousarray(down)
        tensors[one.name + lora.layout[1]] = np.ascontiguousarray(up)
        if lora.alphas:
            tensors[one.name + ALPHA] = np.array(len(down), dtype=np.float16)
    plain = save(tensors)
    begin = 8 + struct.unpack("<Q", plain[:8])[0]
    metadata = lora.metadata | {
        "ss_network_dim": str(rank),
        "ss_network_alpha": str(rank),
        "sshs_model_hash": hashlib.sha256(plain[begin:]).hexdigest(),
    }
    return save(tensors, metadata)


def _read(source: Path) -> _Lora:
    header = _header(source)
    try:
        with safe_open(source, framework="np") as file:
            names = set(file.keys())
            layout = next((one for one in LAYOUTS if any(n.endswith(one[0]) for n in names)), None)
            if layout is None:
                raise ResizeError("there is no LoRA in the file")
            found = sorted(n.removesuffix(layout[0]) for n in names if n.endswith(layout[0]))
            known = {one + part for one in found for part in (*layout, ALPHA)}
            if odd := sorted(names - known):
                raise ResizeError(f"it holds more than a LoRA: {odd[0]}")

            def get(name: str) -> Array:
                return _tensor(source, file, header, name)

            modules = tuple(_module(one, layout, ALPHA, names, get) for one in found)
    except SafetensorError as error:
        raise ResizeError(f"cannot be read: {error}") from error
    alphas = layout is LAYOUTS[0] or any(name.endswith(ALPHA) for name in names)
    metadata = header.get("__metadata__") or {}
    return _Lora(modules, layout, alphas, {str(k): str(v) for k, v in metadata.items()})


def _module(
    name: str,
    layout: tuple[str, str],
    alpha: str,
    names: set[str],
    get: Callable[[str], Array],
) -> _Module:
    if name + layout[1] not in names:
        raise ResizeError(f"{name} has no second half")
    down, up = get(name + layout[0]), get(name + layout[1])
    if down.ndim < 2 or up.ndim < 2 or len(down) != up.shape[1] or not (down.size and up.size):
        raise ResizeError(f"{name} has shapes that do not fit")
    if up[0, 0].size != 1:
        raise ResizeError(f"{name} has an upper half that is more than a matrix")
    if not (np.isfinite(down).all() and np.isfinite(up).all()):
        raise ResizeError(f"{name} is not finite")
    scale = float(get(name + alpha).item()) / len(down) if name + alpha in names else 1.0
    return _Module(
        name=name,
        down=down.reshape(len(down), -1),
        up=up.reshape(len(up), -1) * scale,
        inner=down.shape[1:],
        outer=up.shape[2:],
    )


def _header(path: Path) -> dict[str, Any]:
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
            raise ResizeError(f"claims a header of {length} bytes")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise ResizeError("has a header that is not JSON") from error
    if not isinstance(header, dict) or not isinstance(header.get("__metadata__") or {}, dict):
        raise ResizeError("has a header that is no table")
    return header


def _tensor(path: Path, file: Any, header: dict[str, Any], name: str) -> Array:
    if header[name]["dtype"] != "BF16":
        return np.asarray(file.get_tensor(name), dtype=np.float64)
    # numpy does not know bfloat16: it is the upper half of a float32.
    begin, end = header[name]["data_offsets"]
    with path.open("rb") as raw:
        offset = 8 + struct.unpack("<Q", raw.read(8))[0] + begin
    halves = np.fromfile(path, dtype="<u2", count=(end - begin) // 2, offset=offset)
    whole = (halves.astype(np.uint32) << 16).view(np.float32).reshape(header[name]["shape"])
    return whole.astype(np.float64)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m trainer.resize", description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--rank", type=int)
    way.add_argument("--max-mb", type=float)
    asked = parser.parse_args()
    try:
        if asked.rank is not None:
            made: Resized | None = resize(asked.source, asked.target, asked.rank)
        else:
            made = fit(asked.source, asked.target, int(asked.max_mb * MEGABYTE))
    except (ResizeError, OSError) as error:
        raise SystemExit(f"{asked.source}: {error}") from error
    if made is None:
        raise SystemExit(f"{asked.source}: not even rank 1 is that small")
    size = made.file_bytes / MEGABYTE
    print(  # noqa: T201  a command's answer
        f"rank {made.rank}, {size:.1f} MB, {100 * made.error:.2f} % of the change is lost "
        f"(most in {made.worst[0]}: {100 * made.worst[1]:.2f} %)"
    )


if __name__ == "__main__":
    main()
