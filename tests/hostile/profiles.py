"""Colour profiles: a good one, a wide one, and broken ones."""

import random
import struct
from functools import cache

from PIL import ImageCms

from tests.hostile.blocks import replaced

CREATED = 24  # place of the date in the header
# Red, green and blue of Display P3 adapted to D50, as s15Fixed16 (SMPTE EG 432-1).
WIDE = {
    b"rXYZ": (0x83DF, 0x3DBF, 0xFFFFFFBB),
    b"gXYZ": (0x4ABF, 0xB137, 0x0AB9),
    b"bXYZ": (0x2838, 0x110B, 0xC8B9),
}


@cache
def srgb() -> bytes:
    made = bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    return replaced(made, CREATED, struct.pack(">6H", 2026, 1, 1, 0, 0, 0))


@cache
def wide() -> bytes:
    """sRGB's curves with the primaries of Display P3, and another name."""
    profile = srgb().replace("sRGB".encode("utf-16-be"), "wide".encode("utf-16-be"))
    profile = profile.replace(b"sRGB", b"wide")
    for kind, values in WIDE.items():
        at, _ = _tag(profile, kind)
        profile = replaced(profile, at + 8, struct.pack(">3I", *values))
    return profile


@cache
def lab() -> bytes:
    made = bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes())
    return replaced(made, CREATED, struct.pack(">6H", 2026, 1, 1, 0, 0, 0))


def cmyk() -> bytes:
    """A profile that says it is for ink; there is nothing in it that could do it."""
    return replaced(srgb(), 16, b"CMYK")


def broken(dice: random.Random) -> dict[str, bytes]:
    good = srgb()
    at, _ = _tag(good, b"rTRC")
    flipped = bytearray(good)
    for _ in range(40):
        flipped[dice.randrange(128, len(good))] ^= 1 << dice.randrange(8)
    return {
        "size_small": replaced(good, 0, struct.pack(">I", 40)),
        "size_huge": replaced(good, 0, b"\xff\xff\xff\xff"),
        "no_signature": replaced(good, 36, b"xxxx"),
        "tags_huge": replaced(good, 128, b"\x7f\xff\xff\xff"),
        "tag_outside": replaced(good, 136, b"\xff\xff\xff\xf0\x00\x00\x10\x00"),
        "tag_in_header": replaced(good, 136, b"\x00\x00\x00\x00\x00\x00\x00\x80"),
        "curve_huge": replaced(good, at, b"curv" + bytes(4) + b"\x7f\xff\xff\xff"),
        "curve_garbage": replaced(good, at, dice.randbytes(24)),
        "flipped": bytes(flipped),
        "cut": good[: len(good) // 2],
        "header_only": good[:128],
        "empty": b"\0",
        "garbage": dice.randbytes(3000),
        "device_link": replaced(good, 12, b"link"),
        "named": replaced(good, 12, b"nmcl"),
        "version_255": replaced(good, 8, b"\xff"),
    }


def _tag(profile: bytes, kind: bytes) -> tuple[int, int]:
    (count,) = struct.unpack_from(">I", profile, 128)
    for number in range(count):
        name, at, size = struct.unpack_from(">4sII", profile, 132 + 12 * number)
        if name == kind:
            return int(at), int(size)
    raise ValueError(f"no {kind!r} in the profile")
