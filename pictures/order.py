"""What a cell can be asked for, what it answers, and how both travel. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pictures import look as look_module
from pictures.box import Box
from pictures.frame import Cut, Shape
from pictures.look import Look, Refused

SIDE = 1024  # pixels of the long side at which sharpness is measured and faces are sought


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A picture to be shown or given to a network: at most ``side`` pixels, the boxes (in shares)
    drawn and numbered. ``raw`` is RGB bytes instead of a JPEG.
    """

    side: int
    boxes: Sequence[Box] = ()
    raw: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """``cut`` is a known cut; ``shape`` asks for the best one that needs no knowledge of faces.
    ``tile`` is the side of a small JPEG, 0 for none.
    """

    look: bool = False
    cut: Cut | None = None
    shape: Shape | None = None
    view: View | None = None
    tile: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Developed:
    look: Look | None = None
    cut: Cut | None = None
    png: bytes = b""
    view: bytes = b""
    view_size: tuple[int, int] = (0, 0)
    tile: bytes = b""


def wanted_to_json(wanted: Wanted) -> dict[str, Any]:
    raw = asdict(wanted)
    return {name: value for name, value in raw.items() if value not in (None, False)}


def wanted_from_json(raw: dict[str, Any]) -> Wanted:
    cut, shape, view = raw.get("cut"), raw.get("shape"), raw.get("view")
    return Wanted(
        look=bool(raw.get("look")),
        cut=Cut(Box(**cut["box"]), (cut["size"][0], cut["size"][1])) if cut else None,
        shape=Shape(**shape) if shape else None,
        view=View(
            side=view["side"],
            boxes=tuple(Box(**box) for box in view["boxes"]),
            raw=view["raw"],
        )
        if view
        else None,
        tile=int(raw.get("tile", 0)),
    )


def answer_to_json(done: Developed) -> dict[str, Any]:
    """Its bodies follow in the order png, tile, view."""
    return {
        "look": None if done.look is None else look_module.to_json(done.look),
        "cut": None if done.cut is None else asdict(done.cut),
        "view_size": done.view_size,
        "png": len(done.png),
        "tile": len(done.tile),
    }


def read_answer(head: Mapping[str, Any], body: bytes) -> Developed | Refused:
    if "refused" in head:
        return Refused(head["refused"], head["args"])
    cut = head["cut"]
    tile_at = head["png"]
    view_at = tile_at + head["tile"]
    return Developed(
        look=look_module.from_json(head["look"]),
        cut=Cut(Box(**cut["box"]), (cut["size"][0], cut["size"][1])) if cut else None,
        png=body[:tile_at],
        tile=body[tile_at:view_at],
        view=body[view_at:],
        view_size=(head["view_size"][0], head["view_size"][1]),
    )
