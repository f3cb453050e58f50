"""Good pictures with bad words about themselves. What is said of a picture is never a reason to
refuse it, but whoever reads it has to come back.
"""

import random
import struct
from collections.abc import Iterator

from tests.hostile import profiles
from tests.hostile.blocks import after_ihdr, jpeg_segments, segment, with_segment
from tests.hostile.case import Case, drawn, saved

ORIENTATION = 0x0112
APP1, APP2, APP13 = 0xE1, 0xE2, 0xED
PIECE = 65_000
TOO_SHORT = frozenset({"jpeg.icc_name_only", "jpeg.jfif_short", "jpeg.adobe_short"})


def cases(dice: random.Random) -> Iterator[Case]:
    image = drawn(dice)
    jpeg, png = saved(image, "JPEG"), saved(image, "PNG")
    for name, exif in exifs(dice).items():
        yield Case(f"meta.jpeg.exif_{name}", with_segment(jpeg, APP1, b"Exif\0\0" + exif), True)
        yield Case(f"meta.png.exif_{name}", after_ihdr(png, (b"eXIf", exif)), True)
        yield Case(f"meta.webp.exif_{name}", saved(image, "WEBP", exif=exif, method=0), True)
    ink = image.convert("CMYK")
    for name, profile in _profiles(dice).items():
        yield Case(f"meta.jpeg.icc_{name}", saved(image, "JPEG", icc_profile=profile), True)
        yield Case(f"meta.png.icc_{name}", saved(image, "PNG", icc_profile=profile), None)
        yield Case(f"meta.ink.icc_{name}", saved(ink, "JPEG", icc_profile=profile), True)
    for name, data in (_segments(jpeg, dice) | _texts(png)).items():
        yield Case(f"meta.{name}", data, None if name in TOO_SHORT else True)
    for name, index in _indices().items():
        mpo = with_segment(jpeg, APP2, b"MPF\0" + index)
        yield Case(f"meta.mpo.{name}", mpo, None)


def exifs(dice: random.Random) -> dict[str, bytes]:
    """The blocks as TIFF has them, without the name in front."""
    head = b"II*\0\x08\0\0\0"

    def entry(tag: int, kind: int, count: int, value: int) -> bytes:
        return struct.pack("<HHII", tag, kind, count, value)

    def one(*entries: bytes, after: int = 0) -> bytes:
        body = struct.pack("<H", len(entries)) + b"".join(entries)
        return head + body + struct.pack("<I", after)

    turned = {f"turned_{n}": one(entry(ORIENTATION, 3, 1, n)) for n in (0, 9, 65535)}
    return turned | {
        "turned_as_text": one(entry(ORIENTATION, 2, 4, 0x00363636)),
        "turned_as_list": one(entry(ORIENTATION, 3, 2, 0x00060006)),
        "turned_as_fraction": one(entry(ORIENTATION, 5, 1, 26)) + bytes(8),
        "turned_twice": one(entry(ORIENTATION, 3, 1, 6), entry(ORIENTATION, 3, 1, 3)),
        "turned_nowhere": one(entry(ORIENTATION, 3, 900, 0x7FFFFFFF)),
        "circle": one(entry(0x8769, 4, 1, 8), entry(0xA005, 4, 1, 8), after=8),
        "next_outside": one(entry(ORIENTATION, 3, 1, 1), after=0xFFFFFFFF),
        "count_most": one(entry(0x010E, 2, 0xFFFFFFFF, 8)),
        "kind_unknown": one(entry(ORIENTATION, 77, 1, 6)),
        "entries_65535": head + b"\xff\xff" + entry(ORIENTATION, 3, 1, 6) * 4000,
        "garbage": dice.randbytes(60_000),
        "garbage_with_head": head + dice.randbytes(60_000),
        "head_only": head,
        "empty": b"",
        "order_unknown": b"XX*\0\x08\0\0\0" + bytes(20),
        "place_outside": b"II*\0\xff\xff\xff\x7f",
    }


def _profiles(dice: random.Random) -> dict[str, bytes]:
    return {**profiles.broken(dice), "for_ink": profiles.cmyk(), "lab": profiles.lab()}


def _segments(jpeg: bytes, dice: random.Random) -> dict[str, bytes]:
    name = b"http://ns.adobe.com/xap/1.0/\0"
    long = b"http://ns.adobe.com/xmp/extension/\0" + b"0" * 32
    profile = b"ICC_PROFILE\0"
    packet = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "' + b"b" * 9000 + b'"><!ENTITY c "'
    packet += b"&a;" * 9000 + b'">]><x:xmpmeta xmlns:x="adobe:ns:meta/">&c;</x:xmpmeta>'
    pieces = jpeg
    for number in range(40):
        place = struct.pack(">II", 0xFFFFFFFF, number * PIECE)
        pieces = with_segment(pieces, APP1, long + place + bytes(PIECE))
    segments, _ = jpeg_segments(jpeg)
    jfif = segments[0][1]
    icc = profiles.wide()
    return {
        "jpeg.xmp_huge": pieces,
        "jpeg.xmp_entities": with_segment(jpeg, APP1, name + packet),
        "jpeg.xmp_garbage": with_segment(jpeg, APP1, name + dice.randbytes(60_000)),
        "jpeg.photoshop_garbage": with_segment(
            jpeg, APP13, b"Photoshop 3.0\x008BIM" + dice.randbytes(20_000)
        ),
        "jpeg.photoshop_long": with_segment(
            jpeg, APP13, b"Photoshop 3.0\x008BIM\x03\xed\0\0\x7f\xff\xff\xff" + bytes(30)
        ),
        "jpeg.icc_no_pieces": with_segment(jpeg, APP2, profile + b"\0\0" + icc),
        "jpeg.icc_piece_9_of_2": with_segment(jpeg, APP2, profile + b"\x09\2" + icc),
        "jpeg.icc_pieces_missing": with_segment(jpeg, APP2, profile + b"\1\xff" + icc),
        "jpeg.icc_name_only": with_segment(jpeg, APP2, profile),
        "jpeg.icc_255_pieces": jpeg[:2]
        + b"".join(segment(APP2, profile + bytes([n, 255]) + bytes(9000)) for n in range(1, 256))
        + jpeg[2:],
        "jpeg.density_0": with_segment(jpeg, 0xE0, jfif[:7] + b"\1\0\0\0\0\0\0"),
        "jpeg.thumbnail_lies": with_segment(jpeg, 0xE0, jfif[:12] + b"\xff\xff"),
        "jpeg.jfif_short": with_segment(jpeg, 0xE0, b"JFIF\0"),
        "jpeg.adobe_short": with_segment(jpeg, 0xEE, b"Adobe"),
        "jpeg.exif_many": jpeg[:2] + segment(APP1, b"Exif\0\0" + bytes(20)) * 3000 + jpeg[2:],
    }


def _texts(png: bytes) -> dict[str, bytes]:
    latin = bytes(range(160, 256)) * 40
    return {
        "png.text_not_utf_8": after_ihdr(png, (b"iTXt", b"k\0\0\0\xff\0\xff\0" + latin)),
        "png.text_without_key": after_ihdr(png, (b"tEXt", latin)),
        "png.time_wrong": after_ihdr(png, (b"tIME", b"\xff" * 7)),
        "png.chroma_0": after_ihdr(png, (b"cHRM", bytes(32))),
        "png.gamma_0": after_ihdr(png, (b"gAMA", bytes(4))),
        "png.density_0": after_ihdr(png, (b"pHYs", bytes(8) + b"\1")),
        "png.xmp_huge": after_ihdr(
            png, (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"<x>" * 200_000)
        ),
    }


def _indices() -> dict[str, bytes]:
    """Of several pictures in one file (CIPA DC-007): how many there are, and where."""

    def index(count: int, entries: bytes, size: int) -> bytes:
        lines = struct.pack("<HHI4s", 0xB000, 7, 4, b"0100")
        lines += struct.pack("<HHII", 0xB001, 4, 1, count)
        lines += struct.pack("<HHII", 0xB002, 7, size, 50)
        return b"II*\0\x08\0\0\0" + struct.pack("<H", 3) + lines + bytes(4) + entries

    first = struct.pack("<IIIHH", 0x030000, 1000, 0, 0, 0)
    return {
        "none": index(0, b"", 0),
        "many": index(0xFFFFFFFF, first, 16),
        "outside": index(2, first + struct.pack("<IIIHH", 0, 0xFFFFFFFF, 0xFFFFFFF0, 0, 0), 32),
        "of_itself": index(60, first * 60, 960),
        "format_unknown": index(1, struct.pack("<IIIHH", 0x07000000, 10, 0, 0, 0), 16),
        "garbage": b"II*\0" + bytes(range(200)),
        "empty": b"",
    }
