"""Are two pictures the same shot? First by their fingerprints, then by laying one on the other.

Sent again, re-encoded, resized, cropped a little, mirrored, brighter or darker: the same shot. The
next frame of a burst, with another look on the face: not the same.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from pictures.limits import Limits
from pictures.look import Look

Field = NDArray[np.float64]

LEVELS = (16, 32, 64, 128)
SCALES = (1.0, 0.88, 1.14)
ROUNDS = 8
MOST_SHIFT = 0.25  # of a side; more is another picture
MOST_STEP = 0.04  # of a side; slopes say little about what is farther away
LEAST_OVERLAP = 0.5
# Pixels that are compared as one, and by how many edges may be off; of a whole picture, of a face.
GRAIN = {128: (2, 0.1), 64: (4, 0.2)}
TONES = 24  # steps of the curve that brings one picture's light to the other's
HOPELESS = 0.8  # correlation at a coarse level; finer ones only see more differences


def is_same_shot(
    one: Look, other: Look, limits: Limits, faces: tuple[bytes, bytes] = (b"", b"")
) -> bool:
    """``faces`` are the thumbs of the subject's face on each, where they are known: in a burst only
    the look on it may change.
    """
    for mirrored, hashed in enumerate(other.hashes):
        if (one.hashes[0] ^ hashed).bit_count() > limits.hash_candidate:
            continue
        # The face tells more than the whole picture does, where it is known.
        worst = limits.same_worst_beside_face if all(faces) else limits.same_worst
        least = Laid(limits.same_correlation, worst)
        if not _is_same(one.thumb, other.thumb, least, mirrored=bool(mirrored)):
            continue
        least = Laid(limits.same_face_correlation, limits.same_face_worst)
        if not all(faces) or _is_same(*faces, least, mirrored=bool(mirrored)):
            return True
    return False


def _is_same(one: bytes, other: bytes, least: "Laid", *, mirrored: bool) -> bool:
    """Either may be a part of the other, and the whole is the easier one to lay on its part."""
    laids = (compare(*pair, mirrored) for pair in ((one, other), (other, one)))
    return any(
        laid.correlation >= least.correlation and laid.worst <= least.worst for laid in laids
    )


@dataclass(frozen=True, slots=True)
class Laid:
    """``correlation`` -1..1 where both overlap; ``worst`` is the largest difference of a block, in
    standard deviations, beyond what a small misalignment explains.
    """

    correlation: float
    worst: float


NOTHING = Laid(-1.0, float("inf"))


@lru_cache(maxsize=4096)
def compare(one: bytes, other: bytes, mirrored: bool) -> Laid:  # noqa: FBT001  a cache's key
    """Squares of grey pixels, 128 or 64 a side; ``mirrored`` turns the other round first."""
    fixed, moving = _field(one), _field(other)
    if mirrored:
        moving = moving[:, ::-1]
    if fixed.std() < 1.0 or moving.std() < 1.0:
        return Laid(1.0, 0.0) if np.abs(fixed - moving).max() < 4 else NOTHING
    levels = [side for side in LEVELS if side <= len(fixed)]
    place = _start(_shrunk(fixed, levels[0]), _shrunk(moving, levels[0]))
    for side in levels:
        coarse = _shrunk(fixed, side), _shrunk(moving, side)
        place = _align(*coarse, place)
        if np.abs(place - (1.0, 1.0, 0.0, 0.0)).max() > MOST_SHIFT:
            return NOTHING
        # Most candidates are told apart here, in a tenth of the time.
        if (laid := _judge(*coarse, place, coarsely=side < levels[-1])).correlation < HOPELESS:
            break
    return laid


def _start(fixed: Field, moving: Field) -> Field:
    """The best of a few scales: far from the truth the slopes lead nowhere."""
    tries = [_align(fixed, moving, np.array([scale, scale, 0.0, 0.0])) for scale in SCALES]
    return max(tries, key=lambda place: _judge(fixed, moving, place, coarsely=True).correlation)


def _field(thumb: bytes) -> Field:
    side = math.isqrt(len(thumb))
    field = np.frombuffer(thumb, np.uint8).reshape(side, side).astype(np.float64)
    return _smoothed(field) if side == LEVELS[-1] else field


def _smoothed(field: Field) -> Field:
    """Finer than its pixels a thumb has only aliases, which move with every crop."""
    across = np.pad(field, ((0, 0), (1, 1)), mode="edge")
    field = (across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]) / 4
    down = np.pad(field, ((1, 1), (0, 0)), mode="edge")
    smoothed: Field = (down[:-2] + 2 * down[1:-1] + down[2:]) / 4
    return smoothed


def _shrunk(field: Field, side: int) -> Field:
    step = len(field) // side
    shrunk: Field = field.reshape(side, step, side, step).mean(axis=(1, 3))
    return shrunk


def _align(fixed: Field, moving: Field, place: Field) -> Field:
    """Scales and shifts (across, down, across, down; shifts in sides) that lay ``moving`` on
    ``fixed``, with gain and offset of its light: Gauss-Newton (Lucas and Kanade, IJCAI 1981).
    """
    side = len(fixed)
    down, across = np.mgrid[0:side, 0:side] / side - 0.5 + 0.5 / side
    slope_down, slope_across = (np.asarray(one) for one in np.gradient(moving, 1 / side))
    for _ in range(ROUNDS):
        x, y = place[0] * across + place[2], place[1] * down + place[3]
        inside = (np.abs(x) < 0.5 - 0.5 / side) & (np.abs(y) < 0.5 - 0.5 / side)
        if inside.mean() < LEAST_OVERLAP:
            return place
        sampled, by_x, by_y = (_sample(one, x, y) for one in (moving, slope_across, slope_down))
        gain, offset = _light(sampled[inside], fixed[inside])
        left = (fixed - gain * sampled - offset)[inside]
        slopes = gain * np.stack([by_x * across, by_y * down, by_x, by_y])
        columns = np.concatenate([slopes[:, inside], [sampled[inside], np.ones(left.size)]])
        step, *_ = np.linalg.lstsq(columns @ columns.T, columns @ left, rcond=1e-10)
        place = place + np.clip(step[:4], -MOST_STEP, MOST_STEP)
        if np.abs(step[:4]).max() < 0.02 / side:
            break
    return place


def _sample(field: Field, x: Field, y: Field) -> Field:
    """Bilinear, at places -0.5..0.5."""
    side = len(field)
    column = np.clip((x + 0.5) * side - 0.5, 0, side - 1.001)
    row = np.clip((y + 0.5) * side - 0.5, 0, side - 1.001)
    left, top = column.astype(np.intp), row.astype(np.intp)
    right_share, low_share = column - left, row - top
    upper = field[top, left] * (1 - right_share) + field[top, left + 1] * right_share
    lower = field[top + 1, left] * (1 - right_share) + field[top + 1, left + 1] * right_share
    sampled: Field = upper * (1 - low_share) + lower * low_share
    return sampled


def _light(values: Field, wanted: Field) -> tuple[float, float]:
    """Gain and offset that bring the values nearest to what is wanted."""
    centred = values - values.mean()
    gain = float(centred @ (wanted - wanted.mean())) / max(float(centred @ centred), 1e-9)
    gain = min(max(gain, 0.3), 3.0)
    return gain, float(wanted.mean() - gain * values.mean())


def _judge(fixed: Field, moving: Field, place: Field, *, coarsely: bool) -> Laid:
    side = len(fixed)
    down, across = np.mgrid[0:side, 0:side] / side - 0.5 + 0.5 / side
    x, y = place[0] * across + place[2], place[1] * down + place[3]
    inside = (np.abs(x) < 0.5 - 1.0 / side) & (np.abs(y) < 0.5 - 1.0 / side)
    if inside.mean() < LEAST_OVERLAP:
        return NOTHING
    sampled = _sample(moving, x, y)
    if coarsely:
        return Laid(_correlation(fixed[inside], sampled[inside]), float("inf"))
    # Whichever was made brighter may have lost its lights: the other one can be made like it.
    return min(
        _difference(fixed, _toned(sampled, fixed, inside), inside),
        _difference(sampled, _toned(fixed, sampled, inside), inside),
        key=lambda laid: laid.worst,
    )


def _correlation(one: Field, other: Field) -> float:
    one, other = one - one.mean(), other - other.mean()
    return float(one @ other) / max(float(np.sqrt((one @ one) * (other @ other))), 1e-9)


def _toned(values: Field, wanted: Field, inside: NDArray[np.bool_]) -> Field:
    """With the other's light: what is equally bright in one is so in the other."""
    edges = np.unique(np.quantile(values[inside], np.linspace(0, 1, TONES + 1)))
    bins = np.clip(np.searchsorted(edges, values[inside], "right") - 1, 0, len(edges) - 1)
    count = np.bincount(bins, minlength=len(edges))
    kept = count > 0
    middle = np.bincount(bins, values[inside], len(edges))[kept] / count[kept]
    tone = np.bincount(bins, wanted[inside], len(edges))[kept] / count[kept]
    toned: Field = np.interp(values, middle, tone)
    if len(tone) > 1:
        # Beyond the outermost middles the curve goes on as steep as it was.
        slopes = np.diff(tone) / np.maximum(np.diff(middle), 1e-6)
        toned += np.minimum(values - middle[0], 0) * slopes[0]
        toned += np.maximum(values - middle[-1], 0) * slopes[-1]
    return toned


def _difference(one: Field, other: Field, inside: NDArray[np.bool_]) -> Laid:
    side = len(one)
    spread = max(float(one[inside].std()), 1.0)
    correlation = _correlation(one[inside], other[inside])
    block, give = GRAIN[side]
    edges = np.hypot(*np.gradient(one)) + np.hypot(*np.gradient(other))
    left = np.abs(_shrunk(np.where(inside, one - other, 0.0), side // block))
    beyond = left - give * _shrunk(edges, side // block) / 2
    whole = _shrunk(inside.astype(np.float64), side // block) == 1.0
    return Laid(correlation, max(0.0, float(beyond[whole].max(initial=0.0))) / spread)


def warm(looks: Sequence[Look], limits: Limits) -> None:
    """Compare all that will be compared, for a thread beside the event loop: it is remembered."""
    groups(looks, [b""] * len(looks), limits)


def groups(
    looks: Sequence[Look], faces: Sequence[bytes], limits: Limits
) -> Mapping[int, tuple[int, ...]]:
    """Places of the same shot, by the place that is best: the largest, of those the sharpest."""
    found: list[list[int]] = []
    for place, look in enumerate(looks):
        home = [
            group
            for group in found
            if any(
                is_same_shot(look, looks[member], limits, (faces[place], faces[member]))
                for member in group
            )
        ]
        merged = [member for group in home for member in group] + [place]
        found = [group for group in found if group not in home] + [merged]
    return {
        max(group, key=lambda place: _worth(looks[place], place, limits)): tuple(sorted(group))
        for group in found
        if len(group) > 1
    }


def _worth(look: Look, place: int, limits: Limits) -> tuple[float, float, float, int]:
    """The largest of those that are sharp; where none is, the sharpest."""
    width, height = look.content_size
    return (round(min(look.sharpness, limits.blurry), 1), width * height, look.sharpness, -place)
