"""A smaller twin of a finished LoRA: each module's update at a lower rank, as near as can be.

The truncated singular value decomposition is the nearest matrix of its rank (Eckart and Young,
1936). ``python -m trainer.resize IN OUT --rank 8`` or ``--max-mb 50``. Numpy alone: no torch.
"""

import argparse
import bisect
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from trainer.whole import write_whole

Array = np.ndarray[Any, np.dtype[np.float64]]
Half = np.ndarray[Any, np.dtype[np.float16]]

KOHYA = (".lora_down.weight", ".lora_up.weight")
PEFT = (".lora_A.weight", ".lora_B.weight")
ALPHA = ".alpha"
WEIGHTS = {"F16": "<f2", "BF16": "<u2", "F32": "<f4"}  # bfloat16 as the bits that it is
KINDS = {"F64": "<f8", "I32": "<i4", "I64": "<i8"} | WEIGHTS  # the others are met as alphas
STALE = ("sshs_legacy_hash", "modelspec.hash_sha256")  # of the file that was
MAX_HEADER_BYTES = 10_000_000
MAX_RANK = 2048  # half precision counts exactly up to here
MAX_HALF = 65504.0
MEGABYTE = 1_000_000


class ResizeError(ValueError):
    """The file is not a LoRA whose rank can be lowered; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resized:
    """``error`` is the Frobenius norm of all that was cut off over that of all there was, 0..1,
    without what half precision rounds (about 0.0003); ``worst`` is the module that lost the
    greatest share of its own.
    """

    rank: int
    file_bytes: int
    error: float
    worst: tuple[str, float]


@dataclass(frozen=True, slots=True)
class _Part:
    """Where one tensor lies; ``begin`` in bytes from the start of the file."""

    kind: str
    shape: tuple[int, ...]
    begin: int

    @property
    def size(self) -> int:
        return int(KINDS[self.kind][-1]) * math.prod(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Module:
    """``down`` (r, in[, h, w]) and ``up`` (out, r[, 1, 1]): the update is up @ down * alpha / r."""

    name: str
    layout: tuple[str, str]
    down: _Part
    up: _Part
    alpha: float

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    def rank_at(self, rank: int) -> int:
        """Its own where that is not too high, and never more than the matrix itself can have."""
        highest = min(self.up.shape[0], math.prod(self.down.shape[1:]))
        return self.rank if self.rank <= rank else min(rank, highest)

    def alpha_at(self, rank: int) -> float:
        """Its own where the module stays as it is; else its rank, a scale of 1: the scale is in
        ``up`` then. Always so in peft's layout, where programs take alpha for the rank.
        """
        own = self.layout is KOHYA and self.rank <= rank
        exact = own and float(np.float16(self.alpha)) == self.alpha
        return self.alpha if exact else float(self.rank_at(rank))

    def shapes_at(self, rank: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        kept = self.rank_at(rank)
        yield self.name + self.layout[0], (kept, *self.down.shape[1:])
        yield self.name + self.layout[1], (self.up.shape[0], kept, *self.up.shape[2:])
        if self.layout is KOHYA:
            yield self.name + ALPHA, ()


_Lora = tuple[list[_Module], dict[str, str]]  # with the metadata


def resize(source: Path, target: Path, rank: int) -> Resized:
    """Write ``target`` at ``rank``; modules of a lower one stay as they are. A lowered module's
    alpha becomes its rank, so that its scale is 1 and lies in ``up``. ``target`` is whole or
    untouched. Raises ResizeError, and OSError where a file cannot be read or written.
    """
    if rank < 1:
        raise ResizeError(f"rank {rank} is below 1")
    return _write(source, _read(source), target, rank)


def fit(source: Path, target: Path, max_bytes: int) -> Resized | None:
    """The same at the highest rank whose file has at most ``max_bytes``; None: not even rank 1.
    The shapes alone tell each rank's size to the byte, and no rank is smaller than a lower one.
    """
    lora = _read(source)
    ranks = range(1, 1 + max(one.rank for one in lora[0]))
    rank = bisect.bisect_right(ranks, max_bytes, key=lambda one: _head(lora, one, "0" * 64)[1])
    return _write(source, lora, target, rank) if rank else None


def _write(source: Path, lora: _Lora, target: Path, rank: int) -> Resized:
    modules, lost, whole = lora[0], 0.0, 0.0
    shares, pieces, digest = [], [], hashlib.sha256()
    with source.open("rb") as file:
        for one in modules:
            tensors, loss, size = _lower(one, file, rank)
            lost, whole = lost + loss, whole + size
            shares.append((one.name, math.sqrt(loss / size) if size else 0.0))
            for tensor in tensors:
                pieces.append(tensor.astype("<f2").tobytes())
                digest.update(pieces[-1])
    head, file_bytes = _head(lora, rank, digest.hexdigest())
    write_whole(target, [head, *pieces])
    return Resized(
        rank=max(one.rank_at(rank) for one in modules),
        file_bytes=file_bytes,
        error=math.sqrt(lost / whole) if whole else 0.0,
        worst=max(shares, key=lambda one: one[1]),
    )


def _head(lora: _Lora, rank: int, digest: str) -> tuple[bytes, int]:
    """What comes before the tensors, padded to 8 bytes, and the bytes of the whole file."""
    modules, facts = lora
    largest = max(modules, key=lambda one: one.rank_at(rank))
    metadata = {name: text for name, text in facts.items() if name not in STALE} | {
        "ss_network_dim": str(largest.rank_at(rank)),
        "ss_network_alpha": f"{largest.alpha_at(rank):g}",
        "sshs_model_hash": digest,
    }
    table: dict[str, Any] = {"__metadata__": metadata}
    end = 0
    for one in modules:
        for name, shape in one.shapes_at(rank):
            begin, end = end, end + 2 * math.prod(shape)
            table[name] = {"dtype": "F16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(table, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, 8 + len(text) + end


def _lower(one: _Module, file: BinaryIO, rank: int) -> tuple[list[Half], float, float]:
    """Tensors in the order of ``shapes_at``, the squared norm that is lost, and that of all. The
    large product is never formed: the factors' triangles have all of it but for a rotation.
    """
    down, up = (_numbers(file, part) for part in (one.down, one.up))
    if not (np.isfinite(down).all() and np.isfinite(up).all()):
        raise ResizeError(f"{one.name} is not finite")
    down, up = down.reshape(one.rank, -1), up.reshape(-1, one.rank)
    kept, alpha = one.rank_at(rank), one.alpha_at(rank)
    q_up, r_up = np.linalg.qr(up * (one.alpha / one.rank))
    q_down, r_down = np.linalg.qr(down.T)
    left, values, right = np.linalg.svd(r_up @ r_down.T, full_matrices=False)
    if one.rank <= rank:
        up = up * (one.alpha / alpha if alpha else 1.0)
    else:
        root = np.sqrt(values[:kept])
        up = (q_up @ left[:, :kept]) * root
        down = root[:, None] * (right[:kept] @ q_down.T)
    lost, whole = float((values[kept:] ** 2).sum()), float((values**2).sum())
    tensors = [_half(one.name, numbers) for numbers in (down, up)]
    return [*tensors, np.array(alpha, np.float16)][: 3 if one.layout is KOHYA else 2], lost, whole


def _half(name: str, numbers: Array) -> Half:
    """Rounded, unless that makes infinity of a number or nothing of them all."""
    with np.errstate(over="ignore"):
        half = numbers.astype(np.float16)
    if not np.isfinite(half).all() or (numbers.any() and not half.any()):
        raise ResizeError(f"{name} does not fit into half precision")
    return half


def _numbers(file: BinaryIO, part: _Part) -> Array:
    file.seek(part.begin)
    raw = np.frombuffer(file.read(part.size), dtype=KINDS[part.kind])
    if part.kind == "BF16":  # the upper half of a float32, which numpy does not know
        raw = (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.astype(np.float64).reshape(part.shape)


def _read(source: Path) -> _Lora:
    """Shapes, alphas and metadata; the weights stay in the file until their turn."""
    with source.open("rb") as file:
        table, metadata, start = _table(file, source.stat().st_size)
        parts = _parts(table, start, source.stat().st_size)
        layout = PEFT if any(name.endswith(PEFT[0]) for name in parts) else KOHYA
        names = sorted(one.removesuffix(layout[0]) for one in parts if one.endswith(layout[0]))
        if not names:
            raise ResizeError("there is no LoRA in the file")
        if odd := sorted(set(parts) - {one + end for one in names for end in (*layout, ALPHA)}):
            raise ResizeError(f"holds more than a LoRA: {odd[0]}")
        return [_module(file, name, layout, parts) for name in names], metadata


def _module(file: BinaryIO, name: str, layout: tuple[str, str], parts: dict[str, _Part]) -> _Module:
    down, up = (parts.get(name + end) for end in layout)
    if down is None or up is None:
        raise ResizeError(f"{name} has no second half")
    if not {down.kind, up.kind} <= set(WEIGHTS) or down.shape[:1] > (MAX_RANK,):
        raise ResizeError(f"{name} is of a kind or a rank that is not read")
    fit_together = len(down.shape) > 1 and down.shape[:1] == up.shape[1:2]
    if not fit_together or not all(down.shape + up.shape) or math.prod(up.shape[2:]) != 1:
        raise ResizeError(f"{name} has shapes that do not fit")
    scalar = parts.get(name + ALPHA)
    alpha = _numbers(file, scalar) if scalar else np.array(down.shape[0], np.float64)
    if alpha.size != 1 or not abs(alpha.item()) <= MAX_HALF:
        raise ResizeError(f"{name} has an alpha that is no number to scale by")
    return _Module(name=name, layout=layout, down=down, up=up, alpha=alpha.item())


def _table(file: BinaryIO, size: int) -> tuple[dict[str, Any], dict[str, str], int]:
    """What the file says of its tensors and of itself, and where the tensors begin, in bytes."""
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
        raise ResizeError(f"claims a header of {length} bytes")
    try:
        table = json.loads(file.read(length).decode())
        json.dumps(table, ensure_ascii=False).encode()  # refuses half a character
    except (ValueError, RecursionError) as error:
        raise ResizeError("has a header that is not JSON") from error
    metadata = (table.pop("__metadata__", None) or {}) if isinstance(table, dict) else None
    if isinstance(metadata, dict) and all(isinstance(text, str) for text in metadata.values()):
        return table, metadata, 8 + length
    raise ResizeError("has a header that is no table")


def _parts(table: dict[str, Any], start: int, size: int) -> dict[str, _Part]:
    """Each tensor, after a look that they fill the file without a gap and without sharing."""
    parts = {name: _part(name, said, start) for name, said in table.items()}
    spans = sorted((one.begin, one.begin + one.size) for one in parts.values())
    if [*(begin for begin, _ in spans), size] != [start, *(end for _, end in spans)]:
        raise ResizeError("has tensors that overlap, leave gaps or miss the end of the file")
    return parts


def _part(name: str, said: object, start: int) -> _Part:
    match said:
        case {"dtype": str(kind), "shape": [*axes], "data_offsets": [int(begin), int(end)]} if (
            kind in KINDS and len(axes) <= 8 and all(type(n) is int and n >= 0 for n in axes)
        ):
            part = _Part(kind, tuple(axes), start + begin)
            if part.size == end - begin:
                return part
    raise ResizeError(f"has a header that says what cannot be of {name}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m trainer.resize", description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("--rank", type=int)
    way.add_argument("--max-mb", type=float, help="a megabyte is 1000000 bytes")
    asked = parser.parse_args()
    do, most = (fit, asked.max_mb * MEGABYTE) if asked.max_mb is not None else (resize, asked.rank)
    try:
        made = do(asked.source, asked.target, int(most))
    except (ValueError, OverflowError, OSError) as error:
        raise SystemExit(f"{asked.source}: {error}") from error
    if made is None:
        raise SystemExit(f"{asked.source}: not even rank 1 is that small")
    print(  # noqa: T201  a command's answer
        f"rank {made.rank}, {made.file_bytes / MEGABYTE:.1f} MB, {made.error:.2%} of the change "
        f"is lost (most in {made.worst[0]}: {made.worst[1]:.2%})"
    )


if __name__ == "__main__":
    main()
