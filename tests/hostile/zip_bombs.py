"""ZIPs that are small outside and large inside."""

import bz2
import lzma
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from tests.hostile.case import zeros
from tests.hostile.zip_file import BZIP2, DEFLATED, LZMA, Member, archive

BAD, LARGE = "zip.bad", "zip.large"
MILLION = 1_000_000
Made = tuple[str, bytes, str | None]


def zeros_member(name: str, count: int, method: int = DEFLATED) -> Member:
    """``count`` is in whole millions."""
    blank, crc = bytes(MILLION), 0
    for _ in range(count // MILLION):
        crc = zlib.crc32(blank, crc)
    if method == DEFLATED:
        packed = zeros(count)[2:-4]
    elif method == BZIP2:
        packer = bz2.BZ2Compressor()
        packed = b"".join(packer.compress(blank) for _ in range(count // MILLION)) + packer.flush()
    else:
        packed = zip_lzma(bytes(count))
    return Member(name=name.encode(), packed=packed, size=count, crc=crc, method=method)


def zip_lzma(body: bytes) -> bytes:
    """As ZIP has it: version, length of the properties, properties, stream (APPNOTE 5.8)."""
    chain = [{"id": lzma.FILTER_LZMA1, "preset": 0, "dict_size": 1 << 16}]
    alone = lzma.compress(body, lzma.FORMAT_ALONE, filters=chain)
    return b"\x09\x04\x05\0" + alone[:5] + alone[13:]


def made(good: Member) -> Iterator[Made]:
    one = zeros_member("a.jpg", 49_000_000)
    yield "bomb.one_51_mb", archive([zeros_member("a.jpg", 51_000_000), good]), LARGE
    yield "bomb.one_1_gb", archive([zeros_member("a.jpg", 1_000_000_000)]), LARGE
    many = [replace(one, name=f"{n}.jpg".encode()) for n in range(190)]
    yield "bomb.190_of_49_mb", archive(many), LARGE
    same = archive([one])
    start, end = same.rindex(b"PK\1\2"), same.rindex(b"PK\5\6")
    listed = same[start:end] * 150
    last = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 150, 150, len(listed), start, 0)
    yield "bomb.one_for_all", same[:start] + listed + last, None
    yield "bomb.quoted", quoted(30, 20_000_000), None
    big = zeros_member("a.jpg", 200_000_000)
    lies = replace(big, size=1000, local=(len(big.packed), 1000))
    yield "bomb.says_1_kb", archive([lies, good]), BAD
    short = replace(big, said_packed=300)
    yield "bomb.packed_says_300", archive([short, good]), None
    inside = zeros_member("a", 400_000_000, BZIP2)
    yield "bomb.bzip2_400_mb", archive([inside]), None
    yield "bomb.bzip2_says_40_mb", archive([replace(inside, size=40_000_000)]), None
    yield "bomb.lzma_200_mb", archive([zeros_member("a", 200_000_000, LZMA)]), None
    hungry = zip_lzma(bytes(1000))
    hungry = hungry[:5] + b"\xff\xff\xff\xff" + hungry[9:]
    crc = zlib.crc32(bytes(1000))
    wide = Member(name=b"a", packed=hungry, size=1000, crc=crc, method=LZMA)
    yield "bomb.lzma_dictionary_4_gb", archive([wide] * 50), None


def quoted(count: int, size: int) -> bytes:
    """Each file contains the headers of all that follow, and they all share the last one's bytes.

    After Fifield, "A better zip bomb" (WOOT 2019): a stored block quotes the next header.
    """
    kernel = zeros_member(f"{count:03}", size)
    members, crc = [kernel], zlib.crc32
    body, inside = kernel.packed, b""
    zero = bytes(size)
    for number in range(count - 1, 0, -1):
        following = members[0]
        alone = archive([replace(following, packed=b"", local=(len(body), following.size))])
        header = alone[: alone.index(b"PK\1\2")]
        inside = header + inside
        length = len(header)
        body = struct.pack("<BHH", 0, length, length ^ 0xFFFF) + header + body
        name = f"{number:03}".encode()
        said = replace(kernel, name=name, size=len(inside) + size, crc=crc(zero, crc(inside)))
        members.insert(0, replace(said, packed=b"", said_packed=len(body)))
    return _overlapping(members, body)


def _overlapping(members: Sequence[Member], body: bytes) -> bytes:
    first = replace(members[0], local=(len(body), members[0].size))
    alone = archive([first])
    data = alone[: alone.index(b"PK\1\2")] + body
    step = 30 + len(members[0].name)
    places = [number * (step + 5) for number in range(len(members))]
    placed = [replace(one, place=at) for one, at in zip(members, places, strict=True)]
    placed[-1] = replace(placed[-1], said_packed=len(members[-1].packed))
    whole = archive([replace(one, packed=b"") for one in placed])
    end = whole.rindex(b"PK\5\6")
    listed = whole[whole.index(b"PK\1\2") : end]
    last = struct.pack("<IIH", len(listed), len(data), 0)
    return data + listed + whole[end : end + 12] + last
