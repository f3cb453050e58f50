"""PNG files that Pillow reads but does not write: interlaced ones, 16 bits a channel."""

import random
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.hostile.blocks import ihdr, png

# Adam7: first column, first row, step across, step down (PNG specification, 8.2).
PASSES = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)),
    (0, 1, 1, 2),
)
COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}  # channels: colour type

Pixels = NDArray[np.uint8] | NDArray[np.uint16]


def interlaced(image: Image.Image) -> bytes:
    """Of a picture in L, LA, RGB or RGBA."""
    pixels = _with_channels(np.asarray(image))
    raw = b"".join(_rows(pixels[y::down, x::across]) for x, y, across, down in PASSES)
    head = ihdr(*image.size, colour=COLOURS[pixels.shape[2]], interlaced=1)
    return png([head, (b"IDAT", zlib.compress(raw, 6)), (b"IEND", b"")])


def deep(image: Image.Image, dice: random.Random) -> bytes:
    """The same with 16 bits a channel; the low bytes are noise."""
    high = _with_channels(np.asarray(image))
    low = np.frombuffer(dice.randbytes(high.size), np.uint8).reshape(high.shape)
    pixels = high.astype(np.uint16) * np.uint16(256) + low
    head = ihdr(*image.size, depth=16, colour=COLOURS[pixels.shape[2]])
    return png([head, (b"IDAT", zlib.compress(_rows(pixels), 1)), (b"IEND", b"")])


def _with_channels(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _rows(pixels: Pixels) -> bytes:
    """Each row behind the number of its filter: none."""
    big_endian = pixels.astype(pixels.dtype.newbyteorder(">"))
    return b"".join(b"\0" + row.tobytes() for row in big_endian)
