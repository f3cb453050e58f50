"""Good files, cut off or with a few bits turned."""

import random
from collections.abc import Iterator, Mapping

from tests.hostile.case import Case

PLAIN = (
    *("jpeg.plain", "jpeg.progressive", "jpeg.cmyk", "jpeg.restarts", "jpeg.grey_progressive"),
    *("png.alpha", "png.palette_clear", "png.deep_rgb", "png.interlaced", "png.1_bit"),
    *("gif.plain", "webp.plain", "webp.lossless", "webp.alpha", "bmp.plain", "bmp.runs"),
    *("avif.plain", "avif.alpha", "heic.plain", "tiff.raw", "tiff.tiff_lzw", "tiff.tiles"),
    *("tiff.tiff_adobe_deflate", "tiff.jpeg", "tiff.strips", "tiff.fax", "tiff.big_tiff"),
)
# What is missing may belong to a picture that nobody looks at.
SEVERAL = (
    *("jpeg.mpo", "gif.animated", "webp.animated", "avif.animated", "png.animated"),
    *("tiff.pages", "jpeg.wide_gamut", "heic.exif", "jpeg.exif_6"),
)
SEEDS = (*PLAIN, *SEVERAL)
FLIPS = 5


def cases(dice: random.Random, good: Mapping[str, bytes]) -> Iterator[Case]:
    """``good`` has all of `SEEDS`."""
    for name in SEEDS:
        data = good[name]
        for share in (0.02, 0.2, 0.5, dice.uniform(0.52, 0.88)):
            # Of a black and white picture or a grey scan the rest may be mere padding.
            opens = False if name in PLAIN else None
            yield Case(f"cut.{name}.{share:.2f}", data[: int(len(data) * share)], opens)
        for few in (1, 3, 40):
            yield Case(f"cut.{name}.last_{few}", data[:-few], None)
        for number in range(FLIPS):
            yield Case(f"flip.{name}.{number}", flipped(data, dice, 1 + number * 3), None)
        hole = dice.randrange(len(data) // 3, len(data) // 2)
        zeroed = data[:hole] + bytes(len(data) // 8) + data[hole + len(data) // 8 :]
        yield Case(f"hole.{name}", zeroed, None)


def flipped(data: bytes, dice: random.Random, bits: int) -> bytes:
    """The first bit among the first bytes, where the structure is."""
    out = bytearray(data)
    for number in range(bits):
        most = min(200, len(out)) if number == 0 else len(out)
        out[dice.randrange(most)] ^= 1 << dice.randrange(8)
    return bytes(out)
