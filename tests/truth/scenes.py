"""Places to stand in front of. A scene is a seed and a kind: drawn twice, it is the same place."""

import math
import random
from dataclasses import dataclass

import cv2
import numpy as np

from tests.truth.canvas import Colour, Picture, box, disc, fill, line, mix, oval, shade, soften

KINDS = ("room", "garden", "street", "beach", "studio", "city", "bricks", "planks", "office")
DARK_KINDS = ("city",)
GRAIN_SIDE = 1024  # long side at which textures are made; larger pictures stretch them


@dataclass(frozen=True, slots=True)
class Scene:
    """``blur`` is that of the lens behind the subject, a share of the long side."""

    seed: int
    kind: str = "room"
    blur: float = 0.0


def draw(scene: Scene, width: int, height: int) -> Picture:
    dice = random.Random(scene.seed)
    picture = np.zeros((height, width, 3), np.uint8)
    _DRAWN[scene.kind](picture, dice)
    picture = _textured(picture, dice.randrange(2**31), dice.uniform(0.05, 0.09))
    return soften(picture, scene.blur * max(width, height))


def _colour(dice: random.Random, low: int = 40, high: int = 230) -> Colour:
    return dice.randrange(low, high), dice.randrange(low, high), dice.randrange(low, high)


def _wall(dice: random.Random) -> Colour:
    """Paint on a wall: light or dark, seldom loud."""
    grey = dice.randrange(70, 225)
    return mix((grey, grey, grey), _colour(dice), dice.uniform(0.15, 0.5))


def _fade(picture: Picture, top: int, bottom: int, first: Colour, last: Colour) -> None:
    share = np.linspace(0.0, 1.0, max(1, bottom - top))[:, None]
    rows = np.asarray(first) * (1 - share) + np.asarray(last) * share
    picture[top:bottom] = rows[:, None].astype(np.uint8)


def _textured(picture: Picture, seed: int, strength: float) -> Picture:
    """Paper, plaster, leaves: fine grain, and patches of light."""
    height, width = picture.shape[:2]
    shrink = max(1.0, max(height, width) / GRAIN_SIDE)
    size = (max(2, round(width / shrink)), max(2, round(height / shrink)))
    rng = np.random.default_rng(seed)
    fine = rng.standard_normal((size[1], size[0]), np.float32) * strength
    patches = rng.standard_normal((6, 8), np.float32) * 0.06
    wide = cv2.resize(patches, size, interpolation=cv2.INTER_CUBIC)
    factor = cv2.resize(1 + fine + wide, (width, height), interpolation=cv2.INTER_LINEAR)
    gain = np.clip(factor * 128, 0, 255).astype(np.uint8)
    grained = cv2.multiply(picture, cv2.merge([gain] * 3), scale=1 / 128)
    return np.asarray(grained, np.uint8)


def _room(picture: Picture, dice: random.Random) -> None:
    height, width = picture.shape[:2]
    floor = dice.uniform(0.72, 0.85) * height
    wall = _wall(dice)
    _fade(picture, 0, height, shade(wall, 1.08), shade(wall, 0.85))
    pitch = dice.uniform(0.03, 0.08) * width
    for number in range(int(width / pitch) + 1):
        stripe = shade(wall, 0.9 if number % 2 else 1.05)
        box(picture, number * pitch, 0, (number + 0.45) * pitch, floor, stripe)
    box(picture, 0, floor, width, height, mix(wall, (110, 74, 48), 0.7))
    box(picture, 0, floor - 0.015 * height, width, floor, (236, 232, 224))
    for _ in range(dice.randrange(2, 5)):
        _frame(picture, dice, floor)
    if dice.random() < 0.6:
        _shelf(picture, dice, floor)


def _frame(picture: Picture, dice: random.Random, floor: float) -> None:
    """A picture on the wall, or a window."""
    height, width = picture.shape[:2]
    left, top = dice.uniform(-0.05, 0.85) * width, dice.uniform(0.02, 0.4) * height
    right, bottom = left + dice.uniform(0.12, 0.3) * width, top + dice.uniform(0.12, 0.3) * height
    bottom = min(bottom, floor - 0.05 * height)
    rim = 0.012 * max(width, height)
    box(picture, left - rim, top - rim, right + rim, bottom + rim, _colour(dice, 20, 120))
    box(picture, left, top, right, bottom, _colour(dice, 90, 240))
    for _ in range(3):
        x, y = dice.uniform(left, right), dice.uniform(top, bottom)
        corner = [(left, bottom), (right, bottom), (x, y)]
        fill(picture, corner, _colour(dice))


def _shelf(picture: Picture, dice: random.Random, floor: float) -> None:
    height, width = picture.shape[:2]
    left = dice.choice([0.0, 0.62]) * width
    right = left + 0.38 * width
    wood = mix((140, 96, 58), _colour(dice), 0.2)
    top = dice.uniform(0.1, 0.25) * height
    box(picture, left, top, right, floor, shade(wood, 0.6))
    rows = 4
    tall = (floor - top) / rows
    for row in range(rows):
        x = left + 0.01 * width
        low = top + (row + 1) * tall
        while x < right - 0.04 * width:
            thick, high = dice.uniform(0.012, 0.035) * width, dice.uniform(0.5, 0.85) * tall
            box(picture, x, low - high, x + thick * 0.92, low, _colour(dice))
            x += thick
        box(picture, left, low - 0.012 * height, right, low, wood)


def _garden(picture: Picture, dice: random.Random) -> None:
    height, width = picture.shape[:2]
    horizon = int(dice.uniform(0.35, 0.6) * height)
    _sky(picture, dice, horizon)
    green = (dice.randrange(60, 110), dice.randrange(120, 170), dice.randrange(40, 80))
    for _ in range(dice.randrange(4, 9)):
        x, radius = dice.uniform(0, 1) * width, dice.uniform(0.06, 0.16) * height
        box(picture, x - radius / 8, horizon - radius, x + radius / 8, horizon, (92, 66, 44))
        for _ in range(9):
            leaf = shade(green, dice.uniform(0.5, 1.0))
            place = (x + dice.gauss(0, radius / 2), horizon - radius * dice.uniform(0.7, 2.0))
            disc(picture, place, radius * dice.uniform(0.3, 0.55), leaf)
    _fade(picture, horizon, height, shade(green, 1.1), shade(green, 0.75))
    for _ in range(260):
        x, y = dice.uniform(0, width), dice.uniform(horizon, height)
        blade = 0.012 * height * (1 + 2 * (y - horizon) / height)
        tip = (x + dice.gauss(0, blade / 2), y - 2 * blade)
        line(picture, [(x, y), tip], blade / 5, shade(green, dice.uniform(0.6, 1.4)))
    for _ in range(dice.randrange(10, 40)):
        place = (dice.uniform(0, width), dice.uniform(horizon + 0.02 * height, height))
        disc(picture, place, 0.007 * height, _colour(dice, 120, 255))


def _sky(picture: Picture, dice: random.Random, horizon: int) -> None:
    width = picture.shape[1]
    blue = (dice.randrange(90, 150), dice.randrange(150, 195), dice.randrange(220, 250))
    _fade(picture, 0, horizon, blue, mix(blue, (255, 255, 255), 0.6))
    for _ in range(dice.randrange(1, 6)):
        x, y = dice.uniform(0, width), dice.uniform(0.05, 0.7) * horizon
        for _ in range(6):
            radius = dice.uniform(0.05, 0.13) * horizon
            puff = oval() * (radius * 1.6, radius) + (x, y)
            fill(picture, puff, mix((255, 255, 255), blue, dice.uniform(0.0, 0.25)))
            x += radius * 1.1


def _street(picture: Picture, dice: random.Random) -> None:
    height, width = picture.shape[:2]
    ground = int(dice.uniform(0.68, 0.82) * height)
    _sky(picture, dice, ground)
    x = -0.05 * width
    while x < width:
        wide, top = dice.uniform(0.14, 0.3) * width, dice.uniform(0.05, 0.4) * height
        _house(picture, dice, (x, top, x + wide, float(ground)))
        x += wide
    _fade(picture, ground, height, (128, 126, 124), (96, 95, 94))
    box(picture, 0, ground, width, ground + 0.03 * height, (168, 164, 158))


def _house(picture: Picture, dice: random.Random, at: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = at
    front = _wall(dice)
    box(picture, left, top, right, bottom, front)
    columns, rows = dice.randrange(2, 5), dice.randrange(4, 8)
    glass = mix((90, 110, 130), _colour(dice), 0.3)
    across, down = (right - left) / columns, (bottom - top) / rows
    for row in range(rows):
        for column in range(columns):
            x, y = left + (column + 0.25) * across, top + (row + 0.25) * down
            pane = glass if dice.random() < 0.8 else (238, 222, 160)
            box(picture, x - 2, y - 2, x + across / 2 + 2, y + down / 2 + 2, shade(front, 1.2))
            box(picture, x, y, x + across / 2, y + down / 2, pane)


def _beach(picture: Picture, dice: random.Random) -> None:
    height, width = picture.shape[:2]
    horizon = int(dice.uniform(0.3, 0.45) * height)
    sand_from = int(dice.uniform(0.55, 0.7) * height)
    _sky(picture, dice, horizon)
    _fade(picture, horizon, sand_from, (30, 96, 150), (70, 170, 190))
    for _ in range(70):
        x, y = dice.uniform(0, width), dice.uniform(horizon, sand_from)
        long = 0.05 * width * (0.3 + (y - horizon) / (sand_from - horizon))
        line(picture, [(x, y), (x + long, y)], 0.002 * height, (200, 226, 236))
    _fade(picture, sand_from, height, (226, 196, 150), (204, 168, 122))
    for _ in range(80):
        x, y = dice.uniform(0, width), dice.uniform(sand_from, height)
        pebble = oval(12) * (0.008 * width, 0.003 * height) + (x, y)
        fill(picture, pebble, shade((196, 160, 118), dice.uniform(0.8, 1.1)))


def _studio(picture: Picture, dice: random.Random) -> None:
    """A backdrop with lights far behind it."""
    height, width = picture.shape[:2]
    base = _colour(dice, 60, 190)
    _fade(picture, 0, height, shade(base, 1.2), shade(base, 0.6))
    lights = picture.copy()
    for _ in range(dice.randrange(14, 40)):
        radius = dice.uniform(0.015, 0.06) * max(width, height)
        place = (dice.uniform(0, width), dice.uniform(0, 0.8 * height))
        disc(lights, place, radius, mix(base, _colour(dice, 120, 255), 0.6))
    cv2.addWeighted(lights, 0.7, picture, 0.3, 0, picture)


def _city(picture: Picture, dice: random.Random) -> None:
    """Windows and signs at night."""
    height, width = picture.shape[:2]
    _fade(picture, 0, height, (26, 28, 48), (58, 50, 58))
    x = -0.05 * width
    while x < width:
        wide, top = dice.uniform(0.1, 0.22) * width, dice.uniform(0.05, 0.45) * height
        box(picture, x, top, x + wide, 0.85 * height, shade((44, 44, 58), dice.uniform(0.6, 1.2)))
        step = 0.022 * height
        for row in range(int((0.85 * height - top) / step)):
            for column in range(int(wide / step)):
                if dice.random() < 0.35:
                    left, low = x + (column + 0.2) * step, top + (row + 0.2) * step
                    lamp = shade((236, 206, 130), dice.uniform(0.4, 1.0))
                    box(picture, left, low, left + step / 2, low + step / 2, lamp)
        x += wide
    for _ in range(5):
        place = (dice.uniform(0, width), dice.uniform(0.2, 0.8) * height)
        disc(picture, place, dice.uniform(0.01, 0.03) * height, _colour(dice, 60, 255))


def _bricks(picture: Picture, dice: random.Random) -> None:
    height, width = picture.shape[:2]
    brick = mix((166, 84, 62), _colour(dice), 0.25)
    picture[:] = shade(mix(brick, (190, 184, 176), 0.8), 1.0)
    tall = dice.uniform(0.03, 0.05) * max(width, height)
    for row in range(int(height / tall) + 1):
        x = -tall * (2 if row % 2 else 1)
        while x < width:
            tone = shade(brick, dice.uniform(0.75, 1.15))
            box(picture, x, row * tall, x + 2 * tall * 0.93, (row + 0.88) * tall, tone)
            x += 2 * tall


def _planks(picture: Picture, dice: random.Random) -> None:
    """Wood has the hue of skin: a trap."""
    height, width = picture.shape[:2]
    wood = (dice.randrange(150, 215), dice.randrange(105, 150), dice.randrange(62, 100))
    wide = dice.uniform(0.06, 0.14) * max(width, height)
    x = -dice.random() * wide
    while x < width:
        tone = shade(wood, dice.uniform(0.75, 1.12))
        box(picture, x, 0, x + wide, height, tone)
        for _ in range(5):
            grain, sway = x + dice.uniform(0.1, 0.9) * wide, dice.uniform(-0.05, 0.05) * wide
            path = [(grain + sway * math.sin(3 * y), y * height) for y in np.linspace(0, 1, 5)]
            line(picture, path, 0.03 * wide, shade(tone, 0.86))
        for _ in range(dice.randrange(2)):
            knot = (x + dice.uniform(0.25, 0.75) * wide, dice.uniform(0, height))
            disc(picture, knot, 0.12 * wide, shade(tone, 0.6))
        box(picture, x, 0, x + 0.03 * wide, height, shade(wood, 0.4))
        x += wide


def _office(picture: Picture, dice: random.Random) -> None:
    height, width = picture.shape[:2]
    wall = _wall(dice)
    _fade(picture, 0, height, shade(wall, 1.05), shade(wall, 0.9))
    left, right = sorted((dice.uniform(0.0, 0.4), dice.uniform(0.55, 1.0)))
    top, bottom = dice.uniform(0.05, 0.12) * height, dice.uniform(0.4, 0.55) * height
    box(picture, left * width, top, right * width, bottom, (176, 208, 236))
    for number in range(14):
        y = top + (number + 0.3) * (bottom - top) / 14
        blind = shade((226, 224, 216), dice.uniform(0.9, 1.1))
        box(picture, left * width, y, right * width, y + (bottom - top) / 24, blind)
    for _ in range(4):
        x, y = dice.uniform(0, 0.9) * width, dice.uniform(0.6, 0.75) * height
        desk = shade(_wall(dice), 0.8)
        box(picture, x, y, x + 0.3 * width, height, desk)
        box(picture, x + 0.05 * width, y - 0.1 * height, x + 0.2 * width, y, _colour(dice, 20, 90))


_DRAWN = {
    "room": _room,
    "garden": _garden,
    "street": _street,
    "beach": _beach,
    "studio": _studio,
    "city": _city,
    "bricks": _bricks,
    "planks": _planks,
    "office": _office,
}
