"""Smooth shapes on an RGB array. Places are pixels, as floats; edges are antialiased."""

import itertools

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Picture = NDArray[np.uint8]
Points = NDArray[np.float64]
Colour = tuple[int, int, int]

BITS = 4  # of a pixel that OpenCV draws to


def fill(picture: Picture, points: ArrayLike, colour: Colour) -> None:
    cv2.fillPoly(picture, [_fixed(points)], colour, cv2.LINE_AA, BITS)


def line(picture: Picture, points: ArrayLike, width: float, colour: Colour) -> None:
    """With round ends and corners."""
    places = np.asarray(points, np.float64)
    for start, end in itertools.pairwise(places):
        along = end - start
        length = float(np.hypot(*along)) or 1.0
        aside = np.array([-along[1], along[0]]) * (width / 2 / length)
        fill(picture, [start + aside, end + aside, end - aside, start - aside], colour)
    for place in places if width > 2 else ():
        disc(picture, place, width / 2, colour)


def disc(picture: Picture, centre: ArrayLike, radius: float, colour: Colour) -> None:
    x, y = np.asarray(centre, np.float64)
    fill(picture, oval(24) * radius + (x, y), colour)


def box(
    picture: Picture, left: float, top: float, right: float, bottom: float, colour: Colour
) -> None:
    fill(picture, [(left, top), (right, top), (right, bottom), (left, bottom)], colour)


def oval(count: int = 40) -> Points:
    """Points of the unit circle, from the right one downwards."""
    angle = np.linspace(0.0, 2 * np.pi, count, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, max(0, round(value * factor))) for value in colour)
    return red, green, blue


def mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def soften(picture: Picture, sigma: float) -> Picture:
    """A Gauss; wide ones are made on a smaller picture, which nobody can see."""
    if sigma < 0.3:
        return picture
    step = max(1, int(sigma / 3))
    height, width = picture.shape[:2]
    small = cv2.resize(
        picture, (max(1, width // step), max(1, height // step)), interpolation=cv2.INTER_AREA
    )
    small = cv2.GaussianBlur(small, (0, 0), sigma / step)
    grown = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(grown, np.uint8)


def _fixed(points: ArrayLike) -> NDArray[np.int32]:
    return np.asarray(np.round(np.asarray(points, np.float64) * 2**BITS), np.int32)
