"""The first look at a picture: all that can be told without knowing what it is for."""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pictures.box import Box

VERSION = 1  # of what is measured: another one is measured again
THUMB = 128  # side of the small grey picture that near-duplicates are compared by


@dataclass(frozen=True, slots=True)
class Refused:
    """Not a usable picture: a text key of `photo.*` and its arguments, without the number."""

    code: str
    args: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """``width`` and ``height`` are upright, in pixels; ``content`` is without borders, in shares.

    ``sharpness``, ``mean``, ``black`` and ``white`` as in `pictures.measure`; ``hashes`` of the
    picture and of its mirror image; ``thumb`` is the content squeezed into 128x128 grey pixels;
    ``focus`` is where the eye goes, in shares of the content.
    """

    width: int
    height: int
    animated: bool
    content: Box
    sharpness: float
    mean: float
    black: float
    white: float
    hashes: tuple[int, int]
    thumb: bytes
    focus: tuple[float, float]

    @property
    def content_size(self) -> tuple[float, float]:
        """Pixels of the upload inside its borders."""
        return self.content.width * self.width, self.content.height * self.height


def to_json(look: Look) -> dict[str, object]:
    return {
        "v": VERSION,
        "size": [look.width, look.height],
        "animated": look.animated,
        "content": look.content.rounded().as_list(),
        "sharpness": round(look.sharpness, 3),
        "light": [round(value, 4) for value in (look.mean, look.black, look.white)],
        "hashes": [f"{value:016x}" for value in look.hashes],
        "thumb": base64.b64encode(zlib.compress(look.thumb, 6)).decode(),
        "focus": [round(value, 3) for value in look.focus],
    }


def from_json(raw: Any) -> Look | None:
    """None for what another version wrote: it is looked at again."""
    try:
        return _read(raw) if raw["v"] == VERSION else None
    except (KeyError, TypeError, ValueError, zlib.error, binascii.Error):
        return None


def _read(raw: Mapping[str, Any]) -> Look:
    width, height = (int(value) for value in raw["size"])
    mean, black, white = (float(value) for value in raw["light"])
    first, second = (int(value, 16) for value in raw["hashes"])
    across, down = (float(value) for value in raw["focus"])
    left, top, right, bottom = (float(value) for value in raw["content"])
    return Look(
        width=width,
        height=height,
        animated=bool(raw["animated"]),
        content=Box(left, top, right, bottom),
        sharpness=float(raw["sharpness"]),
        mean=mean,
        black=black,
        white=white,
        hashes=(first, second),
        thumb=zlib.decompress(base64.b64decode(raw["thumb"]))[: THUMB * THUMB],
        focus=(across, down),
    )


def key_of(data: bytes) -> str:
    """The name of an upload in every store: its sha256."""
    return hashlib.sha256(data).hexdigest()
