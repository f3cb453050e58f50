"""Bring a part of a picture to a size, with Lanczos' kernel over three lobes.

libvips does it four times as fast as Pillow, where it costs as much as the decoding. It only gets
pixels: its loaders are never used. Where it is not installed Pillow does the same, slower.
"""

import os

import numpy as np
from PIL import Image

# A cell is one core's; its threads would only wait for each other.
os.environ.setdefault("VIPS_CONCURRENCY", "1")
try:
    import pyvips
except (ImportError, OSError):  # not for this system, or without its library
    pyvips = None

GAP = 3  # what is larger than this many times the size is first reduced by whole pixels

Area = tuple[float, float, float, float]


def resized(picture: Image.Image, area: Area, size: tuple[int, int]) -> Image.Image:
    """``area`` is left, top, right, bottom in pixels, ``size`` width and height."""
    left, top = round(area[0]), round(area[1])
    width, height = round(area[2]) - left, round(area[3]) - top
    if pyvips is None or picture.mode != "RGB" or width < size[0] or height < size[1]:
        return picture.resize(size, Image.Resampling.LANCZOS, box=area, reducing_gap=GAP)
    pixels = np.asarray(picture)
    whole = pyvips.Image.new_from_memory(pixels, picture.width, picture.height, 3, "uchar")
    part = whole.crop(left, top, width, height)
    made = part.resize(size[0] / width, vscale=size[1] / height, kernel="lanczos3")
    if (made.width, made.height) != size:
        return picture.resize(size, Image.Resampling.LANCZOS, box=area, reducing_gap=GAP)
    return Image.frombytes("RGB", size, made.write_to_memory())
