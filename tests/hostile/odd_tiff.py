"""TIFF allows nearly everything. These are files that scanners and editors really write."""

import random
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from PIL import Image, TiffImagePlugin

from tests.hostile import profiles, tiff_file
from tests.hostile.case import Case, drawn, saved
from tests.hostile.odd import grey_16
from tests.hostile.tiff_file import LONG, SHORT, Entry, tiff

TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325
ORIENTATION = 274
STRIP_TAGS = (tiff_file.OFFSETS, tiff_file.COUNTS, tiff_file.ROWS)


def cases(dice: random.Random) -> Iterator[Case]:
    image = drawn(dice)
    for name, data in (_modes(image) | _packed(image) | _laid_out(image, dice)).items():
        yield Case(f"odd.tiff.{name}", data, opens=True)


def _modes(image: Image.Image) -> dict[str, bytes]:
    grey = np.asarray(image.convert("L"))
    alpha = image.convert("RGBA")
    alpha.putalpha(image.convert("L"))
    whole = Image.fromarray(grey.astype(np.int32) * 257)
    return {
        "grey": saved(image.convert("L"), "TIFF"),
        "black_white": saved(image.convert("1"), "TIFF"),
        "palette": saved(image.quantize(100), "TIFF"),
        "alpha": saved(alpha, "TIFF"),
        "grey_alpha": saved(alpha.convert("LA"), "TIFF"),
        "cmyk": saved(image.convert("CMYK"), "TIFF"),
        "lab": saved(_lab(image), "TIFF"),
        "int16": saved(grey_16(image), "TIFF"),
        "int32": saved(whole, "TIFF"),
        "float": saved(Image.fromarray(grey.astype(np.float32) / 255), "TIFF"),
        "float_255": saved(Image.fromarray(grey.astype(np.float32)), "TIFF"),
        "wide_gamut": saved(image, "TIFF", icc_profile=profiles.wide()),
    }


def _lab(image: Image.Image) -> Image.Image:
    """Lightness of the picture, without colour."""
    even = Image.new("L", image.size, 128)
    return Image.merge("LAB", (image.convert("L"), even, even))


def _packed(image: Image.Image) -> dict[str, bytes]:
    ways = ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "lzma", "jpeg")
    files = {way: saved(image, "TIFF", compression=way) for way in ways}
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[317] = 2  # differences between neighbours are packed
    files["predicted"] = saved(image, "TIFF", compression="tiff_lzw", tiffinfo=info)
    files["fax"] = saved(image.convert("1"), "TIFF", compression="group4")
    files["fax_3"] = saved(image.convert("1"), "TIFF", compression="group3")
    files["ycbcr"] = saved(image.convert("YCbCr"), "TIFF", compression="jpeg")
    return files


def _laid_out(image: Image.Image, dice: random.Random) -> dict[str, bytes]:
    pages = [drawn(dice) for _ in range(3)]
    raw = image.tobytes()
    planes = b"".join(plane.tobytes() for plane in image.split())
    one = len(raw) // 3
    apart = tiff_file.rgb(*image.size, planes)
    apart = tiff_file.lied(apart, tiff_file.PLANAR, 2)
    places = [tiff_file.START + one * n for n in range(3)]
    apart = tiff_file.lied(apart, tiff_file.OFFSETS, *places)
    apart = tiff_file.lied(apart, tiff_file.COUNTS, one, one, one)
    files = {
        "pages": saved(pages[0], "TIFF", save_all=True, append_images=pages[1:]),
        "big_tiff": saved(image, "TIFF", big_tiff=True),
        "big_endian": tiff(tiff_file.rgb(*image.size, raw), raw, ">"),
        "planes_apart": tiff(apart, planes),
        "strips": saved(image, "TIFF", strip_size=1000),
        "tiles": tiled(image),
    }
    for number in range(2, 9):
        turned = tiff_file.rgb(*image.size, raw)
        turned[ORIENTATION] = Entry(ORIENTATION, SHORT, [number])
        files[f"orientation_{number}"] = tiff(turned, raw)
    return files


def tiled(image: Image.Image, side: int = 64) -> bytes:
    """``side`` divides the sides of the picture, or part of the last tiles is thrown away."""
    corners = [(x, y) for y in range(0, image.height, side) for x in range(0, image.width, side)]
    tiles = [image.crop((x, y, x + side, y + side)).tobytes() for x, y in corners]
    size = len(tiles[0])
    entries = tiff_file.rgb(*image.size, b"")
    for tag in STRIP_TAGS:
        del entries[tag]
    places = [tiff_file.START + size * n for n in range(len(tiles))]
    blank = Entry(0, LONG, [])
    for tag, values in (
        (TILE_WIDTH, [side]),
        (TILE_HEIGHT, [side]),
        (TILE_OFFSETS, places),
        (TILE_COUNTS, [size] * len(tiles)),
    ):
        entries[tag] = replace(blank, tag=tag, values=values)
    return tiff(entries, b"".join(tiles))
