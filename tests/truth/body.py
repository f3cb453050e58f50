"""The body below the head. Places are in heights of the face, from its centre; nothing leans."""

import math

import numpy as np

from tests.truth.canvas import Colour, Picture, Points, disc, fill, line, oval, shade
from tests.truth.head import Frame
from tests.truth.people import Outfit, Person

SHOULDER_Y, HIP_Y, KNEE_Y, FOOT_Y = 0.86, 2.7, 4.5, 6.2
SHOULDER_X, HIP_X = 0.95, 0.72
REACH = {  # elbow and hand of the right arm of the picture
    "down": ((1.2, 1.9), (1.15, 2.85)),
    "hips": ((1.75, 1.75), (0.95, 2.45)),
    "wave": ((1.75, 1.5), (1.95, 0.35)),
    "up": ((1.6, 0.3), (1.45, -0.8)),
    "folded": ((1.2, 1.85), (-0.25, 1.75)),
}


class Stand:
    """Turns places on the body to pixels."""

    def __init__(self, frame: Frame) -> None:
        self.unit = 2 * frame.half_tall
        # The neck carries the head: leaning, it moves the head aside.
        self.x = frame.x - math.sin(frame.roll) * self.unit * 0.6
        self.y = frame.y

    def at(self, places: object) -> Points:
        return np.asarray(places, np.float64) * self.unit + (self.x, self.y)


def draw_body(picture: Picture, person: Person, frame: Frame) -> None:
    stand = Stand(frame)
    clothes, skin = person.outfit, person.identity.skin
    _legs(picture, clothes, stand)
    shadow = shade(skin, 0.8)
    neck = stand.at([(-0.2, 1.0), (0.2, 1.0)])
    chin = frame.at([(0.38, 0.75), (-0.38, 0.75)])
    fill(picture, np.concatenate([neck, chin]), shadow)
    _torso(picture, clothes, shadow, stand)
    for side in (-1, 1):
        # One arm waves; both do everything else.
        arms = "down" if person.pose.arms == "wave" and side < 0 else person.pose.arms
        _arm(picture, clothes, skin, stand, (side, arms))


def _legs(picture: Picture, clothes: Outfit, stand: Stand) -> None:
    for side in (-1, 1):
        path = [(0.34 * side, HIP_Y - 0.1), (0.38 * side, KNEE_Y), (0.42 * side, FOOT_Y)]
        line(picture, stand.at(path), 0.62 * stand.unit, clothes.trousers)
        shoe = oval() * (0.42, 0.18) + (0.52 * side, FOOT_Y + 0.25)
        fill(picture, stand.at(shoe), (48, 40, 40))


def _torso(picture: Picture, clothes: Outfit, skin: Colour, stand: Stand) -> None:
    right = [
        (0.24, 0.72),
        (0.7, SHOULDER_Y - 0.02),
        (SHOULDER_X, SHOULDER_Y + 0.14),
        (0.86, 1.5),
        (HIP_X, HIP_Y),
    ]
    torso = stand.at([*right, *((-x, y) for x, y in reversed(right))])
    below = np.zeros(picture.shape[:2], np.uint8)
    fill(picture, torso, clothes.shirt)
    if clothes.pattern != "plain":
        fill(below, torso, 255)  # type: ignore[arg-type]  # one channel, one value
        _pattern(picture, clothes, stand, below)
    cut = [(-0.26, 0.7), (0.26, 0.7), (0.0, 0.78 + clothes.neckline)]
    fill(picture, stand.at(cut), skin)


def _pattern(picture: Picture, clothes: Outfit, stand: Stand, inside: Picture) -> None:
    rows, columns = np.nonzero(inside[::1] > 128)
    if not len(rows):
        return
    top, bottom = rows.min(), rows.max() + 1
    left, right = columns.min(), columns.max() + 1
    down, across = np.mgrid[top:bottom, left:right]
    u, v = (across - stand.x) / stand.unit, (down - stand.y) / stand.unit
    match clothes.pattern:
        case "stripes":
            drawn = v % 0.2 < 0.08
        case "dots":
            drawn = (u % 0.2 - 0.1) ** 2 + (v % 0.2 - 0.1) ** 2 < 0.05**2
        case _:
            drawn = (u % 0.24 < 0.08) ^ (v % 0.24 < 0.08)
    part = picture[top:bottom, left:right]
    part[drawn & (inside[top:bottom, left:right] > 128)] = clothes.second


def _arm(
    picture: Picture, clothes: Outfit, skin: Colour, stand: Stand, which: tuple[int, str]
) -> None:
    side, arms = which
    elbow, hand = REACH[arms]
    path = stand.at(
        [(side * SHOULDER_X * 0.88, SHOULDER_Y + 0.2), *((side * x, y) for x, y in (elbow, hand))]
    )
    sleeve = shade(clothes.shirt, 0.88)
    line(picture, path[1:], 0.27 * stand.unit, sleeve if clothes.sleeves else skin)
    line(picture, path[:2], 0.34 * stand.unit, sleeve)
    _hand(picture, skin, stand, path)


def _hand(picture: Picture, skin: Colour, stand: Stand, arm: Points) -> None:
    along = arm[2] - arm[1]
    along = along / float(np.hypot(*along))
    aside = np.array([-along[1], along[0]])
    palm = arm[2] + along * 0.14 * stand.unit
    disc(picture, palm, 0.19 * stand.unit, skin)
    for finger in range(4):
        lean = (finger - 1.5) * 0.1
        start = palm + aside * lean * stand.unit
        end = start + (along * 0.32 + aside * lean * 0.5) * stand.unit
        line(picture, [start, end], 0.085 * stand.unit, shade(skin, 0.96))
