"""Draw people: cartoons with the proportions of portraits, any size, before any scene."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from tests.truth import scenes
from tests.truth.body import draw_body
from tests.truth.canvas import Picture, soften
from tests.truth.head import Frame, draw_back_hair, draw_head, face_box, landmarks
from tests.truth.people import Person
from tests.truth.scenes import Scene

NOWHERE = Scene(0)
NOISE_SIDE = 512  # of the tile that sensor noise repeats
GRAIN_SIDE = 1600  # long side from which on grain grows with the picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """``gain`` of the whole picture, ``cast`` of red and blue, ``noise`` in grey levels."""

    gain: float = 1.0
    cast: float = 0.0
    noise: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """Truth in pixels. ``box``: left, top, right, bottom from hairline to chin; ``points``: the
    eyes, the nose, the corners of the mouth, left ones of the picture first.
    """

    person: int
    box: tuple[float, float, float, float]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """A whole photograph. ``misfocus`` softens the people and keeps what is behind them."""

    people: tuple[Person, ...] = ()
    scene: Scene = NOWHERE
    light: Light = Light()
    misfocus: float = 0.0
    seed: int = 0


def draw(shot: Shot, width: int, height: int) -> tuple[Picture, list[Face]]:
    picture = scenes.draw(shot.scene, width, height)
    faces = add_people(picture, shot.people, misfocus=shot.misfocus)
    return lit(picture, shot.light, shot.seed), faces


def add_people(picture: Picture, people: Sequence[Person], *, misfocus: float = 0.0) -> list[Face]:
    height, width = picture.shape[:2]
    before = picture.copy() if misfocus else picture
    faces = []
    for person in people:
        frame = Frame.of(person, width, height)
        draw_back_hair(picture, person.identity, frame)
        draw_body(picture, person, frame)
        draw_head(picture, person, frame)
        faces.append(
            Face(
                person=person.identity.number,
                box=face_box(frame),
                points=tuple((float(x), float(y)) for x, y in landmarks(frame)),
            )
        )
    if misfocus:
        _soften_people(picture, before, misfocus * max(width, height))
    return faces


def _soften_people(picture: Picture, before: Picture, sigma: float) -> None:
    changed = np.any(picture != before, axis=2).astype(np.uint8) * 255
    share = soften(changed, sigma)[..., None].astype(np.float32) / 255
    picture[:] = soften(picture, sigma) * share + before * (1 - share)


def lit(picture: Picture, light: Light, seed: int) -> Picture:
    """Light, its colour, and what the sensor adds."""
    levels = np.arange(256)
    gains = [light.gain * (1 + light.cast), light.gain, light.gain * (1 - light.cast)]
    table = np.stack([np.clip(levels * gain, 0, 255) for gain in gains], axis=-1)
    bright = cv2.LUT(picture, np.round(table)[None].astype(np.uint8))
    return noisy(np.asarray(bright, np.uint8), light.noise, seed)


def noisy(picture: Picture, sigma: float, seed: int) -> Picture:
    if sigma <= 0:
        return picture
    height, width = picture.shape[:2]
    rng = np.random.default_rng(seed)
    fine = min(NOISE_SIDE, max(width, height))
    tile = (rng.standard_normal((fine, fine, 3), np.float32) * sigma).round()
    side = round(fine * max(1.0, max(width, height) / GRAIN_SIDE))
    whole = cv2.resize(tile.astype(np.int16), (side, side), interpolation=cv2.INTER_LINEAR)
    out = np.empty_like(picture)
    for top in range(0, height, len(whole)):
        for left in range(0, width, len(whole)):
            part = picture[top : top + len(whole), left : left + len(whole)]
            turned = np.roll(whole, random.Random(f"{seed} {top} {left}").randrange(99), axis=1)
            grains = turned[: part.shape[0], : part.shape[1]]
            out[top : top + len(whole), left : left + len(whole)] = cv2.add(
                part, grains, dtype=cv2.CV_8U
            )
    return out
