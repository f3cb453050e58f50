"""What a face network said of one picture, as values. Pure."""

import base64
import binascii
import zlib
from dataclasses import dataclass
from typing import Any, cast

from pictures.box import Box

VERSION = 2
FACE_THUMB = 64  # side


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """``box`` in shares of the upright picture; ``embedding`` is 512 half floats of unit length;
    ``sharpness`` of the face alone, see `measure.contrast_sharpness`; ``yaw`` is how far the nose
    is off the middle of the eyes, in distances of the eyes; ``thumb`` is the face squeezed into
    64x64 grey pixels, empty where it is too small to tell one look from another; ``age`` is an
    estimate in years, None where nothing estimated one.
    """

    box: Box
    score: float
    sharpness: float
    yaw: float = 0.0
    embedding: bytes = b""
    thumb: bytes = b""
    age: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Faces:
    """All faces of one picture, the largest first. ``pack`` names the networks that found them."""

    pack: str
    faces: tuple[Face, ...]


def to_json(found: Faces) -> dict[str, object]:
    return {
        "v": VERSION,
        "pack": found.pack,
        "faces": [
            {
                "box": [round(value, 5) for value in face.box.as_list()],
                "score": round(face.score, 3),
                "sharpness": round(face.sharpness, 2),
                "yaw": round(face.yaw, 2),
                "embedding": base64.b64encode(face.embedding).decode(),
                "thumb": base64.b64encode(zlib.compress(face.thumb)).decode(),
                **({} if face.age is None else {"age": face.age}),
            }
            for face in found.faces
        ],
    }


def from_json(raw: object) -> Faces | None:
    """None for what another version wrote."""
    if not isinstance(raw, dict) or raw.get("v") != VERSION:
        return None
    try:
        faces = tuple(_face(one) for one in cast("list[dict[str, Any]]", raw["faces"]))
        return Faces(pack=str(raw["pack"]), faces=faces)
    except (KeyError, TypeError, ValueError, binascii.Error, zlib.error):
        return None


def _face(raw: dict[str, Any]) -> Face:
    left, top, right, bottom = (float(value) for value in raw["box"])
    return Face(
        box=Box(left, top, right, bottom),
        score=float(raw["score"]),
        sharpness=float(raw["sharpness"]),
        yaw=float(raw["yaw"]),
        embedding=base64.b64decode(raw["embedding"]),
        thumb=zlib.decompress(base64.b64decode(raw["thumb"]))[: FACE_THUMB * FACE_THUMB],
        age=None if raw.get("age") is None else int(raw["age"]),
    )
