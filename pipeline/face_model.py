"""Find faces and tell them apart: InsightFace's networks on onnxruntime.

The only file that knows the library: other networks with the same interface come as another pack,
another library as another file like this one.
"""

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pictures import measure
from pictures.box import Box
from pictures.faces import FACE_THUMB, Face

log = logging.getLogger(__name__)

DETECT_SIDE = 640  # one pass; what is smaller than 1/20 of the picture is nobody's portrait
FACE_SIDE = 160  # pixels to which a face is brought before its sharpness is measured
LEAST_THUMB = 40  # pixels of a face in which a look can be told
MARGIN = 0.1  # round the detector's box
EYE_LEFT, EYE_RIGHT, NOSE = 0, 1, 2
NEEDED, AGES = ("detection", "recognition"), "genderage"
OLDEST = 120
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


class FaceModel:
    """``providers`` are what really runs, not what was wished for. With ``ages`` the pack's network
    for them is asked, too, if it has one: ``has_ages``.
    """

    def __init__(
        self, folder: Path, wished: Sequence[str], least_score: float, *, ages: bool = False
    ) -> None:
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        from insightface.app import FaceAnalysis

        self._app: Any = FaceAnalysis(
            name=str(folder),
            allowed_modules=[*NEEDED, AGES] if ages else [*NEEDED],
            providers=list(wished),
        )
        on_gpu = 0 if CUDA in wished else -1
        self._app.prepare(
            ctx_id=on_gpu, det_thresh=least_score, det_size=(DETECT_SIDE, DETECT_SIDE)
        )
        if missing := {*NEEDED} - self._app.models.keys():
            raise ValueError(f"the pack has no network for {', '.join(sorted(missing))}")
        self.has_ages = AGES in self._app.models
        self.providers: tuple[str, ...] = tuple(
            sorted({model.session.get_providers()[0] for model in self._app.models.values()})
        )

    def find(self, image: Image.Image) -> tuple[Face, ...]:
        """The largest first."""
        pixels = np.ascontiguousarray(np.asarray(image)[:, :, ::-1])  # it wants BGR
        found = [_face(one, image) for one in self._app.get(pixels)]
        return tuple(sorted(found, key=lambda face: -face.box.area))


def _face(found: Any, image: Image.Image) -> Face:
    left, top, right, bottom = (float(value) for value in found.bbox)
    whole = Box(0.0, 0.0, image.width, image.height)
    box = Box(left, top, right, bottom).within(whole)
    return Face(
        box=box.scaled(1 / image.width, 1 / image.height),
        score=float(found.det_score),
        sharpness=_sharpness(image, box),
        yaw=_yaw(np.asarray(found.kps, np.float64)),
        embedding=np.asarray(found.normed_embedding, np.float16).tobytes(),
        thumb=_thumb(image, box),
        age=_age(found),
    )


def _age(found: Any) -> int | None:
    """Years; what else that network says of a face is not looked at."""
    age = found.get("age")
    return None if age is None else max(0, min(int(age), OLDEST))


def _sharpness(image: Image.Image, box: Box) -> float:
    face = image.crop((round(box.left), round(box.top), round(box.right), round(box.bottom)))
    if min(face.size) < 1:
        return 0.0
    face = face.convert("L")
    if max(face.size) > FACE_SIDE:
        face.thumbnail((FACE_SIDE, FACE_SIDE), Image.Resampling.BOX)
    return measure.contrast_sharpness(np.asarray(face))


def _thumb(image: Image.Image, box: Box) -> bytes:
    if min(box.width, box.height) < LEAST_THUMB:
        return b""
    x, y = MARGIN * box.width, MARGIN * box.height
    area = box.grown(x, y, x, y).within(Box(0.0, 0.0, image.width, image.height))
    part = image.crop((round(area.left), round(area.top), round(area.right), round(area.bottom)))
    return part.convert("L").resize((FACE_THUMB, FACE_THUMB), Image.Resampling.BOX).tobytes()


def _yaw(points: NDArray[np.float64]) -> float:
    eyes = points[EYE_RIGHT] - points[EYE_LEFT]
    apart = float(np.hypot(*eyes))
    if apart < 1.0:
        return 0.0
    middle = (points[EYE_LEFT] + points[EYE_RIGHT]) / 2
    return float((points[NOSE] - middle) @ eyes) / apart**2


def wished_providers(device: str) -> tuple[str, ...]:
    """``device`` is auto, cpu or cuda. onnxruntime falls back to the CPU without a word."""
    import onnxruntime

    if device != "cpu" and CUDA in onnxruntime.get_available_providers():
        return CUDA, CPU
    return (CPU,)
