"""What a person set once and for all; an empty word is the service's own choice. Pure."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class Pings(StrEnum):
    ALL = "all"  # finished files with a sound, and a reminder now and then
    RESULT = "result"  # finished files alone
    NONE = "none"  # finished files without a sound


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """``base_model`` and ``quality`` are what a new draft begins with, ``tool`` is the program that
    is explained first. ``samples``: pictures are shown while a training runs.
    """

    base_model: str = ""
    quality: str = ""
    tool: str = ""
    pings: Pings = Pings.ALL
    samples: bool = True

    def changed(self, **changes: Any) -> "Preferences":
        return replace(self, **changes)
