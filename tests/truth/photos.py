"""What happens to pictures between a camera and us; the truth about them goes along."""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tests.truth.canvas import Colour, Picture, soften
from tests.truth.figures import Face

Edges = tuple[float, float, float, float]  # left, top, right, bottom

ORIENTATION, GPS = 0x0112, 0x8825
UPRIGHT = 1
TURNS = {  # how the pixels lie in a file of this EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
LEFT_FIRST = (1, 0, 2, 4, 3)  # the order of points in a mirror
REFERENCE = 1024  # long side that blurs are given for, in pixels


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture, whose faces are on it, and where it is inside its borders. Upright pixels."""

    picture: Picture
    faces: tuple[Face, ...]
    content: Edges

    @classmethod
    def of(cls, picture: Picture, faces: list[Face]) -> "Photo":
        height, width = picture.shape[:2]
        return cls(picture, tuple(faces), (0.0, 0.0, float(width), float(height)))

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.picture.shape[:2]
        return width, height


def save(
    photo: Photo,
    path: Path,
    *,
    quality: int = 90,
    orientation: int = UPRIGHT,
    located: bool = False,
) -> Path:
    """The suffix is the format. ``located`` puts a place on earth into the metadata."""
    image = Image.fromarray(photo.picture)
    if orientation != UPRIGHT:
        image = image.transpose(TURNS[orientation])
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    if located:
        exif.get_ifd(GPS).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    if path.suffix == ".png":
        image.save(path, compress_level=1, exif=exif)
    else:
        image.save(path, quality=quality, exif=exif)
    return path


def reencoded(photo: Photo, quality: int) -> Photo:
    file = io.BytesIO()
    Image.fromarray(photo.picture).save(file, "JPEG", quality=quality)
    return replace(photo, picture=np.asarray(Image.open(file).convert("RGB"), np.uint8))


def resized(photo: Photo, factor: float) -> Photo:
    width, height = photo.size
    size = round(width * factor), round(height * factor)
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    picture = np.asarray(cv2.resize(photo.picture, size, interpolation=way), np.uint8)
    across, down = size[0] / width, size[1] / height
    return _placed(photo, picture, lambda x, y: (x * across, y * down))


def cropped(photo: Photo, shares: Edges) -> Photo:
    """``shares`` of the sides that are cut off."""
    width, height = photo.size
    left, top = round(shares[0] * width), round(shares[1] * height)
    right, bottom = width - round(shares[2] * width), height - round(shares[3] * height)
    picture = np.ascontiguousarray(photo.picture[top:bottom, left:right])
    moved = _placed(photo, picture, lambda x, y: (x - left, y - top))
    edge = (0.0, 0.0, float(right - left), float(bottom - top))
    return replace(moved, content=_within(moved.content, edge))


def mirrored(photo: Photo) -> Photo:
    width, _ = photo.size
    picture = np.ascontiguousarray(photo.picture[:, ::-1])
    turned = _placed(photo, picture, lambda x, y: (width - x, y))
    faces = (
        replace(face, points=tuple(face.points[n] for n in LEFT_FIRST)) for face in turned.faces
    )
    return replace(turned, faces=tuple(faces))


def relit(photo: Photo, gain: float, gamma: float = 1.0) -> Photo:
    levels = np.clip((np.arange(256) / 255) ** gamma * gain, 0, 1) * 255
    return replace(photo, picture=_mapped(photo.picture, levels))


def exposed(photo: Photo, mean: float) -> Photo:
    """Longer or shorter, until the mean grey is there; what is over white is white."""
    counts = np.bincount(photo.picture.reshape(-1), minlength=256)
    shares, levels = counts / counts.sum(), np.arange(256)
    low, high = 0.0, 200.0
    for _ in range(40):
        gain = (low + high) / 2
        reached = float(shares @ np.minimum(levels * gain, 255))
        low, high = (gain, high) if reached < mean else (low, gain)
    return replace(photo, picture=_mapped(photo.picture, np.minimum(levels * high, 255)))


def bordered(photo: Photo, widths: Edges, colour: Colour, seed: int) -> Photo:
    """Borders of so many pixels, with the little noise that a codec leaves in them."""
    left, top, right, bottom = (round(width) for width in widths)
    width, height = photo.size
    picture = np.empty((height + top + bottom, width + left + right, 3), np.uint8)
    noise = np.random.default_rng(seed).integers(0, 3, picture.shape[:2])[..., None]
    picture[:] = np.abs(np.asarray(colour, np.int64) - noise)
    picture[top : top + height, left : left + width] = photo.picture
    return _placed(photo, picture, lambda x, y: (x + left, y + top))


def screenshot(photo: Photo, aspect: float, colour: Colour, seed: int) -> Photo:
    """On the screen of a phone, of this height by width: bars above and below."""
    width, height = photo.size
    bars = max(0.04 * height, width * aspect - height)
    above = bars * random_share(seed, 0.4, 0.6)
    return bordered(photo, (0.0, above, 0.0, bars - above), colour, seed)


def vignetted(photo: Photo, strength: float) -> Photo:
    """Darker to the corners, as lenses do; that is no border."""
    width, height = photo.size
    across = np.linspace(-1, 1, width, dtype=np.float32)[None] ** 2
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None] ** 2
    fall = 1 - strength * np.clip((across + down) / 2, 0, 1) ** 1.5
    gain = cv2.merge([np.round(fall * 128).astype(np.uint8)] * 3)
    return replace(
        photo, picture=np.asarray(cv2.multiply(photo.picture, gain, scale=1 / 128), np.uint8)
    )


def blurred(photo: Photo, sigma: float) -> Photo:
    """A Gauss of so many pixels where the long side had `REFERENCE`."""
    return replace(photo, picture=soften(photo.picture, sigma * max(photo.size) / REFERENCE))


def shaken(photo: Photo, length: float, angle: float) -> Photo:
    """Moved along a line while the shutter was open; the length as in `blurred`."""
    step = max(1.0, max(photo.size) / REFERENCE)
    side = 2 * math.ceil(length / 2) + 1
    kernel = np.zeros((side, side), np.float32)
    middle, reach = side // 2, length / 2
    ends = [
        (
            round(middle + sign * reach * math.cos(angle)),
            round(middle + sign * reach * math.sin(angle)),
        )
        for sign in (-1, 1)
    ]
    cv2.line(kernel, ends[0], ends[1], 1.0, 1, cv2.LINE_AA)
    width, height = photo.size
    small = cv2.resize(
        photo.picture, (round(width / step), round(height / step)), interpolation=cv2.INTER_AREA
    )
    moved = cv2.filter2D(small, -1, kernel / kernel.sum())
    grown = cv2.resize(moved, (width, height), interpolation=cv2.INTER_LINEAR)
    return replace(photo, picture=np.asarray(grown, np.uint8))


def random_share(seed: int, low: float, high: float) -> float:
    return float(np.random.default_rng(seed).uniform(low, high))


def _mapped(picture: Picture, levels: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Picture:
    return np.asarray(cv2.LUT(picture, np.round(levels).astype(np.uint8)), np.uint8)


def _placed(
    photo: Photo, picture: Picture, move: Callable[[float, float], tuple[float, float]]
) -> Photo:
    """All places go where ``move`` says."""
    faces = tuple(
        replace(face, box=_moved(face.box, move), points=tuple(move(x, y) for x, y in face.points))
        for face in photo.faces
    )
    return Photo(picture, faces, _moved(photo.content, move))


def _moved(edges: Edges, move: Callable[[float, float], tuple[float, float]]) -> Edges:
    (x0, y0), (x1, y1) = move(edges[0], edges[1]), move(edges[2], edges[3])
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _within(one: Edges, other: Edges) -> Edges:
    return (
        max(one[0], other[0]),
        max(one[1], other[1]),
        min(one[2], other[2]),
        min(one[3], other[3]),
    )
