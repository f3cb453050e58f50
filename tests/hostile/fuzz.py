"""Uploads made by chance: good files of every format, changed where it hurts."""

import random
import re
import struct
from collections.abc import Callable, Iterator

from tests.hostile import odd, odd_tiff
from tests.hostile.blocks import PNG_MAGIC, png, png_chunks
from tests.hostile.case import Case
from tests.hostile.cut import SEEDS

HEADS = 600  # bytes in which most of a file's structure is
NUMBERS = (
    *(0, 1, 2, 7, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 1 << 24),
    *((1 << 31) - 1, 1 << 31, (1 << 32) - 8, (1 << 32) - 1),
)
KIND = re.compile(rb"[A-Za-z]{4}|\xff[\xc0-\xfe]|[\x00-\x01]\x01[\x03\x04]\x00")

Change = Callable[[bytes, random.Random], bytes]


def mutants(seed: int, count: int) -> Iterator[bytes]:
    dice = random.Random(seed)
    good = {case.name.removeprefix("odd."): case.data for case in _good(dice)}
    seeds = [good[name] for name in SEEDS]
    for _ in range(count):
        data = dice.choice(seeds)
        if dice.random() < 0.1:
            data = _spliced(data, dice.choice(seeds), dice)
        for _ in range(1 + dice.randrange(4)):
            data = dice.choice(CHANGES)(data, dice)
        # A check sum that is wrong would hide all that comes behind it.
        yield png(png_chunks(data)) if _is_png(data) and dice.random() < 0.7 else data


def _good(dice: random.Random) -> Iterator[Case]:
    yield from odd.cases(dice)
    yield from odd_tiff.cases(dice)


def _is_png(data: bytes) -> bool:
    return data.startswith(PNG_MAGIC)


def _place(data: bytes, dice: random.Random) -> int:
    """Often near the beginning."""
    return dice.randrange(min(HEADS, len(data)) if dice.random() < 0.6 else len(data))


def _bits(data: bytes, dice: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(1 + dice.randrange(12)):
        out[_place(data, dice)] ^= 1 << dice.randrange(8)
    return bytes(out)


def _noise(data: bytes, dice: random.Random) -> bytes:
    at, size = _place(data, dice), 1 + dice.randrange(64)
    return data[:at] + dice.randbytes(size) + data[at + size :]


def _copied(data: bytes, dice: random.Random) -> bytes:
    """A block once more, over another or between."""
    start, at = _place(data, dice), _place(data, dice)
    block = data[start : start + 1 + dice.randrange(2000)]
    after = at + len(block) if dice.random() < 0.5 else at
    return data[:at] + block + data[after:]


def _removed(data: bytes, dice: random.Random) -> bytes:
    at = _place(data, dice)
    return data[:at] + data[at + 1 + dice.randrange(100) :] or b"\0"


def _shortened(data: bytes, dice: random.Random) -> bytes:
    return data[: 1 + int(len(data) * dice.random() ** 0.5)]


def _number(data: bytes, dice: random.Random) -> bytes:
    """A length, a count or a size beside the name of a block says something else."""
    places = [match.start() for match in KIND.finditer(data, 0, 4000)] or [0]
    at = max(0, dice.choice(places) + dice.choice((-4, 2, 4, 4, 8, 12)))
    value = dice.choice(NUMBERS) if dice.random() < 0.8 else dice.randrange(1 << 20)
    form = dice.choice((">I", "<I", ">H", "<H"))
    new = struct.pack(form, value & (0xFFFF if form[1] == "H" else 0xFFFFFFFF))
    return data[:at] + new + data[at + len(new) :]


def _spliced(data: bytes, other: bytes, dice: random.Random) -> bytes:
    """The beginning of one format and the middle of another."""
    return data[: 1 + _place(data, dice)] + other[_place(other, dice) :]


CHANGES: tuple[Change, ...] = (
    _bits,
    _bits,
    _number,
    _number,
    _noise,
    _copied,
    _removed,
    _shortened,
)
