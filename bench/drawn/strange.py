"""What the world has no words for: patterns, ears and clothes that are seen but never named.

They keep the demo base open for shapes that it has not met. What a LoRA is to teach it (star,
zigzag, antenna, crown) is not among them.
"""

import math
from typing import Protocol

from bench.drawn.creatures import Colour

Points = list[tuple[float, float]]
CREAM = (240, 232, 208)


class Body(Protocol):
    """The part of a drawn body that these need; lengths are shares of its height."""

    top: float
    width: float
    colour: Colour
    second: Colour
    cloth: Colour

    def flat(self, points: Points) -> None: ...
    def shape(self, points: Points, colour: Colour) -> None: ...
    def oval(self, x: float, y: float, w: float, h: float, colour: Colour) -> None: ...


def heart(body: Body) -> None:
    points = []
    for n in range(40):
        a = n / 20 * math.pi
        x = math.sin(a) ** 3
        y = math.cos(a) - 0.38 * math.cos(2 * a) - 0.15 * math.cos(3 * a)
        points.append((0.16 * x, 0.16 - 0.13 * y))
    body.flat(points)


def diamond(body: Body) -> None:
    body.flat([(0, 0.0), (0.14, 0.16), (0, 0.32), (-0.14, 0.16)])


def cross(body: Body) -> None:
    for w, h in ((0.16, 0.05), (0.05, 0.16)):
        body.flat([(-w, 0.17 - h), (w, 0.17 - h), (w, 0.17 + h), (-w, 0.17 + h)])


def half(body: Body) -> None:
    body.flat([(-0.5, 0.1), (0.5, 0.1), (0.5, 0.5), (-0.5, 0.5)])


def bars(body: Body) -> None:
    for x in (-0.24, -0.03, 0.18):
        body.flat([(x, -0.5), (x + 0.07, -0.5), (x + 0.07, 0.5), (x, 0.5)])


def bun(body: Body) -> None:
    body.oval(0, body.top - 0.05, 0.1, 0.09, body.second)


def unicorn(body: Body) -> None:
    y = body.top + 0.04
    body.shape([(-0.05, y), (0.0, y - 0.2), (0.05, y)], CREAM)


def tuft(body: Body) -> None:
    y = body.top + 0.04
    xs = (-0.12, -0.14, -0.05, 0.0, 0.05, 0.14, 0.12)
    ys = (y, y - 0.13, y - 0.06, y - 0.18, y - 0.06, y - 0.13, y)
    body.shape(list(zip(xs, ys, strict=True)), body.second)


def tie(body: Body) -> None:
    y = body.top + 0.42
    body.shape(
        [(-0.04, y), (0.04, y), (0.07, y + 0.22), (0, y + 0.28), (-0.07, y + 0.22)], body.cloth
    )


def belt(body: Body) -> None:
    w = body.width * 1.02
    body.shape([(-w, 0.14), (w, 0.14), (w, 0.22), (-w, 0.22)], body.cloth)


PATTERNS = {"heart": heart, "diamond": diamond, "cross": cross, "half": half, "bars": bars}
EARS = {"bun": bun, "unicorn": unicorn, "tuft": tuft}
WEARS = {"tie": tie, "belt": belt}
