"""A tagger by hand, with the interface of the WD v3 taggers.

Each tag is a share of pixels of one colour in one part of the picture, or its rest. That is no
understanding, but it answers to what is drawn, and anybody can say what it must answer.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.truth.canvas import Colour
from tests.truth.graph import Graph, Value, concat

SIDE, CELL = 448, 8
RATING, GENERAL, CHARACTER = 9, 0, 4
STEEP = 30.0  # of the answer, round the share that decides


@dataclass(frozen=True, slots=True)
class Tag:
    """Named by the share of ``colour`` (within ``width`` grey levels) of a part; from ``share`` on
    the answer is above one half. ``absent`` turns it round.
    """

    name: str
    part: str
    colour: Colour
    share: float
    width: float = 70.0
    category: int = GENERAL
    absent: bool = False


PARTS = {  # left, top, right, bottom in shares
    "all": (0.0, 0.0, 1.0, 1.0),
    "top": (0.0, 0.0, 1.0, 0.25),
    "bottom": (0.0, 0.75, 1.0, 1.0),
    "head": (0.25, 0.05, 0.75, 0.5),
    "face": (0.35, 0.3, 0.65, 0.65),
    "chest": (0.3, 0.75, 0.7, 1.0),
    "feet": (0.3, 0.9, 0.7, 1.0),
}
SKY, WHITE, BLACK = (150, 195, 240), (245, 245, 245), (14, 14, 22)
SKIN, LIPS = (225, 175, 140), (185, 66, 72)
TAGS = (
    Tag("general", "all", SKIN, 0.9, category=RATING, absent=True),
    Tag("sensitive", "all", SKIN, 0.9, category=RATING),
    Tag("questionable", "all", SKIN, 0.95, category=RATING),
    Tag("explicit", "all", SKIN, 0.97, category=RATING),
    Tag("1girl", "all", SKIN, 0.02),
    Tag("solo", "all", SKIN, 0.02),
    Tag("outdoors", "top", SKY, 0.25),
    Tag("blue_sky", "top", SKY, 0.25),
    Tag("indoors", "top", SKY, 0.2, absent=True),
    Tag("grass", "bottom", (85, 140, 60), 0.2),
    Tag("sand", "bottom", (215, 182, 136), 0.4),
    Tag("night", "all", BLACK, 0.4),
    Tag("red_shirt", "chest", (200, 30, 40), 0.3),
    Tag("green_shirt", "chest", (40, 160, 70), 0.3),
    Tag("drawn_person_(truth)", "face", (255, 0, 255), 0.3, category=CHARACTER),
    Tag("blue_shirt", "chest", (40, 80, 200), 0.3),
    Tag("white_shirt", "chest", WHITE, 0.3),
    Tag("black_shirt", "chest", BLACK, 0.3),
    Tag("black_hair", "head", (28, 24, 24), 0.15, 40.0),
    Tag("brown_hair", "head", (97, 62, 37), 0.12, 45.0),
    Tag("blonde_hair", "head", (222, 184, 104), 0.12, 45.0),
    Tag("red_hair", "head", (180, 50, 40), 0.15, 55.0),
    Tag("blue_hair", "head", (58, 92, 190), 0.15, 55.0),
    Tag("pink_hair", "head", (232, 104, 170), 0.15, 55.0),
    Tag("green_hair", "head", (60, 150, 92), 0.15, 50.0),
    Tag("close-up", "face", SKIN, 0.3),
    Tag("smile", "face", LIPS, 0.05, 55.0),
    Tag("^_^", "face", (255, 220, 60), 0.2),
    Tag("looking_at_viewer", "face", SKIN, 0.15),
)


def write(folder: Path) -> Path:
    """`model.onnx` and `selected_tags.csv`, in a new folder."""
    folder.mkdir(parents=True, exist_ok=True)
    _graph().save(folder / "model.onnx", "tags")
    with (folder / "selected_tags.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(("tag_id", "name", "category", "count"))
        for number, tag in enumerate(TAGS):
            rows.writerow((9_000_000 + number, tag.name, tag.category, 1000 - number))
    return folder


def _graph() -> Graph:
    graph = Graph()
    picture = graph.input("input", ["batch", SIDE, SIDE, 3]).transpose(0, 3, 1, 2)
    cells = graph.apply("AveragePool", picture, kernel_shape=[CELL] * 2, strides=[CELL] * 2)
    flat = cells.reshape(0, 3, -1)
    graph.output(concat([_answer(flat, tag) for tag in TAGS], 1), "output", ["batch", len(TAGS)])
    return graph


def _answer(cells: Value, tag: Tag) -> Value:
    """[batch, 3, cells] -> [batch, 1]"""
    bgr = np.array(tag.colour[::-1], np.float32).reshape(1, 3, 1)
    apart = (cells - cells.graph.constant(bgr)).abs().most(1)
    near = (apart * (-1.0 / tag.width) + 1.0).max(0.0)
    hit = (near * 4.0).min(1.0)
    share = hit.matmul(_part(tag.part))
    return ((share - tag.share) * (-STEEP if tag.absent else STEEP)).sigmoid()


def _part(name: str) -> NDArray[np.float32]:
    left, top, right, bottom = PARTS[name]
    place = (np.arange(SIDE // CELL) + 0.5) * CELL / SIDE
    across, down = np.meshgrid(place, place)
    inside = (across >= left) & (across < right) & (down >= top) & (down < bottom)
    return np.asarray((inside / inside.sum()).reshape(-1, 1), np.float32)
