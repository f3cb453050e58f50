"""What can be measured on a picture without a network: sharpness, light, borders, a fingerprint.

All work on grey arrays of shape (H, W), 0..255.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Grey = NDArray[np.uint8]
Wide = NDArray[np.uint16]
Real = NDArray[np.float32]

TILE = 64
GAIN = 16.0**2  # of `_smooth`
HASH_SIDE = 8
HASH_FROM = 32
FLAT_TILE = 1.0  # of the sharpness: such a tile has nothing on it


def sharpness(grey: Grey) -> float:
    """90th percentile over tiles of 64 pixels of the variance of the Laplacian.

    Smoothed first, so that sensor noise does not pass for detail; per tile, so that a soft
    background behind a sharp subject counts as sharp (after Pech-Pacheco et al., ICPR 2000).
    """
    laplacian = _laplacian(_smooth(grey))
    height, width = laplacian.shape
    rows, columns = max(1, height // TILE), max(1, width // TILE)
    tile_h, tile_w = height // rows, width // columns
    tiles = laplacian[: rows * tile_h, : columns * tile_w]
    mean, square = _tile_mean(tiles, tile_h, tile_w), _tile_mean(tiles * tiles, tile_h, tile_w)
    variance = square - mean**2
    return float(np.percentile(variance, 90)) / GAIN**2


def _tile_mean(values: Real, height: int, width: int) -> Real:
    """Rows first: sums of whole lines are the quick ones."""
    rows, columns = values.shape[0] // height, values.shape[1] // width
    lines = values.reshape(rows, height, -1).sum(axis=1)
    means: Real = lines.reshape(rows, columns, width).sum(axis=2) / (height * width)
    return means


def contrast_sharpness(grey: Grey) -> float:
    """The same for one small region, as if its grey levels had a spread of 50."""
    spread = float(grey.std())
    if spread < 1.0 or min(grey.shape) < 12:
        return 0.0
    laplacian = _laplacian(_smooth(grey))
    return float(laplacian.var()) / GAIN**2 * (50.0 / spread) ** 2


def _smooth(grey: Grey) -> Wide:
    """The binomial kernel twice in each direction: a Gauss of sigma 1, and a gain of 256, which
    just fits.
    """
    wide = grey.astype(np.uint16)
    for _ in range(2):
        wide = wide[:-2] + 2 * wide[1:-1] + wide[2:]
        wide = wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]
    return wide


def _laplacian(grey: Wide) -> Real:
    real = grey.astype(np.float32)
    edges: Real = real[:-2, 1:-1] + real[2:, 1:-1] + real[1:-1, :-2] + real[1:-1, 2:]
    edges -= 4 * real[1:-1, 1:-1]
    return edges


def light(grey: Grey) -> tuple[float, float, float]:
    """Mean grey, share of black and share of white."""
    share = 1.0 / grey.size
    black = np.count_nonzero(grey < 8) * share
    white = np.count_nonzero(grey > 247) * share
    return float(grey.mean()), float(black), float(white)


def fingerprint(grey: Grey) -> tuple[int, int]:
    """A perceptual hash of 64 bits, and that of the mirrored picture.

    The signs of the lowest frequencies of the discrete cosine transform, against their median
    (Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions").
    """
    small = Image.fromarray(grey).resize((HASH_FROM, HASH_FROM), Image.Resampling.BOX)
    cosines = _cosines()
    low = cosines @ np.asarray(small, np.float64) @ cosines.T
    # Mirrored, every other frequency across changes its sign.
    mirrored = low * np.where(np.arange(HASH_SIDE) % 2, -1.0, 1.0)
    return _bits(low), _bits(mirrored)


def _bits(low: NDArray[np.float64]) -> int:
    values = low.flatten()[1:]  # the mean brightness says nothing
    above = np.concatenate(([False], values > np.median(values)))
    return int("".join("1" if bit else "0" for bit in above), 2)


def _cosines() -> NDArray[np.float64]:
    frequency = np.arange(HASH_SIDE)[:, None]
    place = np.arange(HASH_FROM)[None, :]
    return np.cos(np.pi * frequency * (2 * place + 1) / (2 * HASH_FROM))


def focus(grey: Grey) -> tuple[float, float]:
    """Where the eye goes, as shares of width and height: the centre of what is unexpected.

    Spectral residual saliency (Hou and Zhang, CVPR 2007), pulled to the middle as photographers do.
    """
    side = 64
    small = np.asarray(Image.fromarray(grey).resize((side, side), Image.Resampling.BOX), np.float64)
    spectrum = np.fft.fft2(small)
    logarithm = np.log(np.abs(spectrum) + 1e-6)
    padded = np.pad(logarithm, 1, mode="wrap")
    mean = sum(padded[y : y + side, x : x + side] for y in range(3) for x in range(3)) / 9
    residual = np.exp(logarithm - mean + 1j * np.angle(spectrum))
    salient = np.abs(np.fft.ifft2(residual)) ** 2
    salient = _blur(salient)
    axis = (np.arange(side) + 0.5) / side
    middle = np.exp(-((axis - 0.5) ** 2) / (2 * 0.3**2))
    weight = salient * middle[:, None] * middle[None, :]
    total = float(weight.sum()) or 1.0
    across = float((weight.sum(axis=0) * axis).sum()) / total
    down = float((weight.sum(axis=1) * axis).sum()) / total
    return across, down


def _blur(values: NDArray[np.float64]) -> NDArray[np.float64]:
    place = np.arange(len(values))
    kernel = np.exp(-0.5 * ((place[:, None] - place[None, :]) / 2.5) ** 2)
    kernel /= kernel.sum(axis=1, keepdims=True)
    blurred: NDArray[np.float64] = kernel @ values @ kernel.T
    return blurred
