"""All that is known of one upload, from every network that has looked. Pure."""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pictures import faces as faces_module
from pictures import look as look_module
from pictures.captions import Described
from pictures.faces import Faces
from pictures.look import Look


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """``faces`` and ``described`` are None where no network has looked."""

    look: Look | None = None
    faces: Faces | None = None
    described: Described | None = None


UNSEEN = Seen()


def to_json(seen: Seen) -> dict[str, Any]:
    return {
        "look": look_module.to_json(seen.look) if seen.look else None,
        "faces": faces_module.to_json(seen.faces) if seen.faces else None,
        "described": seen.described.to_json() if seen.described else None,
    }


@lru_cache(maxsize=2048)
def from_texts(look: str, faces: str | None, described: str | None) -> Seen:
    """The texts of a database's row. What cannot be read is not known."""
    return from_json({"look": _json(look), "faces": _json(faces), "described": _json(described)})


def from_json(raw: dict[str, Any]) -> Seen:
    described = raw.get("described")
    return Seen(
        look=look_module.from_json(raw.get("look")),
        faces=faces_module.from_json(raw.get("faces")),
        described=None if described is None else Described.from_json(described),
    )


def _json(text: str | None) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None
