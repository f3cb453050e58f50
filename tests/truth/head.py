"""The head. Places are in half widths and half heights of the face, from its centre."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

from tests.truth.canvas import Colour, Picture, Points, fill, line, mix, oval, shade
from tests.truth.people import FRINGE, Identity, Person, Pose

EYE_X, EYE_Y = 0.43, -0.16
EYE_WIDE, EYE_TALL = 0.2, 0.12
NOSE_Y = 0.18
MOUTH_Y, MOUTH_X = 0.52, 0.36
TURN, NOSE_TURN = 0.3, 0.6  # half widths by which a whole yaw moves eyes and nose
WHITE, DARK = (246, 246, 244), (26, 22, 24)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the face is: centre and half sizes in pixels, roll in radians, yaw as in the pose."""

    x: float
    y: float
    half_wide: float
    half_tall: float
    roll: float
    yaw: float

    @classmethod
    def of(cls, person: Person, width: int, height: int) -> "Frame":
        pose = person.pose
        tall = pose.head * height / 2
        wide = tall * person.identity.ratio
        return cls(pose.x * width, pose.y * height, wide, tall, math.radians(pose.roll), pose.yaw)

    def at(self, places: ArrayLike) -> Points:
        """Pixels of places on the head."""
        across, down = np.moveaxis(np.asarray(places, np.float64), -1, 0)
        across, down = across * self.half_wide, down * self.half_tall
        cos, sin = math.cos(self.roll), math.sin(self.roll)
        return np.stack(
            [self.x + across * cos - down * sin, self.y + across * sin + down * cos], axis=-1
        )

    def turned(self, places: ArrayLike, by: float = TURN) -> Points:
        """Pixels of places that go along when the head turns."""
        return self.at(np.asarray(places, np.float64) + np.array([by * self.yaw, 0.0]))


def outline() -> Points:
    """Of the face: an oval, narrower towards the chin."""
    points = oval(72)
    across, down = points[:, 0], points[:, 1]
    narrow = np.where(down > 0, 1 - 0.16 * down**2, 1.0)
    return np.stack([across * narrow, down], axis=1)


def face_box(frame: Frame) -> tuple[float, float, float, float]:
    points = frame.at(outline())
    left, top = points.min(axis=0)
    right, bottom = points.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def landmarks(frame: Frame) -> Points:
    eyes_and_mouth = [(-EYE_X, EYE_Y), (EYE_X, EYE_Y), (-MOUTH_X, MOUTH_Y), (MOUTH_X, MOUTH_Y)]
    places = frame.turned(eyes_and_mouth)
    nose = frame.turned([(0.0, NOSE_Y)], NOSE_TURN)
    return np.concatenate([places[:2], nose, places[2:]])


def draw_back_hair(picture: Picture, identity: Identity, frame: Frame) -> None:
    """Behind the body: the crown, and what falls on the shoulders."""
    dark = shade(identity.hair, 0.82)
    crown = oval() * (1.2, 1.2) + (0, -0.18)
    fill(picture, frame.at(crown), dark)
    low = identity.hair_length
    if low > 0.5:
        fall = [(-1.2, -0.2), (1.2, -0.2), (1.28, low), (0.7, low + 0.1), (-0.7, low + 0.1)]
        fill(picture, frame.at([*fall, (-1.28, low)]), dark)


def draw_head(picture: Picture, person: Person, frame: Frame) -> None:
    identity, pose = person.identity, person.pose
    _ears(picture, identity, frame)
    fill(picture, frame.at(outline()), identity.skin)
    _cheeks(picture, identity, frame)
    _beard(picture, identity, frame)
    _nose(picture, identity, frame)
    for side in (-1, 1):
        _eye(picture, identity, pose, frame, side)
        _brow(picture, identity, pose, frame, side)
    _mouth(picture, identity, pose, frame)
    _hair(picture, identity, frame)
    if identity.frame is not None:
        _glasses(picture, identity.frame, frame)


def _ears(picture: Picture, identity: Identity, frame: Frame) -> None:
    for side in (-1, 1):
        ear = oval(24) * (0.13, 0.2) + (side * 1.0 - 0.12 * frame.yaw, 0.0)
        fill(picture, frame.at(ear), shade(identity.skin, 0.88))
        if identity.earrings is not None:
            ring = oval(20) * (0.06, 0.06) + (side * 1.03, 0.26)
            fill(picture, frame.at(ring), identity.earrings)


def _cheeks(picture: Picture, identity: Identity, frame: Frame) -> None:
    """Blush, in rings that fade."""
    if identity.blush_share <= 0:
        return
    for side in (-1, 1):
        for ring, share in ((1.0, 0.35), (0.75, 0.7), (0.5, 1.0)):
            colour = mix(identity.skin, identity.blush, share * identity.blush_share)
            place = oval(28) * (0.17 * ring, 0.11 * ring) + (side * 0.63, 0.38)
            fill(picture, frame.turned(place, TURN / 2), colour)


def _beard(picture: Picture, identity: Identity, frame: Frame) -> None:
    hair = shade(identity.hair, 0.9)
    if identity.goatee > 0:
        beard = oval() * (identity.goatee, 0.13) + (0, 0.87)
        fill(picture, frame.turned(beard, TURN * 0.7), hair)


def _nose(picture: Picture, identity: Identity, frame: Frame) -> None:
    tone = mix(shade(identity.skin, 0.74), (150, 40, 30), 0.14)
    bridge = [(-0.03, -0.1), (0.03, -0.1), (0.13, 0.2), (-0.13, 0.2)]
    fill(picture, frame.turned(bridge, 0.45), shade(identity.skin, 0.94))
    fill(picture, frame.turned(oval(28) * (0.14, 0.08) + (0, NOSE_Y + 0.01), NOSE_TURN), tone)


def _eye(picture: Picture, identity: Identity, pose: Pose, frame: Frame, side: int) -> None:
    centre = (side * EYE_X, EYE_Y)
    lash = max(1.0, 0.05 * frame.half_tall)
    arc = np.linspace(math.pi, 2 * math.pi, 13)
    lid = np.stack([np.cos(arc) * EYE_WIDE, np.sin(arc) * EYE_TALL], axis=1)
    if pose.eyes_open < 0.2:
        closed = lid * (1, -0.6) + centre - (0.0, 0.05)
        line(picture, frame.turned(closed), lash * 1.4, DARK)
        return
    tall = EYE_TALL * pose.eyes_open
    fill(picture, frame.turned(oval() * (EYE_WIDE, tall) + centre), WHITE)
    gaze = (0.06 * pose.gaze, 0.0)
    iris = oval(28) * (0.115, tall * 0.92) + centre + gaze
    fill(picture, frame.turned(iris), identity.iris)
    fill(picture, frame.turned(oval(20) * (0.055, tall * 0.45) + centre + gaze), DARK)
    spark = oval(12) * (0.025, tall * 0.18) + centre + gaze + (0.035, -tall * 0.3)
    fill(picture, frame.turned(spark), WHITE)
    line(picture, frame.turned(lid * (1, pose.eyes_open) + centre), lash, DARK)


def _brow(picture: Picture, identity: Identity, pose: Pose, frame: Frame, side: int) -> None:
    y = EYE_Y - 0.25 + pose.brows
    path = [(side * 0.24, y + 0.02), (side * 0.44, y - 0.03), (side * 0.64, y + 0.03)]
    width = max(1.0, identity.brow * frame.half_tall)
    line(picture, frame.turned(path), width, shade(identity.hair, identity.brow_shade))


def _mouth(picture: Picture, identity: Identity, pose: Pose, frame: Frame) -> None:
    """Each mouth has its centre at the same place, as near as its shape lets it."""
    across = np.linspace(-1, 1, 15)
    bend = 1 - across**2
    wide, top, bottom = {
        "neutral": (0.3, 0.0, 0.05),
        "smile": (0.38, 0.06, 0.14),
        "grin": (0.4, 0.05, 0.2),
        "open": (0.24, -0.1, 0.14),
        "sad": (0.3, -0.1, -0.02),
    }[pose.mouth]
    shift = MOUTH_Y - (top + bottom) / 2 * 0.67
    upper = np.stack([across * wide, shift + bend * (top - 0.035)], axis=1)
    lower = np.stack([across[::-1] * wide, shift + bend * (bottom + 0.035)], axis=1)
    fill(picture, frame.turned(np.concatenate([upper, lower])), identity.lips)
    if pose.mouth in ("grin", "open"):
        rim = np.array([0.0, 0.032])
        inside = np.concatenate([upper + rim, lower - rim]) * (0.9, 1)
        fill(picture, frame.turned(inside), WHITE if pose.mouth == "grin" else (90, 24, 30))
    else:
        middle = np.stack([across * wide, shift + bend * (top + bottom) / 2], axis=1)
        line(picture, frame.turned(middle), 0.018 * frame.half_tall, shade(identity.lips, 0.55))


def _hair(picture: Picture, identity: Identity, frame: Frame) -> None:
    """In front of the forehead, with strands."""
    columns = np.linspace(-1.0, 1.0, FRINGE)
    columns = columns + TURN * frame.yaw * (1 - columns**2)  # the forehead turns, its rims stay
    edge = list(zip(columns, identity.fringe, strict=True))
    angle = np.linspace(0, math.pi, 25)
    crown = np.stack([np.cos(angle) * 1.16, -0.3 - np.sin(angle) * 1.02], axis=1)
    side = 0.25
    cap = [(-1.14, side), (-0.98, -0.3), *edge, (0.98, -0.3), (1.14, side), *crown]
    fill(picture, frame.at(cap), identity.hair)
    if identity.locks > 0:
        for sign in (-1, 1):
            inner, low = sign * (1.02 - identity.locks), 0.25 + identity.hair_length * 0.2
            lock = [(sign * 1.2, -0.6), (inner, -0.5), (inner + sign * 0.03, low)]
            fill(picture, frame.at([*lock, (sign * 1.16, low + 0.1)]), identity.hair)
    strand = shade(identity.hair, 1.25 if sum(identity.hair) < 330 else 0.82)
    for number in range(7):
        start = -0.75 + 0.25 * number
        path = [(start * 0.5, -1.25), (start * 0.9, -1.12), (start, -1.0)]
        line(picture, frame.at(path), max(1.0, 0.012 * frame.half_tall), strand)


def _glasses(picture: Picture, colour: Colour, frame: Frame) -> None:
    width = max(1, round(0.016 * frame.half_tall))
    for side in (-1, 1):
        ring = frame.turned(oval() * (0.26, 0.18) + (side * EYE_X, EYE_Y + 0.01))
        fixed = np.round(ring * 16).astype(np.int32)
        cv2.polylines(picture, [fixed], True, colour, width, cv2.LINE_AA, 4)
    line(picture, frame.turned([(-0.17, EYE_Y), (0.17, EYE_Y)]), width, colour)
