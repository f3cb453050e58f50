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
MOST_TAGS = 30
AT_ONCE = 8  # pictures; a real network takes some hundred MB for each
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
    at_once: int
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
        side, at_once = _interface(session.get_inputs(), session.get_outputs(), len(names))
        one = cls(
            session=session,
            general=tuple(
                (row, name) for row, (name, category) in enumerate(names) if category == GENERAL
            ),
            side=side,
            at_once=at_once,
            threshold=threshold,
            providers=tuple(session.get_providers()[:1]),
        )
        one._try_out()
        return one

    def _try_out(self) -> None:
        """Better here than at the first photo: it runs, and answers with shares."""
        try:
            (said,) = self._answers([Image.new("RGB", (self.side, self.side), WHITE)])
        except Exception as error:  # as above
            raise TaggerError(f"{MODEL} does not run ({error})") from error
        if not (said.min() >= 0 and said.max() <= 1 + 1e-3):
            raise TaggerError(f"{MODEL} answers {said.min():g}..{said.max():g}, not shares of 1")

    def tags(self, images: Sequence[Image.Image]) -> list[Described]:
        """The most probable first."""
        found: list[Described] = []
        for at in range(0, len(images), self.at_once):
            some = self._answers(images[at : at + self.at_once])
            found += [self._described(row) for row in some]
        return found

    def shares(self, image: Image.Image, words: Sequence[str]) -> dict[str, float]:
        """How surely each of these is seen; a word that is no tag is left out."""
        (said,) = self._answers([image])
        return {name: float(said[row]) for row, name in self.general if name in set(words)}

    def _answers(self, images: Sequence[Image.Image]) -> NDArray[np.float32]:
        (given,) = self.session.get_inputs()
        batch = np.stack([_squared(image, self.side) for image in images])
        answers: NDArray[np.float32] = self.session.run(None, {given.name: batch})[0]
        return answers

    def _described(self, shares: NDArray[np.float32]) -> Described:
        found = [(name, min(1.0, float(shares[row]))) for row, name in self.general]
        likely = sorted((one for one in found if one[1] >= self.threshold), key=lambda one: -one[1])
        return Described(tags=tuple(likely[:MOST_TAGS]))


def _interface(given: Sequence[Any], made: Sequence[Any], names: int) -> tuple[int, int]:
    """The side of its square, and how many pictures it takes at once."""
    if len(given) != 1 or len(made) != 1:
        raise TaggerError(f"{MODEL} has {len(given)} inputs and {len(made)} outputs, not 1 and 1")
    (taken,), (said,) = given, made
    match taken.shape:
        case [batch, int() as side, int() as across, 3] if side == across and side > 0:
            pass
        case _:
            raise TaggerError(f"{MODEL} takes {taken.shape}, not (N, side, side, 3)")
    if taken.type != "tensor(float)" or (isinstance(batch, int) and batch != 1):
        raise TaggerError(f"{MODEL} takes {taken.type} of {taken.shape}, not any number of floats")
    if len(said.shape) != 2 or said.shape[1] != names:
        raise TaggerError(f"{MODEL} says {said.shape}, {NAMES} has {names} rows")
    return side, 1 if batch == 1 else AT_ONCE


def _names(path: Path) -> list[tuple[str, str]]:
    """Name and category by row; the order of categories is not promised."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        found = [(row["name"], row["category"]) for row in rows]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise TaggerError(f"{path} is no list of tags ({error})") from error
    for row, (name, category) in enumerate(found):
        # A row that ends early has None here.
        if not name or not category:
            raise TaggerError(f"{path} has no name and category in row {row + 1}")
    return [(_readable(name), category) for name, category in found]


def _readable(name: str) -> str:
    return name if name in KAOMOJI else name.replace("_", " ")


def _squared(image: Image.Image, side: int) -> NDArray[np.float32]:
    longest = max(image.size)
    square = Image.new("RGB", (longest, longest), WHITE)
    place = ((longest - image.width) // 2, (longest - image.height) // 2)
    square.paste(image, place, image if image.mode in {"RGBA", "LA"} else None)
    small = square.resize((side, side), Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(small, np.float32)[:, :, ::-1])
