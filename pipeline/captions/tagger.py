"""Words for a picture by a WD14 tagger (SmilingWolf's v3 interface) on onnxruntime.

In: (N, 448, 448, 3) float32, BGR 0..255, the picture on a white square. Out: (N, tags), each a
probability. `selected_tags.csv` names them row by row.
"""

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pictures.captions import Described

MODEL, NAMES = "model.onnx", "selected_tags.csv"
GENERAL = "0"  # the category; 4 are names of characters, 9 ratings
WHITE = (255, 255, 255)
MOST_TAGS = 40
# Faces made of signs keep their underscores; in all others they stand for spaces.
KAOMOJI = frozenset(
    {
        *("0_0", "(o)_(o)", "+_+", "+_-", "._.", "<o>_<o>", "<|>_<|>", "=_=", ">_<", "3_3"),
        *("6_9", ">_o", "@_@", "^_^", "o_o", "u_u", "x_x", "|_|", "||_||"),
    }
)


class TaggerError(Exception):
    """The files are no tagger of this interface."""


@dataclass(slots=True, kw_only=True)
class Tagger:
    """``general`` are the rows that count, with their names; ``providers`` what it runs on."""

    session: Any
    general: tuple[tuple[int, str], ...]
    side: int
    threshold: float
    providers: tuple[str, ...]

    @classmethod
    def open(cls, folder: Path, wished: Sequence[str], threshold: float) -> Self:
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        names = _names(folder / NAMES)
        try:
            session = onnxruntime.InferenceSession(str(folder / MODEL), providers=list(wished))
        except Exception as error:  # its own exceptions have no common class
            raise TaggerError(f"{folder / MODEL} cannot be loaded ({error})") from error
        (given,), (made,) = session.get_inputs(), session.get_outputs()
        if len(given.shape) != 4 or given.shape[3] != 3 or given.shape[1] != given.shape[2]:
            raise TaggerError(f"{MODEL} takes {given.shape}, not (N, side, side, 3)")
        if len(made.shape) != 2 or made.shape[1] != len(names):
            raise TaggerError(f"{MODEL} says {made.shape}, {NAMES} has {len(names)} rows")
        return cls(
            session=session,
            general=tuple(
                (row, name) for row, (name, category) in enumerate(names) if category == GENERAL
            ),
            side=int(given.shape[1]),
            threshold=threshold,
            providers=tuple(session.get_providers()[:1]),
        )

    def tags(self, images: Sequence[Image.Image]) -> list[Described]:
        """The most probable first."""
        batch = np.stack([_squared(image, self.side) for image in images])
        (given,) = self.session.get_inputs()
        (said,) = self.session.run(None, {given.name: batch})
        return [self._described(row) for row in said]

    def _described(self, shares: NDArray[np.float32]) -> Described:
        found = [(name, float(shares[row])) for row, name in self.general]
        likely = sorted((one for one in found if one[1] >= self.threshold), key=lambda one: -one[1])
        return Described(tags=tuple(likely[:MOST_TAGS]))


def _names(path: Path) -> list[tuple[str, str]]:
    """Name and category by row; the order of categories is not promised."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [(_readable(row["name"]), row["category"]) for row in csv.DictReader(file)]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise TaggerError(f"{path} is no list of tags ({error})") from error


def _readable(name: str) -> str:
    return name if name in KAOMOJI else name.replace("_", " ")


def _squared(image: Image.Image, side: int) -> NDArray[np.float32]:
    longest = max(image.size)
    square = Image.new("RGB", (longest, longest), WHITE)
    square.paste(image, ((longest - image.width) // 2, (longest - image.height) // 2))
    small = square.resize((side, side), Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(small, np.float32)[:, :, ::-1])
