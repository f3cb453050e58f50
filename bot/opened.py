"""What a person looks at in their library, as part of the conversation. Pure."""

from dataclasses import dataclass
from enum import StrEnum


class View(StrEnum):
    LIST = "list"
    MODEL = "model"
    HOWTO = "howto"
    NAME = "name"  # waits for a new name
    DELETE = "delete"  # asks once
    STEPS = "steps"  # other versions of the same training
    EXHIBIT = "exhibit"  # asks once whether its samples are to hang in public
    SETTINGS = "settings"  # not the library's, but shown in its place


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """``page`` of the list; ``model`` is a job's id; ``tool`` is the program that is explained, or
    the setting that is asked about.
    """

    view: View = View.LIST
    page: int = 0
    model: str = ""
    tool: str = ""


def from_json(raw: object) -> Opened | None:
    """None for whatever makes no sense: then nothing is open."""
    match raw:
        case {"view": str(view), "page": int(page), "model": str(model), "tool": str(tool)}:
            known = view in set(View)
            return Opened(view=View(view), page=page, model=model, tool=tool) if known else None
    return None
