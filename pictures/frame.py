"""Where to cut: the largest part that has a bucket's shape and keeps the subject. Pure.

The trainer then crops nothing: the cut has exactly the bucket's size (sd-scripts scales to cover
and takes the middle, which is where heads are lost).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pictures.box import Box
from trainer.buckets import nearest

# What belongs to a head beside the detector's box, in the box's own widths and heights.
HAIR, CHIN, EARS = 0.55, 0.35, 0.35
FACE_FROM_TOP = 0.38  # of the cut: where portraits have the middle of the face
CLEAR = 0.15  # of a stranger's width that the cut keeps away


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What cuts may look like: pixels of the square side whose area no bucket exceeds."""

    resolution: int
    square: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """``box`` in the upload's upright pixels, ``size`` (width, height) of the result."""

    box: Box
    size: tuple[int, int]


def place(
    content: Box,
    focus: tuple[float, float],
    shape: Shape,
    face: Box | None = None,
    strangers: Sequence[Box] = (),
    size: tuple[int, int] | None = None,
) -> Cut | None:
    """All boxes in the upload's upright pixels, ``focus`` in shares of the content. None where the
    picture is too small for any bucket: only a given ``size`` scales up.
    """
    region = content
    if face is not None and strangers:
        alone = _without(content, face, strangers)
        region = alone if size or _bucket(alone, shape) else content
    size = size or _bucket(region, shape)
    if size is None:
        return None
    width, height = _largest(region, size)
    if face is None:
        middle = region.left + focus[0] * region.width, region.top + focus[1] * region.height
        return Cut(_around(middle, (width, height), region), size)
    head = face.grown(
        EARS * face.width, HAIR * face.height, EARS * face.width, CHIN * face.height
    ).within(region)
    middle = head.center[0], face.center[1] + (0.5 - FACE_FROM_TOP) * height
    box = _around(middle, (width, height), region)
    return Cut(_holding(box, head), size)


def _bucket(region: Box, shape: Shape) -> tuple[int, int] | None:
    width, height = int(region.width), int(region.height)
    if min(width, height) < 1:
        return None
    return nearest(width, height, shape.resolution, square=shape.square)


def _largest(region: Box, size: tuple[int, int]) -> tuple[float, float]:
    """Width and height of the largest rectangle of the bucket's shape in the region."""
    scale = min(region.width / size[0], region.height / size[1])
    return size[0] * scale, size[1] * scale


def _around(middle: tuple[float, float], size: tuple[float, float], region: Box) -> Box:
    left = min(max(middle[0] - size[0] / 2, region.left), region.right - size[0])
    top = min(max(middle[1] - size[1] / 2, region.top), region.bottom - size[1])
    return Box(left, top, left + size[0], top + size[1])


def _holding(box: Box, head: Box) -> Box:
    """Moved so far that the head is inside; the face before the hair where there is no room."""
    across = _shift(box.left, box.right, head.left, head.right)
    down = _shift(box.top, box.bottom, head.top, head.bottom)
    return box.moved(across, down)


def _shift(start: float, end: float, wanted_start: float, wanted_end: float) -> float:
    if wanted_end - wanted_start > end - start:
        return (wanted_start + wanted_end) / 2 - (start + end) / 2
    if wanted_start < start:
        return wanted_start - start
    return max(0.0, wanted_end - end)


def _without(content: Box, face: Box, strangers: Sequence[Box]) -> Box:
    """The part beside the strangers' faces, as long as it keeps the whole face."""
    region = content
    for one in strangers:
        away = CLEAR * one.width
        sides = (
            Box(region.left, region.top, min(region.right, one.left - away), region.bottom),
            Box(max(region.left, one.right + away), region.top, region.right, region.bottom),
            Box(region.left, region.top, region.right, min(region.bottom, one.top - away)),
            Box(region.left, max(region.top, one.bottom + away), region.right, region.bottom),
        )
        keeping = [side for side in sides if side.within(face) == face]
        if one.overlap(region) > 0 and keeping:
            region = max(keeping, key=lambda side: side.area)
    return region
