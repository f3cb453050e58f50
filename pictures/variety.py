"""How different the photos of a set are, one sentence of advice, and a grade. Pure.

What a LoRA sees again and again it takes for a part of its subject: the same wall, the same light,
the same distance.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pictures.frame import Shape
from pictures.look import THUMB
from pictures.verdict import PERSON, Shot, Verdict
from trainer.buckets import nearest

CLOSE, HALF = 0.24, 0.09  # height of the face by that of the picture: from here on
TURNED = 0.18  # nose off the middle of the eyes, in distances of the eyes
DARK, LIGHT = 85.0, 170.0  # mean grey
RIM = 16  # pixels of the thumb on each side and above: where backgrounds are
SAME_RIM = 0.85  # correlation of two backgrounds that are one place
ENOUGH = 12  # photos; more help little
GRADES = ((85, "A"), (70, "B"), (50, "C"), (0, "D"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Variety:
    """Counts of the photos in use. ``advice`` is a text key of `advice.*`, empty if all is well;
    ``points`` 0..100.
    """

    close: int = 0
    half: int = 0
    full: int = 0
    turned: int = 0
    lights: int = 0
    places: int = 0
    advice: str = ""
    points: int = 0

    @property
    def grade(self) -> str:
        return next(letter for least, letter in GRADES if self.points >= least)


def variety(shots: Sequence[Shot], verdicts: Sequence[Verdict], kind: str, shape: Shape) -> Variety:
    used = [
        (shot, verdict)
        for shot, verdict in zip(shots, verdicts, strict=True)
        if verdict.used and shot.look is not None
    ]
    if not used:
        return Variety()
    framing = Counter(_framing(shot, verdict) for shot, verdict in used)
    faced = framing["close"] + framing["half"] + framing["full"]
    turned = sum(_is_turned(shot, verdict) for shot, verdict in used)
    lights = len({_light(shot) for shot, _ in used})
    places = _places([shot.look.thumb for shot, _ in used if shot.look])
    sharp = sum(_is_full_size(shot, shape) for shot, _ in used)
    body = kind == PERSON and faced >= len(used) / 2
    return Variety(
        close=framing["close"],
        half=framing["half"],
        full=framing["full"],
        turned=turned,
        lights=lights,
        places=places,
        advice=_advice(framing, len(used), places, lights, turned=turned if body else None),
        points=_points(len(used), sharp, places, lights, _distances(framing) if body else 1.0),
    )


def _framing(shot: Shot, verdict: Verdict) -> str:
    if shot.faces is None or verdict.face is None:
        return "none"
    box = shot.faces.faces[verdict.face].box
    if box.height >= CLOSE:
        return "close"
    return "half" if box.height >= HALF else "full"


def _distances(framing: Counter[str]) -> float:
    """Share of the three distances that the set has."""
    return sum(framing[name] > 0 for name in ("close", "half", "full")) / 3


def _is_turned(shot: Shot, verdict: Verdict) -> bool:
    if shot.faces is None or verdict.face is None:
        return False
    return abs(shot.faces.faces[verdict.face].yaw) >= TURNED


def _light(shot: Shot) -> int:
    mean = shot.look.mean if shot.look else 0.0
    return int(mean >= DARK) + int(mean >= LIGHT)


def _is_full_size(shot: Shot, shape: Shape) -> bool:
    if shot.look is None:
        return False
    width, height = (int(value) for value in shot.look.content_size)
    got = nearest(width, height, shape.resolution, square=shape.square)
    best = nearest(width, height, shape.resolution, square=shape.square, upscale=True)
    return got is not None and got == best


def _places(thumbs: Sequence[bytes]) -> int:
    """How many backgrounds: pictures whose rims are alike were taken in one place."""
    rims = []
    for thumb in thumbs:
        grey = np.frombuffer(thumb, np.uint8).reshape(THUMB, THUMB).astype(np.float32)
        rim = np.concatenate([grey[:, :RIM].T, grey[:, -RIM:].T, grey[:RIM]]).reshape(-1, 4, 32, 4)
        coarse = rim.mean(axis=(1, 3)).flatten()
        rims.append((coarse - coarse.mean()) / max(float(coarse.std()), 1.0))
    alike = np.stack(rims) @ np.stack(rims).T / len(rims[0]) >= SAME_RIM
    seen: set[int] = set()
    count = 0
    for at in range(len(rims)):
        if at not in seen:
            count += 1
            seen |= {int(other) for other in np.flatnonzero(alike[at])}
    return count


def _advice(
    framing: Counter[str], used: int, places: int, lights: int, *, turned: int | None
) -> str:
    """The one thing that would help most."""
    if turned is not None:
        if framing["full"] == 0 and used >= 4:
            return "advice.full"
        if framing["close"] == 0 and used >= 4:
            return "advice.close"
        if turned == 0 and used >= 6:
            return "advice.angle"
    if used >= 4 and places <= max(1, used // 4):
        return "advice.place"
    if used >= 6 and lights == 1:
        return "advice.light"
    return "advice.more" if used < ENOUGH else ""


def _points(used: int, full_size: int, places: int, lights: int, distances: float) -> int:
    """A rule of thumb: number 40, size 25, places 15, distances 15, light 5."""
    number = 40 * min(1.0, used / ENOUGH)
    size = 25 * full_size / used
    background = 15 * min(1.0, 2 * places / used)
    return round(number + size + background + 15 * distances + (5 if lights > 1 else 0))
