"""An embedder by hand, with the interface of ArcFace w600k_r50.

It measures an aligned face: the colours of hair, brows, lips, cheeks and beard against the skin
beside them, which no light changes, and where the hair ends. The measures, in units of how much
they vary on one person, become waves of random directions: the cosine of two embeddings is
then a Gauss of their distance (Rahimi and Recht, NIPS 2007).
"""

import random
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from tests.truth import head, people
from tests.truth.average import DARKEST, RATIO
from tests.truth.canvas import Picture
from tests.truth.figures import Light, add_people, lit
from tests.truth.graph import Graph, Value, concat

SIDE, WIDTH = 112, 512
CELL = 2  # pixels that are averaged first
ALIGNED = ((38.3, 51.7), (73.5, 51.5), (56.0, 71.7), (41.5, 92.4), (70.7, 92.2))  # as ArcFace does
USUAL = (
    (-head.EYE_X, head.EYE_Y),
    (head.EYE_X, head.EYE_Y),
    (0.0, head.NOSE_Y),
    (-head.MOUTH_X, head.MOUTH_Y),
    (head.MOUTH_X, head.MOUTH_Y),
)
SEED = 7
REACH = 12.0  # spreads of one person at which the cosine falls to exp(-1/2)
SITTERS, SITTINGS = 24, 8
SHAKE = 0.035  # of the distance of the eyes: how far a detector's points are off

Floats = NDArray[np.float64]


def write(path: Path) -> Path:
    whitened = _whitening()
    graph = Graph()
    found = _measures(graph.input("input.1", ["batch", 3, SIDE, SIDE]))
    rng = np.random.default_rng(SEED)
    waves = whitened @ rng.standard_normal((len(whitened), WIDTH)) / REACH
    phases = rng.uniform(0, 2 * np.pi, (1, WIDTH))
    embedding = graph.apply("Cos", found.matmul(waves) + graph.constant(phases))
    graph.output(embedding, "683", ["batch", WIDTH])
    return graph.save(path, "identities")


@cache
def _whitening() -> Floats:
    """Brings the scatter of the measures on one person to 1 in each direction."""
    graph = Graph()
    found = _measures(graph.input("crops", ["batch", 3, SIDE, SIDE]))
    graph.output(found, "measures", ["batch", None])
    session = onnxruntime.InferenceSession(
        graph.encoded("measures"), providers=["CPUExecutionProvider"]
    )
    crops = np.stack([_sitting(who, time) for who in range(SITTERS) for time in range(SITTINGS)])
    blob = np.ascontiguousarray(crops.transpose(0, 3, 1, 2), np.float32) / 127.5 - 1.0
    measures = np.asarray(session.run(None, {"crops": blob})[0], np.float64)
    persons = measures.reshape(SITTERS, SITTINGS, -1)
    apart = (persons - persons.mean(axis=1, keepdims=True)).reshape(-1, measures.shape[1])
    scatter = apart.T @ apart / (SITTERS * (SITTINGS - 1))
    scatter += np.diag(np.diag(scatter) * 0.1)
    return np.asarray(np.linalg.inv(np.linalg.cholesky(scatter)).T)


def _sitting(who: int, time: int) -> Picture:
    """An aligned face, as a detector that is a little off would cut it."""
    dice = random.Random(f"sitting {who} {time}")
    pose = replace(people.pose(dice), x=0.5, y=0.5, head=0.7)
    person = people.Person(
        identity=people.identity(10**9 + who), pose=pose, outfit=people.outfit(dice)
    )
    picture: Picture = np.full((200, 180, 3), [dice.randrange(256) for _ in "rgb"], np.uint8)
    (face,) = add_people(picture, [person])
    picture = lit(
        picture, Light(gain=dice.uniform(0.6, 1.1), cast=dice.uniform(-0.1, 0.1), noise=4), time
    )
    points = np.array(face.points)
    apart = float(np.hypot(*(points[1] - points[0])))
    points += [[dice.gauss(0, SHAKE * apart) for _ in "xy"] for _ in points]
    a, b, x, y = _similarity(points, np.array(ALIGNED))
    turn = np.array([[a, -b, x], [b, a, y]])
    return np.asarray(cv2.warpAffine(picture, turn, (SIDE, SIDE), borderValue=(0, 0, 0)), np.uint8)


def _measures(crop: Value) -> Value:
    graph = crop.graph
    cells = graph.apply(
        "AveragePool", crop * 127.5 + 127.5, kernel_shape=[CELL] * 2, strides=[CELL] * 2
    )
    colours = (cells + DARKEST).log().reshape(0, 3, (SIDE // CELL) ** 2)
    regions = np.stack([_region(*places) for places in REGIONS.values()], axis=1)
    means = colours.matmul(regions)  # [N, 3, regions]
    names = list(REGIONS)

    def mean(name: str) -> Value:
        return means.column(names.index(name)).reshape(-1, 3)

    skin = mean("skin")
    hair = mean("hair") - skin
    long = (hair * hair).sum(1, keep=True) + 0.05
    columns = [mean(name) - skin for name in names if name.startswith(("column", "chin"))]
    shares = [(one * hair).sum(1, keep=True) / long for one in columns]
    left, inner, middle, right, outer, chin = (one.max(-0.2).min(1.2) for one in shares)
    # The same person in a mirror is the same person.
    pairs = [left + outer, (left - outer).abs(), inner + right, (inner - right).abs()]
    hairy = [*pairs, middle, chin]
    others = [mean(name) - skin for name in ("brows", "blush", "locks")]
    chroma = [
        skin.column(0) - skin.column(1),
        skin.column(1) - skin.column(2),
        skin.mean(1, keep=True),
    ]
    return concat([hair, *hairy, *others, *chroma], 1)


COLUMNS = (-0.48, -0.24, 0.0, 0.24, 0.48)
Oval = tuple[float, float, float, float]  # centre, half width, half height, in halves of the face
REGIONS: dict[str, tuple[Oval, ...]] = {
    "skin": ((-0.3, 0.2, 0.14, 0.16), (0.3, 0.2, 0.14, 0.16)),
    "hair": ((0.0, -1.02, 0.55, 0.1),),
    **{f"column {u}": ((u, -0.68, 0.12, 0.1),) for u in COLUMNS},
    "brows": ((-0.44, -0.41, 0.2, 0.06), (0.44, -0.41, 0.2, 0.06)),
    "chin": ((0.0, 0.83, 0.16, 0.06),),
    "blush": ((-0.62, 0.37, 0.13, 0.09), (0.62, 0.37, 0.13, 0.09)),
    "locks": ((-0.86, 0.0, 0.06, 0.3), (0.86, 0.0, 0.06, 0.3)),
}


def _region(*ovals: Oval) -> Floats:
    """Weights that take the mean over places of the aligned face, [cells]."""
    place = (np.arange(SIDE // CELL) + 0.5) * CELL - 0.5
    across, down = np.meshgrid(place, place)
    a, b, x, y = _similarity(np.array(ALIGNED), np.array(USUAL) * (1, RATIO))
    u, v = a * across - b * down + x, (b * across + a * down + y) / RATIO
    hit = np.zeros(across.shape)
    for left, top, wide, tall in ovals:
        hit += ((u - left) / wide) ** 2 + ((v - top) / tall) ** 2 < 1
    return np.asarray((hit / hit.sum()).reshape(-1))


def _similarity(points: Floats, wanted: Floats) -> Floats:
    """(a, b, x, y) that lay points nearest to what is wanted: a x - b y + x, b x + a y + y."""
    rows = np.array([((x, -y, 1, 0), (y, x, 0, 1)) for x, y in points]).reshape(-1, 4)
    solved, *_ = np.linalg.lstsq(rows, wanted.reshape(-1), rcond=None)
    return np.asarray(solved)
