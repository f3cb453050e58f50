"""The last stage of the detector: candidates answer at the anchors of SCRFD's three strides."""

import numpy as np
from onnx import TensorProto

from tests.truth import head
from tests.truth.graph import Graph, Value, concat
from tests.truth.proposals import Fit

STRIDES = (8, 16, 32)
BOUNDS = (0.0, 72.0, 160.0, 1e9)  # heights of faces that each stride answers for


def answer(graph: Graph, size: Value, fit: Fit, score: Value) -> None:
    """Each candidate at the anchor next to its centre, on the stride of its size."""
    edges = _edges(fit)
    points = _points(fit)
    found = []
    for number, stride in enumerate(STRIDES):
        mine = _between(fit.tall * 2.0, BOUNDS[number], BOUNDS[number + 1])
        found.append(_grid(size, stride, (fit.x, fit.y, score * mine), (edges, points)))
    names = ("scores", "boxes", "points")
    for part, (name, width) in enumerate(zip(names, (1, 4, 10), strict=True)):
        for stride, values in zip(STRIDES, found, strict=True):
            graph.output(values[part], f"{name}{stride}", [f"anchors{stride}", width])


def _edges(fit: Fit) -> Value:
    """Of the upright box round a leaning oval, [K, 4]."""
    half_x = _length(fit.wide * fit.cos, fit.tall * fit.sin)
    half_y = _length(fit.wide * fit.sin, fit.tall * fit.cos)
    return concat([fit.x - half_x, fit.y - half_y, fit.x + half_x, fit.y + half_y], 1)


def _length(x: Value, y: Value) -> Value:
    return (x * x + y * y).sqrt()


def _points(fit: Fit) -> Value:
    """Eyes, nose, corners of the mouth, [K, 10]."""
    places = (
        (-head.EYE_X, head.EYE_Y, head.TURN),
        (head.EYE_X, head.EYE_Y, head.TURN),
        (0.0, head.NOSE_Y, head.NOSE_TURN),
        (-head.MOUTH_X, head.MOUTH_Y, head.TURN),
        (head.MOUTH_X, head.MOUTH_Y, head.TURN),
    )
    out: list[Value] = []
    for u, v, by in places:
        across, down = (fit.turn * by + u) * fit.wide, fit.tall * v
        out += [
            across * fit.cos - down * fit.sin + fit.x,
            across * fit.sin + down * fit.cos + fit.y,
        ]
    return concat(out, 1)


def _between(value: Value, low: float, high: float) -> Value:
    above = value.graph.apply("GreaterOrEqual", value, value.graph.constant(low)).floats()
    below = value.graph.apply("Less", value, value.graph.constant(high)).floats()
    return above * below


def _grid(
    size: Value, stride: int, best: tuple[Value, Value, Value], what: tuple[Value, Value]
) -> tuple[Value, ...]:
    """Scores, boxes and points of all anchors of a stride; most of them have none."""
    graph, (x, y, score), (edges, points) = size.graph, best, what
    step = graph.constant([stride], np.int64)
    tall, wide = (graph.apply("Div", size.take(0, n, n + 1), step).floats() for n in (2, 3))
    column = graph.apply("Floor", x / float(stride)).max(0.0).min(wide - 1.0)
    row = graph.apply("Floor", y / float(stride)).max(0.0).min(tall - 1.0)
    place = (row * wide + column) * 2.0  # two anchors lie on each place
    first = _first(place, score)
    corner = concat([column * float(stride), row * float(stride)], 1)
    to_edges = (edges - concat([corner] * 2, 1)) * graph.constant([-1.0, -1.0, 1.0, 1.0])
    to_points = points - concat([corner] * 5, 1)
    # Who shares an anchor with a better one answers past the end, and is cut off.
    count = tall * wide * 2.0
    index = (place * first + count * (first * -1.0 + 1.0)).cast(TensorProto.INT64)
    rows = (count + 1.0).cast(TensorProto.INT64)
    answers = (score * first, 1), (to_edges / float(stride), 4), (to_points / float(stride), 10)
    return tuple(_spread(values, index, rows, width) for values, width in answers)


def _spread(values: Value, index: Value, rows: Value, width: int) -> Value:
    graph = values.graph
    shape = concat([rows, graph.constant([width], np.int64)], 0)
    empty = graph.apply("Expand", graph.constant(0.0), shape)
    return graph.apply("ScatterND", empty, index, values).take(0, 0, -1)


def _first(place: Value, score: Value) -> Value:
    """1 for the best candidate of each anchor, else 0. [K, 1]"""
    graph = place.graph
    same = graph.apply("Equal", place, place.transpose(1, 0)).floats()
    better = graph.apply("Greater", score.transpose(1, 0), score).floats()
    return graph.apply("Equal", (same * better).most(1, keep=True), graph.constant(0.0)).floats()
