"""The first stage of the detector: where on a pyramid two eyes and a mouth are busy, with quiet
cheeks of the colour of skin between them.
"""

from dataclasses import dataclass

import numpy as np

from tests.truth import head
from tests.truth.average import DARKEST
from tests.truth.graph import Graph, Value, concat

LEVELS = 12
CELLS = tuple(1.7 * 1.26**number for number in range(LEVELS))  # pixels of a cell, by level
HALF_TALL, HALF_WIDE = 10.0, 7.9  # cells of a face on its level
PER_LEVEL = 12
REACH = 12  # cells that a place sees
SPOTS = ((-0.4, 0.2), (0.4, 0.2), (-0.5, 0.55), (0.5, 0.55), (0.0, -0.36), (0.0, 0.0))  # all skin
# For the weaker eye, the stronger one, mouth, hair, all of them, quiet cheeks, spots and hue: found
# by logistic regression on drawn pictures.
WEIGHTS = (3.0, -1.7, 0.7, 0.25, 0.3, -0.6, -0.2, -0.13, -0.08, -1.0, -0.24, -2.2)


@dataclass(frozen=True)
class Fit:
    """Where candidates' faces are, each [K, 1]: centre, half sizes, roll, turn."""

    x: Value
    y: Value
    wide: Value
    tall: Value
    cos: Value
    sin: Value
    turn: Value


def proposals(picture: Value) -> Fit:
    found = [_of_level(colours(picture, cell), cell) for cell in CELLS]
    names = ("x", "y", "wide", "tall", "cos", "sin", "turn")
    return Fit(*(concat([getattr(fit, name) for fit in found], 0) for name in names))


def colours(picture: Value, cell: float) -> Value:
    """Logarithms of the picture, made smaller."""
    scales = picture.graph.constant([1.0, 1.0, 1 / cell, 1 / cell])
    small = picture.graph.apply("Resize", picture, None, scales, mode="linear", antialias=1)
    return (small.max(0.0) + DARKEST).log()


def _of_level(level: Value, cell: float) -> Fit:
    graph = level.graph
    score = _score(level)
    best = score.peak(3)
    alone = graph.apply("Equal", score, best).floats() - 1.0
    flat = (score + alone * 9.0).reshape(-1)
    places = (_count(score, 3) - 0.5) * cell, (_count(score, 2) - 0.5) * cell
    _, index = graph.apply_two("TopK", flat, graph.constant([PER_LEVEL], np.int64), axis=0)
    x, y = (graph.apply("Gather", one.reshape(-1), index).reshape(-1, 1) for one in places)
    one, zero = x * 0.0 + 1.0, x * 0.0
    return Fit(x, y, one * (HALF_WIDE * cell), one * (HALF_TALL * cell), one, zero, zero)


def _score(level: Value) -> Value:
    clues = _clues(level)
    return (
        concat(clues, 1)
        .transpose(0, 2, 3, 1)
        .matmul(np.array(WEIGHTS).reshape(-1, 1))
        .transpose(0, 3, 1, 2)
    )


def _clues(level: Value) -> list[Value]:
    """What speaks for a face and against it round each place, as `WEIGHTS`. Each [1, 1, h, w]"""
    squares = level * level
    means = {side: (level.pool(side), squares.pool(side)) for side in (3, 5)}
    narrow, wide = (
        (square - mean * mean).mean(1, keep=True).max(1e-6).sqrt()
        for mean, square in means.values()
    )
    busy, still, colour = (_wider(one) for one in (wide.peak(3), narrow, means[3][0]))
    left, right = (_away(busy, side * head.EYE_X, head.EYE_Y) for side in (-1, 1))
    mouth = _away(busy, 0.0, head.MOUTH_Y)
    quiet = [_away(still, side * 0.4, 0.2) for side in (-1, 1)]
    spots = [_away(colour, u, v) for u, v in SPOTS]
    skin = (spots[0] + spots[1]) * 0.5
    apart = [(spot - skin).abs().sum(1, keep=True).min(0.4) for spot in spots[1:]]
    hair = (skin - _away(colour, 0.0, -1.08)).abs().most(1, keep=True)
    return [
        left.min(right, 0.3),
        left.max(right).min(0.4),
        mouth.min(0.2),
        hair.min(0.5),
        left.min(right, mouth * 2.0, hair * 0.7),
        quiet[0].max(quiet[1]),
        *apart,
        pallor(skin),
    ]


def _wider(plane: Value) -> Value:
    return plane.padded(REACH)


def _away(plane: Value, u: float, v: float) -> Value:
    """Of a wider plane: each place sees what lies (u, v) half sizes of a face away."""
    across, down = round(u * HALF_WIDE), round(v * HALF_TALL)
    bounds = ([REACH + down, REACH + across], [down - REACH, across - REACH], [2, 3])
    constants = (plane.graph.constant(one, np.int64) for one in bounds)
    return plane.graph.apply("Slice", plane, *constants)


def pallor(colour: Value) -> Value:
    """How far logarithms of colours are from any skin's: red leads, blue is last, neither by far.
    [1, 3, h, w] -> [1, 1, h, w]
    """
    red, green, blue = (colour.take(1, n, n + 1) for n in range(3))
    return (green - red).max(0.0) + (blue - green - 0.05).max(0.0) + (red - blue - 1.1).max(0.0)


def _count(plane: Value, axis: int) -> Value:
    """1, 2, 3 … along an axis."""
    return plane.graph.apply("CumSum", plane * 0.0 + 1.0, plane.graph.constant(axis, np.int64))


__all__ = ["CELLS", "PER_LEVEL", "Fit", "Graph", "colours", "pallor", "proposals"]
