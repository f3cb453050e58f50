"""What an upload may be, and where a photo stops being good. Each threshold is a setting.

The figures were found on drawn pictures and on the literature's; photographs differ in degree, so
an operator may set any of them in `prepare.toml` under the name it has here.
"""

import math
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path


class LimitsFileError(Exception):
    """`prepare.toml` is not usable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Sizes in pixels or bytes, sharpness in grey levels squared, hashes in bits, shares of 1."""

    # --- what is opened at all
    file_bytes: int = 50_000_000
    jpeg_pixels: int = 200_000_000  # decodes at an eighth of its size: cheap
    progressive_pixels: int = 100_000_000  # holds all its coefficients while it decodes
    pixels: int = 64_000_000  # PNG, BMP, GIF: four bytes each
    coded_pixels: int = 40_000_000  # AVIF, HEIC, TIFF: their decoders hold it twice
    webp_pixels: int = 20_000_000  # holds it three times
    aspect: float = 4.0  # longer is a banner or a scroll
    smallest: int = 128  # short side; below this there is nothing to learn
    memory_bytes: int = 400_000_000  # above what the program itself has
    seconds: float = 20.0

    # --- sharpness: 90th percentile over tiles of the variance of the Laplacian
    blurred: float = 3.0  # below: out, unless the person wants it
    blurry: float = 5.0  # below: ask
    face_blurred: float = 12.0  # the same on the face, brought to the same contrast
    face_blurry: float = 24.0

    # --- light: mean grey and shares of pixels at the ends
    black: float = 20.0  # darker: out, unless the person wants it
    dark: float = 32.0  # darker: ask
    bright: float = 228.0
    white: float = 238.0
    clipped: float = 0.55  # share of black or of white pixels that is too much

    # --- near-duplicates
    hash_candidate: int = 18  # bits of 64 in which two pictures may differ to be compared
    same_correlation: float = 0.93  # of the aligned pictures
    same_worst: float = 0.5  # most that any part of the aligned pictures may differ
    same_worst_beside_face: float = 0.8  # the same where the faces are compared, too
    same_face_correlation: float = 0.9  # the same two for the face alone, where it is known:
    same_face_worst: float = 0.16  # in a burst only the look on it may change

    # --- faces
    face_score: float = 0.5
    face_side: int = 64  # pixels in the upload; smaller is not a portrait of anybody
    same_person: float = 0.45  # cosine from which on it is surely the same
    other_person: float = 0.30  # below it is somebody else; between, ask
    backs: int = 2  # photos without a face that a set of a person bears

    # --- what shows through where a picture is transparent
    ground: int = 255


DEFAULT = Limits()


def load(data_dir: Path) -> Limits:
    """The operator's `prepare.toml`, or the defaults."""
    path = data_dir / "prepare.toml"
    if not path.exists():
        return Limits()
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        return Limits(**{name: _checked(name, value) for name, value in raw.items()})  # type: ignore[arg-type]  # just checked
    except (OSError, TypeError, ValueError) as error:
        raise LimitsFileError(f"{path}: {error}") from error


def _checked(name: str, value: object) -> float:
    known = {field.name: field.type for field in fields(Limits)}
    if name not in known:
        raise ValueError(f"{name} is not known")
    whole = known[name] is int
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise TypeError(f"{name} cannot be {value!r}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} {value} is outside 0 and above")
    return value if whole else float(value)
