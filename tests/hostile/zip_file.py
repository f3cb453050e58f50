"""ZIP files from entries that may say anything."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

STORED, DEFLATED, DEFLATE64, BZIP2, LZMA, ZSTD = 0, 8, 9, 12, 14, 93
LOCKED, DESCRIBED_LATER, UTF8 = 1, 8, 0x800
UNIX = 3
MOST = 0xFFFFFFFF
TIME = struct.pack("<HH", 0, 0x5C21)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """``packed`` is as it stands in the file; None for a size or a place is the truth.

    ``local`` is what the header before the bytes says of them: size packed, size unpacked.
    """

    name: bytes
    packed: bytes
    size: int
    crc: int
    method: int = STORED
    flags: int = 0
    mode: int = 0  # as Unix has it
    said_packed: int | None = None
    local: tuple[int, int] | None = None
    local_name: bytes | None = None
    extra: bytes = b""
    place: int | None = None
    version: int = 20
    comment: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What the last record says; None is the truth."""

    entries: int | None = None
    size: int | None = None
    place: int | None = None
    comment: bytes = b""
    comment_bytes: int | None = None
    before: bytes = b""  # this record


def stored(name: str | bytes, body: bytes) -> Member:
    return Member(name=_raw(name), packed=body, size=len(body), crc=zlib.crc32(body))


def deflated(name: str | bytes, body: bytes) -> Member:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    packed = packer.compress(body) + packer.flush()
    return Member(
        name=_raw(name), packed=packed, size=len(body), crc=zlib.crc32(body), method=DEFLATED
    )


def _raw(name: str | bytes) -> bytes:
    return name if isinstance(name, bytes) else name.encode()


def archive(members: Sequence[Member], end: End | None = None, prefix: bytes = b"") -> bytes:
    end = end or End()
    files, directory = [], []
    at = len(prefix)
    for member in members:
        local = _local(member)
        directory.append(_central(member, at if member.place is None else member.place))
        files.append(local)
        at += len(local)
    listed = b"".join(directory)
    return (
        prefix + b"".join(files) + listed + end.before + _last(end, len(members), len(listed), at)
    )


def _last(end: End, entries: int, size: int, place: int) -> bytes:
    entries = min(entries, 0xFFFF) if end.entries is None else end.entries
    size = size if end.size is None else end.size
    place = place if end.place is None else end.place
    comment = len(end.comment) if end.comment_bytes is None else end.comment_bytes
    numbers = (0, 0, entries, entries, size, place, comment)
    return struct.pack("<4sHHHHIIH", b"PK\5\6", *numbers) + end.comment


def _local(member: Member) -> bytes:
    name = member.name if member.local_name is None else member.local_name
    packed, size = member.local or (len(member.packed), member.size)
    head = struct.pack("<4sHHH", b"PK\3\4", member.version, member.flags, member.method) + TIME
    head += struct.pack("<III", member.crc, packed & MOST, size & MOST)
    return head + struct.pack("<HH", len(name), 0) + name + member.packed


def _central(member: Member, place: int) -> bytes:
    packed = len(member.packed) if member.said_packed is None else member.said_packed
    head = struct.pack("<4sBBHHH", b"PK\1\2", 20, UNIX, member.version, member.flags, member.method)
    head += TIME + struct.pack("<III", member.crc, packed & MOST, member.size & MOST)
    lengths = (len(member.name), len(member.extra), len(member.comment))
    head += struct.pack("<HHHHH", *lengths, 0, 0)
    head += struct.pack("<II", member.mode << 16, place & MOST)
    return head + member.name + member.extra + member.comment
