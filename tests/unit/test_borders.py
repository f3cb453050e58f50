"""Borders that are cut off, and dark or light edges that are part of the picture."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pictures import borders
from pictures.box import Box

Grey = NDArray[np.uint8]


def picture(width: int = 800, height: int = 600, seed: int = 0) -> Grey:
    """Textured up to its edges."""
    dice = np.random.default_rng(seed)
    coarse = Image.fromarray(dice.integers(60, 200, (9, 12), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.float64)
    return np.clip(smooth + dice.normal(0, 8, (height, width)), 0, 255).astype(np.uint8)


def framed(inner: Grey, left: int, top: int, right: int, bottom: int, level: int) -> Grey:
    return np.pad(inner, ((top, bottom), (left, right)), constant_values=level)


def through_jpeg(grey: Grey, quality: int = 80) -> Grey:
    out = io.BytesIO()
    Image.fromarray(grey).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out))


@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize(
    "sides",
    [(0, 80, 0, 80), (60, 0, 60, 0), (90, 0, 0, 0), (0, 0, 0, 200), (30, 40, 50, 60), (0, 9, 0, 9)],
)
def test_borders_of_all_sides_are_found_after_jpeg(
    sides: tuple[int, int, int, int], level: int
) -> None:
    grey = through_jpeg(framed(picture(), *sides, level))
    wanted = Box(sides[0], sides[1], sides[0] + 800, sides[1] + 600)
    found = borders.content(grey)
    assert found.overlap(wanted) > 0.97
    assert found.within(wanted) == found


def test_borders_of_many_sizes_are_found() -> None:
    dice = np.random.default_rng(1)
    overlaps = []
    for seed in range(40):
        left, top, right, bottom = (int(side) for side in dice.integers(0, 160, 4))
        level = 0 if seed % 2 else 255
        grey = through_jpeg(framed(picture(seed=seed), left, top, right, bottom, level))
        wanted = Box(left, top, left + 800, top + 600)
        overlaps.append(borders.content(grey).overlap(wanted))
    assert sum(overlap >= 0.97 for overlap in overlaps) >= 38


def test_a_picture_without_borders_stays_whole() -> None:
    for seed in range(20):
        grey = through_jpeg(picture(seed=seed))
        assert borders.content(grey) == Box(0, 0, 800, 600)


def test_a_vignette_is_no_border() -> None:
    down, across = np.mgrid[-1:1:600j, -1:1:800j]
    shade = np.clip(1.6 - (down**2 + across**2), 0, 1)
    grey = (picture() * shade).astype(np.uint8)
    assert borders.content(grey) == Box(0, 0, 800, 600)


def test_a_night_sky_is_no_border() -> None:
    grey = picture()
    sky = np.linspace(2, 60, 200)[:, None] + np.random.default_rng(0).normal(0, 1, (200, 800))
    grey[:200] = sky.clip(0, 255).astype(np.uint8)
    assert borders.content(grey) == Box(0, 0, 800, 600)


def test_a_picture_that_is_all_black_stays_whole() -> None:
    black = np.zeros((600, 800), np.uint8)
    assert borders.content(black) == Box(0, 0, 800, 600)


def test_what_is_nearly_all_border_is_a_picture_of_something() -> None:
    grey = framed(picture(100, 100), 350, 250, 350, 250, 255)
    assert borders.content(grey) == Box(0, 0, 800, 600)
