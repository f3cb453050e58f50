"""A face detector by hand, with the interface of SCRFD det_10g.

Candidates come from `tests.truth.proposals`; here a patch is laid over each, moved until it lies
like the average face, and asked what should be skin.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tests.truth import average, head
from tests.truth.anchors import answer
from tests.truth.average import ACROSS, DOWN, SIDE_U, SIDE_V, SKIN, Floats, ovals
from tests.truth.graph import Graph, Value, concat
from tests.truth.proposals import CELLS, PER_LEVEL, Fit, colours, proposals

HALVINGS = 5  # of the picture, below each other, that patches are taken from
FINE = 0.7  # cells of its level that a sample of a patch should be wide
ROUNDS = ((9, 99.0), (9, 99.0), (5, 9.0), (5, 1.0), (3, 0.3), (3, 0.3))
LEAST_RATIO, MOST_RATIO = 1.1, 1.48  # of height by width
BOUND = 0.15  # most that a round may move anything
SPOTS = ((-0.38, 0.2), (0.38, 0.2), (-0.55, 0.2), (0.55, 0.2), (-0.42, 0.6), (0.42, 0.6))
# For likeness, sharp and soft, the weaker eye, mouth, hair, the worst spot of skin, hue (three),
# skin on the whole, and how uneven the hair is: found by logistic regression on drawn pictures.
WEIGHTS = (5.0, 3.7, 0.75, 2.3, 3.1, -3.1, 0.1, 0.4, -1.1, -3.6, -1.1)
LEAST = 8.9
HAIR = ((0.0, -1.08), (-0.5, -0.98), (0.5, -0.98))
NOSE_WINDOW = (0.4, 0.1)  # half sizes


@dataclass(frozen=True)
class Atlas:
    """The picture and its halvings below each other. For each candidate, [K, 1]: pixels of a cell,
    first row, width and height of the one that it is looked at on.
    """

    picture: Value
    cell: Value
    top: Value
    wide: Value
    tall: Value


def write(path: Path, *, debug: bool = False) -> Path:
    """``debug``: what each candidate is judged by, as further outputs."""
    graph = Graph()
    picture = graph.hidden(graph.input("input.1", [1, 3, "?", "?"])) * 128.0 + 127.5
    fit = proposals(picture)
    atlas = _atlas(picture)
    trail = [fit]
    for smooth, stretch in ROUNDS:
        trail.append(_moved(trail[-1], _patch(atlas, trail[-1]), smooth, stretch))
    clues = _clues(_patch(atlas, trail[-1]))
    score = _score(clues)
    answer(graph, picture.shape(), _centred(trail[-1]), score)
    if debug:
        graph.output(concat(clues, 1), "clues", ["k", "n"])
        for number, one in enumerate([_centred(fit) for fit in trail]):
            fitted = concat([one.x, one.y, one.wide, one.tall, one.sin, one.turn, score], 1)
            graph.output(fitted, f"fit{number}", ["k", 7])
    return graph.save(path, "faces")


def _atlas(picture: Value) -> Atlas:
    graph = picture.graph
    wide = picture.shape().take(0, 3, 4)
    rows, tops, heights, widths = [], [graph.constant([0], np.int64)], [], []
    for number in range(HALVINGS):
        level = colours(picture, 2.0**number)
        shape = level.shape()
        heights.append(shape.take(0, 2, 3))
        widths.append(shape.take(0, 3, 4))
        tops.append(graph.apply("Add", tops[-1], heights[-1]))
        missing = graph.apply("Sub", wide, widths[-1])
        rows.append(
            graph.apply("Pad", level, concat([graph.constant([0] * 7, np.int64), missing], 0))
        )
    each = np.log2(np.array(CELLS) * FINE).round().clip(0, HALVINGS - 1).repeat(PER_LEVEL)

    def chosen(values: list[Value]) -> Value:
        picked = graph.apply("Gather", concat(values, 0), graph.constant(each, np.int64))
        return picked.floats().reshape(-1, 1)

    cell = graph.constant((2.0**each).reshape(-1, 1))
    return Atlas(concat(rows, 2), cell, chosen(tops[:-1]), chosen(widths), chosen(heights))


def _patch(atlas: Atlas, fit: Fit) -> Value:
    """[K, V * U, 3]: logarithms of the colours round the faces, upright."""
    graph = fit.x.graph
    across = graph.constant(ACROSS.reshape(1, -1)) * fit.wide
    down = graph.constant(DOWN.reshape(1, -1)) * fit.tall
    x = (across * fit.cos - down * fit.sin + fit.x) / atlas.cell  # [K, V * U]
    y = (across * fit.sin + down * fit.cos + fit.y) / atlas.cell
    x, y = x.max(0.5).min(atlas.wide - 0.5), y.max(0.5).min(atlas.tall - 0.5) + atlas.top
    shape = atlas.picture.shape()
    tall, wide = (shape.take(0, n, n + 1).floats() for n in (2, 3))
    places = [(x * 2.0 / wide - 1.0), (y * 2.0 / tall - 1.0)]
    grid = concat([place.reshape(1, -1, ACROSS.size, 1) for place in places], 3)
    seen = graph.apply("GridSample", atlas.picture, grid, mode="bilinear", align_corners=0)
    return seen.reshape(3, -1, ACROSS.size).transpose(1, 2, 0)


def _strange(patch: Value) -> Value:
    """[K, V * U, 3] -> [K, V * U], as `average.strange`."""
    skin = patch.transpose(0, 2, 1).matmul(ovals(*SKIN)).transpose(0, 2, 1)
    return ((patch - skin).abs().sum(2) / average.STRANGE).min(1.0)


def _soft(strange: Value, smooth: int) -> Value:
    return strange.reshape(-1, 1, SIDE_V, SIDE_U).pool(smooth).reshape(-1, SIDE_V * SIDE_U)


def _moved(fit: Fit, patch: Value, smooth: int, stiff: float) -> Fit:
    strange = _strange(patch)
    graph = strange.graph
    soft = _soft(strange, smooth)
    mean = average.smoothed(average.average()[0], smooth)
    move = (soft - graph.constant(mean.reshape(1, -1))).matmul(average.steps(smooth, stiff))
    move = move.max(-BOUND).min(BOUND)
    across, down, size, stretch, roll = (move.column(n) for n in range(average.PARAMETERS))
    du, dv = across * fit.wide, down * fit.tall
    # A small turn of the direction of the eyes, and its length put right.
    cos, sin = fit.cos - fit.sin * roll, fit.sin + fit.cos * roll
    length = (cos * cos + sin * sin).sqrt()
    wide = fit.wide * (size + stretch + 1.0)
    tall = fit.tall * (size - stretch + 1.0)
    return Fit(
        du * fit.cos - dv * fit.sin + fit.x,
        du * fit.sin + dv * fit.cos + fit.y,
        wide,
        tall.max(wide * LEAST_RATIO).min(wide * MOST_RATIO),
        cos / length,
        sin / length,
        _turn(strange),
    )


def _turn(strange: Value) -> Value:
    """Where the nose is, as the turn of the head that brings it there. [K, 1]"""
    window = (np.abs(ACROSS) < NOSE_WINDOW[0]) & (np.abs(DOWN - head.NOSE_Y) < NOSE_WINDOW[1])
    moments = np.stack([window, window * ACROSS], axis=1)
    sums = (strange - 0.15).max(0.0).matmul(moments)
    return sums.column(1) / sums.column(0).max(0.1) / (head.NOSE_TURN - head.TURN)


def _centred(fit: Fit) -> Fit:
    """From the frame of eyes and mouth to the middle of the face."""
    aside = fit.turn * fit.wide * -head.TURN
    return replace(fit, x=fit.x + aside * fit.cos, y=fit.y + aside * fit.sin)


def _alike(strange: Value, smooth: int = 1) -> Value:
    """Correlation with the average face where people are alike. [K, V * U] -> [K, 1]"""
    mean, variance = (average.smoothed(one, smooth) for one in average.average())
    inner = (np.abs(ACROSS) < 0.8) & (DOWN > -0.55) & (DOWN < 1.0)
    weight = inner / (variance + 0.03)
    weight = (weight / weight.sum()).reshape(-1, 1)
    tilt = (mean - mean @ weight).reshape(-1, 1)
    spread = float(np.sqrt((tilt**2 * weight).sum()))
    inside = strange - strange.matmul(weight)
    own = (inside * inside).matmul(weight).max(1e-4).sqrt()
    return inside.matmul(weight * tilt) / (own * spread)


def _clues(patch: Value) -> list[Value]:
    """What speaks for a face and against it, as `WEIGHTS`. Each [K, 1]"""
    strange = _strange(patch)
    alike = _alike(strange)
    left, right = (strange.matmul(_oval(s * head.EYE_X, head.EYE_Y, 0.2, 0.12)) for s in (-1, 1))
    mouth = strange.matmul(_oval(0.0, head.MOUTH_Y, 0.25, 0.09))
    spots = [strange.matmul(_oval(u, v, 0.1, 0.08)) for u, v in SPOTS]
    spot = spots[0].max(*spots[1:])
    top = strange.matmul(_oval(0.0, -1.1, 0.5, 0.1))
    tone = patch.transpose(0, 2, 1).matmul(ovals(*SKIN)).reshape(-1, 3)
    hair = [
        patch.transpose(0, 2, 1).matmul(_oval(u, v, 0.12, 0.08)).reshape(-1, 3) for u, v in HAIR
    ]
    red, green, blue = (tone.column(n) for n in range(3))
    return [
        alike.max(0.2),
        _alike(_soft(strange, 5), 5).max(0.2),
        left.min(right, 0.8),
        mouth.min(0.6),
        top.min(0.9),
        spot.max(0.3).min(0.8),
        (red - green).min(0.15) * 10.0,
        (green - blue).max(-0.1).min(0.1) * 10.0,
        (red - blue - 0.8).max(0.0) * 10.0,
        _worth(strange),
        (hair[0] - hair[1])
        .abs()
        .sum(1, keep=True)
        .max((hair[0] - hair[2]).abs().sum(1, keep=True))
        .min(1.0),
    ]


def _worth(strange: Value) -> Value:
    """How strange what is skin on everybody is on the whole. [K, 1]"""
    mean, variance = average.average()
    bare = (mean < 0.2) & (variance < 0.04) & (np.abs(ACROSS) < 0.7)
    return strange.matmul((bare / bare.sum()).reshape(-1, 1))


def _oval(u: float, v: float, wide: float, tall: float) -> Floats:
    hit = ((ACROSS - u) / wide) ** 2 + ((DOWN - v) / tall) ** 2 < 1
    return np.asarray(hit.reshape(-1, 1) / hit.sum())


def _score(clues: list[Value]) -> Value:
    return (concat(clues, 1).matmul(np.array(WEIGHTS).reshape(-1, 1)) - LEAST).sigmoid()
