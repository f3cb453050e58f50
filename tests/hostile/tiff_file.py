"""TIFF files from entries that may say anything."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 1, 2, 3, 4, 5, 7
SIZES = {BYTE: 1, ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8, UNDEFINED: 1}
LETTERS = {BYTE: "B", SHORT: "H", LONG: "I"}
WIDTH, HEIGHT, DEPTH, COMPRESSION, PHOTOMETRIC, OFFSETS = 256, 257, 258, 259, 262, 273
SAMPLES, ROWS, COUNTS, PLANAR = 277, 278, 279, 284
START = 8  # where the pixels are
ITSELF = -1


@dataclass(frozen=True, slots=True)
class Entry:
    """``count`` and ``offset`` are lies where they are given."""

    tag: int
    kind: int
    values: bytes | Sequence[int]
    count: int | None = None
    offset: int | None = None


def rgb(width: int, height: int, pixels: bytes, compression: int = 1) -> dict[int, Entry]:
    """What a plain RGB picture in one strip needs, by tag."""
    entries = (
        Entry(WIDTH, LONG, [width]),
        Entry(HEIGHT, LONG, [height]),
        Entry(DEPTH, SHORT, [8, 8, 8]),
        Entry(COMPRESSION, SHORT, [compression]),
        Entry(PHOTOMETRIC, SHORT, [2]),
        Entry(OFFSETS, LONG, [START]),
        Entry(SAMPLES, SHORT, [3]),
        Entry(ROWS, LONG, [height]),
        Entry(COUNTS, LONG, [len(pixels)]),
        Entry(PLANAR, SHORT, [1]),
    )
    return {entry.tag: entry for entry in entries}


def lied(entries: dict[int, Entry], tag: int, *values: int) -> dict[int, Entry]:
    return {**entries, tag: replace(entries.get(tag, Entry(tag, LONG, [])), values=values)}


def tiff(entries: dict[int, Entry], pixels: bytes, order: str = "<", after: int = 0) -> bytes:
    """Header, pixels, long values, directory; ``after`` is the place of the next directory."""
    body = pixels + b"\0" * (len(pixels) % 2)
    lines = b""
    for _, entry in sorted(entries.items()):
        raw = _raw(entry, order)
        count = len(raw) // SIZES[entry.kind] if entry.count is None else entry.count
        if entry.offset is not None:
            place = struct.pack(order + "I", entry.offset)
        elif len(raw) <= 4:
            place = raw.ljust(4, b"\0")
        else:
            place = struct.pack(order + "I", START + len(body))
            body += raw + b"\0" * (len(raw) % 2)
        lines += struct.pack(order + "HHI", entry.tag, entry.kind, count & 0xFFFFFFFF) + place
    directory = START + len(body)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(order + "I", directory)
    after = directory if after == ITSELF else after
    lines = struct.pack(order + "H", len(entries)) + lines + struct.pack(order + "I", after)
    return head + body + lines


def _raw(entry: Entry, order: str) -> bytes:
    if isinstance(entry.values, bytes):
        return entry.values
    if entry.kind == RATIONAL:
        return struct.pack(f"{order}{len(entry.values)}I", *entry.values)
    return struct.pack(f"{order}{len(entry.values)}{LETTERS[entry.kind]}", *entry.values)
