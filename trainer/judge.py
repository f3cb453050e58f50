"""What can be said of samples without any network: how like the photos they are, and whether they
are pictures at all. A face pack says more, where one is configured; this is for everything else.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

Vector = np.ndarray[tuple[int], np.dtype[np.float64]]
Pixels = np.ndarray[Any, np.dtype[np.float64]]

SIDE = 64  # pictures are looked at in this size
HUES, CELLS, TURNS = 12, 4, 8
FLAT = 6.0  # grey levels: the spread of a picture that shows nothing
CLIPPED, VIVID = 8, 200  # grey levels: from the ends of the scale; between a colour's channels
NOISE = 0.55  # share of a picture's energy between neighbouring pixels; drawings and photos: < 0.3


def embed(picture: Image.Image) -> Vector:
    """(D,) of length 1: which colours there are, and which way edges run in which part. The middle
    counts more than the rest, because that is where the subject is.
    """
    small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    rgb = np.asarray(small, dtype=np.float64) / 255
    y, x = np.mgrid[0:SIDE, 0:SIDE] / (SIDE - 1) - 0.5
    weight = np.exp(-(x**2 + y**2) / 0.18)
    parts = (_colours(rgb, weight) * 2.0, _edges(rgb.mean(axis=2), weight))
    whole = np.concatenate([part / max(1e-9, float(np.linalg.norm(part))) for part in parts])
    return whole / max(1e-9, float(np.linalg.norm(whole)))


def _colours(rgb: Pixels, weight: Pixels) -> Vector:
    """How much there is of each hue, of white, grey and black."""
    most, least = rgb.max(axis=2), rgb.min(axis=2)
    chroma = most - least
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    safe = np.where(chroma == 0, 1, chroma)
    hue = np.where(
        most == r, (g - b) / safe % 6, np.where(most == g, (b - r) / safe + 2, (r - g) / safe + 4)
    )
    place = hue / 6 * HUES
    low = np.floor(place).astype(int) % HUES
    share = place - np.floor(place)
    bins = np.zeros(HUES + 3)
    np.add.at(bins, low, weight * chroma * (1 - share))
    np.add.at(bins, (low + 1) % HUES, weight * chroma * share)
    pale = weight * (1 - chroma)
    bins[HUES:] = [
        (pale * most**2).sum(),
        (pale * most * (1 - most)).sum(),
        (pale * (1 - most) ** 2).sum(),
    ]
    return np.sqrt(bins)


def _edges(grey: Pixels, weight: Pixels) -> Vector:
    """Histograms of oriented gradients (Dalal and Triggs, 2005) over CELLS x CELLS parts."""
    dy, dx = np.gradient(grey)
    size = np.hypot(dx, dy) * weight
    turn = (np.arctan2(dy, dx) % np.pi / np.pi * TURNS).astype(int) % TURNS
    cell = np.arange(SIDE) * CELLS // SIDE
    place = (cell[:, None] * CELLS + cell[None, :]) * TURNS + turn
    return np.sqrt(np.bincount(place.ravel(), size.ravel(), CELLS * CELLS * TURNS))


def likeness(samples: Sequence[Vector], references: Sequence[Vector]) -> float:
    """The mean cosine of the samples to the middle of the references; -1..1."""
    middle = np.mean(np.stack(references), axis=0)
    middle /= max(1e-9, float(np.linalg.norm(middle)))
    return float(np.mean(np.stack(samples) @ middle))


def is_spoilt(picture: Image.Image) -> bool:
    """Flat, black, or nothing but noise: what a LoRA that was trained to pieces draws."""
    grey = np.asarray(picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX), np.float64)
    spread = float(grey.std())
    if spread < FLAT:
        return True
    steps = np.diff(grey, axis=1).var() + np.diff(grey, axis=0).var()
    return float(steps / (4 * grey.var())) > NOISE


def burnt(picture: Image.Image) -> float:
    """The share of pixels whose colour is as loud as the scale allows: what too high a rate makes
    of colours. 0..1; white, grey and black are no colours.
    """
    small = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
    rgb = np.asarray(small, dtype=np.int16)
    most, least = rgb.max(axis=2), rgb.min(axis=2)
    at_the_end = (most >= 255 - CLIPPED) | (least <= CLIPPED)
    return float((at_the_end & (most - least >= VIVID)).mean())
