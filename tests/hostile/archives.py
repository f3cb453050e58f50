"""All hostile ZIPs."""

import bz2
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.hostile import zip_bombs
from tests.hostile.case import drawn, saved
from tests.hostile.zip_bombs import zip_lzma
from tests.hostile.zip_file import (
    BZIP2,
    DEFLATE64,
    DEFLATED,
    DESCRIBED_LATER,
    LOCKED,
    LZMA,
    MOST,
    UTF8,
    ZSTD,
    End,
    Member,
    archive,
    deflated,
    stored,
)

BAD, MANY, LARGE, LOCKED_CODE, READ = "zip.bad", "zip.many", "zip.large", "zip.locked", ""
LINK = 0o120777
PIPE = 0o010644
Made = tuple[str, bytes, str | None]


@dataclass(frozen=True, slots=True)
class ZipCase:
    """``code`` is the text key of the refusal; "" if `photo` is to be found, None is either."""

    name: str
    data: bytes
    code: str | None


def photo(seed: int) -> bytes:
    """The good picture in every ZIP that is to be read."""
    return saved(drawn(random.Random(seed)), "JPEG")


def cases(seed: int) -> Iterator[ZipCase]:
    good = stored("holiday/photo.jpg", photo(seed))
    dice = random.Random(seed)
    for family in (
        _names(good),
        _entries(good),
        _nested(good),
        zip_bombs.made(good),
        _methods(good, dice),
        _sizes(good),
        _records(good, dice),
        _long_records(good),
    ):
        for name, data, code in family:
            yield ZipCase(name, data, code)


def _names(good: Member) -> Iterator[Made]:
    """Where a careless program would write."""
    for what, name in (
        ("up", b"../../../../tmp/hostile.jpg"),
        ("up_in_the_middle", b"a/../../../tmp/hostile.jpg"),
        ("absolute", b"/tmp/hostile.jpg"),
        ("drive", b"C:\\Windows\\hostile.jpg"),
        ("backslashes", b"..\\..\\..\\hostile.jpg"),
        ("share", b"\\\\server\\share\\hostile.jpg"),
        ("nul", b"hostile.jpg\0.exe"),
        ("empty", b""),
        ("dots", b".."),
        ("slash", b"a//b///c.jpg"),
        ("long", b"a/" * 30_000 + b"hostile.jpg"),
        ("escape", b"\x1b[2J\x07hostile.jpg"),
        ("device", b"NUL.jpg"),
        ("stream", b"hostile.jpg::$DATA"),
        ("percent", b"%s%n%x.jpg"),
        ("right_to_left", "\u202egpj.exe".encode()),
    ):
        flags = UTF8 if what == "right_to_left" else 0
        yield f"name.{what}", archive([good, replace(good, name=name, flags=flags)]), READ
    yield "name.not_utf_8", archive([replace(good, name=b"\xff\xfe.jpg", flags=UTF8)]), None
    local = replace(good, local_name=b"\xff" * 17, flags=UTF8)
    yield "name.other_inside", archive([good, local]), None
    yield "name.twice", archive([good, good, good]), READ


def _entries(good: Member) -> Iterator[Made]:
    link = replace(stored("photo2.jpg", b"/etc/passwd"), mode=LINK)
    folder = replace(stored("photos/", b""), mode=0o040755)
    yield "entry.link", archive([link, good]), READ
    yield "entry.pipe", archive([replace(stored("pipe", b""), mode=PIPE), good]), READ
    yield "entry.folders_only", archive([folder, replace(folder, name=b"photos/a/")]), None
    yield "entry.folder_with_bytes", archive([replace(good, name=b"a.jpg/"), good]), READ
    yield "entry.none", archive([]), None
    hidden = [stored(f"__MACOSX/._{n}.jpg", b"\0\5\x16\7") for n in range(150)]
    beside = [stored(f"{n}.txt", b"x") for n in range(149)]
    yield "entry.mac", archive([good, *beside[:9], *hidden[:10]]), READ
    yield "entry.mac_150", archive([good, *beside, *hidden]), READ
    yield "entry.hidden", archive([stored(".hidden.jpg", b"x"), stored("__a", b"x"), good]), READ
    yield "entry.200", archive([good, *(stored(f"{n}", b"x") for n in range(199))]), READ
    yield "entry.201", archive([good, *(stored(f"{n}", b"x") for n in range(200))]), MANY
    yield "entry.100000", crowd(good, 100_000), MANY
    locked = replace(good, flags=LOCKED)
    yield "entry.locked", archive([locked]), LOCKED_CODE
    yield "entry.one_locked", archive([good, locked]), LOCKED_CODE
    yield "entry.locked_strongly", archive([replace(good, flags=LOCKED | 64)]), LOCKED_CODE
    yield "entry.patched", archive([replace(good, flags=32)]), None
    yield "entry.masked", archive([replace(good, flags=LOCKED | 1 << 13)]), LOCKED_CODE


def crowd(good: Member, count: int) -> bytes:
    """The directory names the same file over and over."""
    data = archive([good])
    start = data.rindex(b"PK\1\2")
    end = data.rindex(b"PK\5\6")
    listed = data[start:end] * count
    return (
        data[:start]
        + listed
        + struct.pack(
            "<4sHHHHIIH", b"PK\5\6", 0, 0, count & 0xFFFF, count & 0xFFFF, len(listed), start, 0
        )
    )


def _nested(good: Member) -> Iterator[Made]:
    inner = archive([good])
    for _ in range(50):
        inner = archive([stored("inner.zip", inner)])
    yield "nested.50", archive([stored("inner.zip", inner)]), None
    yield "nested.beside", archive([stored("inner.zip", inner), good]), READ
    yield "nested.called_jpg", archive([stored("inner.jpg", inner), good]), READ
    yield "nested.behind_jpeg", archive([stored("both.jpg", good.packed + inner), good]), READ
    yield "nested.gzip", archive([stored("a.jpg", b"\x1f\x8b\x08" + bytes(90)), good]), READ
    yield "nested.itself", quine(), None


def quine() -> bytes:
    """The only entry is the whole file, from its first byte on."""
    name = b"itself.zip"
    member = Member(name=name, packed=b"", size=200, crc=0, said_packed=200, local=(200, 200))
    return archive([member])


def _methods(good: Member, dice: random.Random) -> Iterator[Made]:
    body = good.packed
    for name, method in (("deflate64", DEFLATE64), ("zstd", ZSTD), ("unknown", 77), ("jpeg", 96)):
        yield f"method.{name}", archive([replace(good, method=method)]), BAD
    yield "method.deflate", archive([deflated("photo.jpg", body)]), READ
    packed = replace(good, packed=bz2.compress(body), method=BZIP2)
    yield "method.bzip2", archive([packed]), None
    yield "method.lzma", archive([replace(good, packed=zip_lzma(body), method=LZMA)]), None
    for name, method in (("deflate", DEFLATED), ("bzip2", BZIP2), ("lzma", LZMA)):
        noise = dice.randbytes(5000)
        yield f"method.{name}_garbage", archive([replace(good, packed=noise, method=method)]), BAD
        empty = replace(good, packed=b"", method=method)
        yield f"method.{name}_empty", archive([empty]), BAD
    short = replace(good, packed=b"\x09\x04\xff\xff" + bytes(20), method=LZMA)
    yield "method.lzma_properties", archive([short]), BAD
    whole = deflated("photo.jpg", body)
    half = replace(whole, packed=whole.packed[: len(whole.packed) // 2])
    yield "method.deflate_half", archive([half]), BAD


def _sizes(good: Member) -> Iterator[Made]:
    whole = deflated("photo.jpg", good.packed)
    for name, member, code in (
        ("larger", replace(good, size=len(good.packed) * 2), None),
        ("smaller", replace(good, size=len(good.packed) // 2), None),
        ("none", replace(good, size=0), None),
        ("most", replace(good, size=MOST - 1), None),
        ("packed_most", replace(good, said_packed=MOST - 1), None),
        ("packed_none", replace(good, said_packed=0), None),
        ("deflated_smaller", replace(whole, size=100), BAD),
        ("deflated_larger", replace(whole, size=len(good.packed) + 9), None),
        ("local_only", replace(good, local=(MOST - 1, MOST - 1)), READ),
        ("local_none", replace(good, local=(0, 0), flags=DESCRIBED_LATER), READ),
        ("crc", replace(good, crc=good.crc ^ 1), BAD),
        ("place_outside", replace(good, place=1 << 30), BAD),
        ("place_inside", replace(good, place=100), BAD),
        ("version_255", replace(good, version=255), None),
    ):
        yield f"size.{name}", archive([member]), code
    later = struct.pack("<4sIII", b"PK\7\x08", good.crc, len(good.packed), good.size)
    packed = replace(good, packed=good.packed + later, said_packed=len(good.packed))
    described = replace(packed, flags=DESCRIBED_LATER, local=(0, 0))
    yield "size.described_later", archive([described, good]), READ


def _records(good: Member, dice: random.Random) -> Iterator[Made]:
    data = archive([good])
    directory = data.rindex(b"PK\1\2")
    for name, cut in (("half", len(data) // 2), ("directory", directory + 20), ("end", -10)):
        yield f"record.cut_{name}", data[:cut], BAD
    yield "record.head_only", b"PK\3\4", BAD
    yield "record.head_and_noise", b"PK\3\4" + dice.randbytes(9000), BAD
    yield "record.end_only", archive([]), None
    yield "record.trailing", data + dice.randbytes(3000), None
    yield "record.trailing_100_kb", data + bytes(100_000), BAD
    yield "record.in_front", archive([good], prefix=dice.randbytes(3000)), None
    yield "record.jpeg_in_front", good.packed + data, None
    yield "record.comment", archive([good], End(comment=bytes(65_535))), READ
    yield "record.comment_lies", archive([good], End(comment=b"x", comment_bytes=9)), None
    fake = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, 46, 0, 0)
    yield "record.second_end", archive([good], End(comment=fake + b"x")), None
    told = replace(good, comment=bytes(65_000))
    yield "record.comments_13_mb", archive([told] * 200), None
    yield "record.count_0", archive([good], End(entries=0)), None
    yield "record.count_65535", archive([good], End(entries=65_535)), None
    yield "record.size_0", archive([good], End(size=0)), None
    yield "record.size_most", archive([good], End(size=MOST)), BAD
    yield "record.size_short", archive([good, good], End(size=90)), BAD
    yield "record.place_0", archive([good], End(place=0)), None
    yield "record.place_most", archive([good], End(place=MOST)), BAD
    yield "record.place_later", archive([good], End(place=len(good.packed) + 2000)), None
    flipped = bytearray(data)
    for at in dice.sample(range(directory, len(data)), 8):
        flipped[at] ^= 1 << dice.randrange(8)
    yield "record.flipped", bytes(flipped), None


def _long_records(good: Member) -> Iterator[Made]:
    """The 64-bit forms (APPNOTE 4.3.14 to 4.5.3), with numbers that no file could have."""
    for name, size in (("large", 1 << 40), ("most", (1 << 64) - 1), ("true", len(good.packed))):
        extra = struct.pack("<HHQQ", 1, 16, size, size)
        member = replace(good, size=MOST, said_packed=MOST, extra=extra)
        yield f"long.size_{name}", archive([member]), READ if name == "true" else None
    for name, extra in (
        ("short", b"\1\0\4\0abcd"),
        ("none", b"\1\0\0\0"),
        ("cut", b"\1\0\xff\xff"),
    ):
        member = replace(good, size=MOST, said_packed=MOST, extra=extra)
        yield f"long.extra_{name}", archive([member]), BAD
    place = replace(good, place=MOST, extra=struct.pack("<HHQ", 1, 8, (1 << 63) + 5))
    yield "long.place_most", archive([place]), None
    body = len(archive([good])) - 22
    for name, size, start, at in (
        ("size_most", (1 << 64) - 1, 0, body),
        ("size_half", 1 << 62, 0, body),
        ("place_most", 90, (1 << 64) - 1, body),
        ("at_most", 90, 0, (1 << 64) - 1),
        ("at_itself", 90, 0, body + 56),
    ):
        long = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, start)
        locator = struct.pack("<4sIQI", b"PK\6\7", 0, at, 1)
        yield f"long.end_{name}", archive([good], End(before=long + locator, size=MOST)), None
