"""Taking files apart into their blocks and putting them together again, wrongly on demand."""

import struct
import zlib
from collections.abc import Iterable

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
SOS = 0xDA
STANDALONE = frozenset({0xD8, 0xD9, *range(0xD0, 0xD8)})

Chunk = tuple[bytes, bytes]  # kind and body
Segment = tuple[int, bytes]  # marker and body


def png_chunk(kind: bytes, body: bytes, crc: int | None = None) -> bytes:
    crc = zlib.crc32(kind + body) if crc is None else crc
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


def png_chunks(data: bytes) -> list[Chunk]:
    found, at = [], len(PNG_MAGIC)
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def png(chunks: Iterable[Chunk]) -> bytes:
    return PNG_MAGIC + b"".join(png_chunk(kind, body) for kind, body in chunks)


def ihdr(width: int, height: int, depth: int = 8, colour: int = 2, interlaced: int = 0) -> Chunk:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)


def after_ihdr(data: bytes, *more: Chunk) -> bytes:
    first, *rest = png_chunks(data)
    return png([first, *more, *rest])


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg_segments(data: bytes) -> tuple[list[Segment], bytes]:
    """What stands before the first scan, and all from its marker on."""
    found, at = [], 2
    while data[at + 1] != SOS:
        (length,) = struct.unpack_from(">H", data, at + 2)
        found.append((data[at + 1], data[at + 4 : at + 2 + length]))
        at += 2 + length
    return found, data[at:]


def jpeg(segments: Iterable[Segment], rest: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(segment(marker, body) for marker, body in segments) + rest


def with_segment(data: bytes, marker: int, body: bytes) -> bytes:
    """One more segment, before all others."""
    return data[:2] + segment(marker, body) + data[2:]


def resized_jpeg(data: bytes, width: int, height: int) -> bytes:
    """Another size in the frame header; the scan stays as it is."""
    segments, rest = jpeg_segments(data)
    lied = [
        (marker, body[:1] + struct.pack(">HH", height, width) + body[5:])
        if marker in (0xC0, 0xC1, 0xC2)
        else (marker, body)
        for marker, body in segments
    ]
    return jpeg(lied, rest)


def riff_chunks(data: bytes) -> list[Chunk]:
    found, at = [], 12
    while at + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 4)
        found.append((data[at : at + 4], data[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    return found


def riff_chunk(kind: bytes, body: bytes, length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    return kind + struct.pack("<I", length) + body + b"\0" * (len(body) % 2)


def webp(chunks: Iterable[Chunk], length: int | None = None) -> bytes:
    body = b"WEBP" + b"".join(riff_chunk(kind, body) for kind, body in chunks)
    return b"RIFF" + struct.pack("<I", len(body) if length is None else length) + body


def vp8x(width: int, height: int, flags: int = 0) -> Chunk:
    across, down = (width - 1).to_bytes(3, "little"), (height - 1).to_bytes(3, "little")
    return b"VP8X", bytes([flags, 0, 0, 0]) + across + down


def box(kind: bytes, body: bytes, length: int | None = None) -> bytes:
    """A box of the ISO base media file format, as AVIF and HEIC have them."""
    return struct.pack(">I", 8 + len(body) if length is None else length) + kind + body


def full_box(kind: bytes, version: int, body: bytes, flags: int = 0) -> bytes:
    return box(kind, bytes([version]) + flags.to_bytes(3, "big") + body)


def replaced(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def patched_box(data: bytes, kind: bytes, offset: int, new: bytes) -> bytes:
    """Other bytes at ``offset`` inside the first box of that kind; the same length."""
    at = data.index(kind) + 4 + offset
    return replaced(data, at, new)
