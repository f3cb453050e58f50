"""Networks with the interfaces of the real ones, whose weights nobody has trained."""

from pathlib import Path

from tests.truth import ager, detector, embedder
from tests.truth import tagger as tags


def face_pack(folder: Path, *, ages: bool = False) -> Path:
    """A folder that `insightface.app.FaceAnalysis` loads by its path."""
    folder.mkdir(parents=True, exist_ok=True)
    detector.write(folder / "det_10g.onnx")
    embedder.write(folder / "w600k_r50.onnx")
    if ages:
        ager.write(folder / "genderage.onnx")
    return folder


def tagger(folder: Path) -> Path:
    """A folder with `model.onnx` and `selected_tags.csv`."""
    return tags.write(folder)
