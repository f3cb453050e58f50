"""Who people are and how they stand. Values; drawn by `tests.truth.figures`."""

import math
import random
from dataclasses import dataclass

from tests.truth.canvas import Colour, mix

SKINS = ((244, 212, 188), (232, 190, 156), (206, 156, 116), (164, 114, 78), (112, 76, 54))
HAIRS = (
    (28, 24, 24),
    (74, 46, 30),
    (120, 78, 44),
    (222, 184, 104),
    (170, 66, 34),
    (150, 150, 156),
    (238, 232, 222),
    (58, 92, 190),
    (232, 104, 170),
    (60, 150, 92),
    (128, 70, 176),
    (196, 32, 48),
)
EYES = ((70, 44, 28), (60, 110, 170), (66, 128, 74), (110, 110, 116), (150, 104, 40))
LIPS = ((176, 58, 66), (196, 84, 92), (150, 44, 70), (206, 60, 60))
BRIGHT_LIPS = ((226, 84, 104), (236, 110, 120), (210, 64, 74))
FRAMES = ((24, 24, 28), (170, 40, 44), (40, 70, 160), (226, 226, 230))
MOUTHS = ("neutral", "smile", "grin", "open", "sad")
ARMS = ("down", "hips", "wave", "up", "folded")
FRAMINGS = ("close", "half", "full")
UNLIKE = 1.0  # contrast of the hair of two people who are surely told apart
FRINGE = 6  # heights of hair across the forehead


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What stays the same on all photos of a person. Lengths in half widths and half heights of
    the face; ``fringe`` is how far the hair comes down, from its left to its right.
    """

    number: int
    skin: Colour
    hair: Colour
    hair_length: float
    fringe: tuple[float, ...]
    locks: float
    iris: Colour
    ratio: float
    brow: float
    brow_shade: float
    lips: Colour
    blush: Colour
    blush_share: float
    goatee: float
    frame: Colour | None
    earrings: Colour | None


def identity(number: int) -> Identity:
    dice = random.Random(f"identity {number}")
    tone = dice.uniform(0, len(SKINS) - 1.001)
    skin = mix(SKINS[int(tone)], SKINS[int(tone) + 1], tone % 1)
    return Identity(
        number=number,
        skin=skin,
        hair=_unlike(skin, dice),
        hair_length=dice.choice([0.2, 0.9, 1.7, 2.4]),
        fringe=_fringe(dice),
        locks=dice.choice([0.0, 0.0, 0.1, 0.2]),
        iris=dice.choice(EYES),
        ratio=dice.uniform(0.74, 0.84),
        brow=dice.choice([0.03, 0.06, 0.1]),
        brow_shade=dice.uniform(0.4, 0.9),
        lips=dice.choice(LIPS if tone < 2.6 else BRIGHT_LIPS),
        blush=mix(skin, dice.choice([(236, 84, 84), (226, 120, 60), (210, 80, 120)]), 0.45),
        blush_share=dice.choice([0.0, 0.0, 0.7, 1.0]),
        goatee=dice.uniform(0.2, 0.36) if dice.random() < 0.25 else 0.0,
        frame=dice.choice(FRAMES) if dice.random() < 0.22 else None,
        earrings=dice.choice([(236, 200, 80), (220, 226, 236), None, None]),
    )


def cast(seed: int, count: int) -> list[Identity]:
    """So many people whom nobody takes for the first one, nor for another if there are few."""
    dice = random.Random(f"cast {seed}")
    found = [identity(dice.randrange(10**9))]
    least = UNLIKE
    while len(found) < count:
        who = identity(dice.randrange(10**9))
        apart = [contrast(who.hair, other.hair) for other in found]
        if apart[0] > UNLIKE and min(apart) > least:
            found.append(who)
        else:
            least *= 0.995  # a crowd has to stand closer
    return found


def _unlike(skin: Colour, dice: random.Random) -> Colour:
    """A colour of hair that is not that of the skin."""
    while True:
        hair = mix(dice.choice(HAIRS), dice.choice(HAIRS), dice.uniform(0, 0.4))
        if contrast(hair, skin) > 0.8:
            return hair


def contrast(one: Colour, other: Colour) -> float:
    """Sum of the ratios of three lights, as logarithms."""
    pairs = zip(one, other, strict=True)
    return sum(abs(math.log((a + 16) / (b + 16))) for a, b in pairs)


def _fringe(dice: random.Random) -> tuple[float, ...]:
    """Lower edges of the hair, -1 the top of the face: an arc, a side parting, or a cut."""
    high, low = dice.uniform(-0.95, -0.78), dice.uniform(-0.68, -0.55)
    kind = dice.randrange(5)
    share = [number / (FRINGE - 1) for number in range(FRINGE)]
    match kind:
        case 0:
            return tuple(low for _ in share)
        case 1:
            return tuple(low + (high - low) * s for s in share)
        case 2:
            return tuple(high + (low - high) * s for s in share)
        case 3:
            return tuple(high for _ in share)
        case _:
            return tuple(low + (high - low) * (1 - abs(2 * s - 1)) for s in share)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    """``x``, ``y``: centre of the face in shares of the picture; ``head``: height of the face by
    that of the picture; ``yaw`` -1..1 turns the head to the right of the picture.
    """

    x: float = 0.5
    y: float = 0.45
    head: float = 0.4
    roll: float = 0.0
    yaw: float = 0.0
    mouth: str = "neutral"
    eyes_open: float = 1.0
    brows: float = 0.0
    gaze: float = 0.0
    arms: str = "down"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outfit:
    shirt: Colour
    trousers: Colour
    pattern: str = "plain"
    second: Colour = (240, 240, 240)
    neckline: float = 0.2
    sleeves: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    identity: Identity
    pose: Pose
    outfit: Outfit


def outfit(dice: random.Random) -> Outfit:
    def colour() -> Colour:
        return dice.randrange(20, 245), dice.randrange(20, 245), dice.randrange(20, 245)

    return Outfit(
        shirt=colour(),
        trousers=mix(colour(), (50, 56, 80), 0.6),
        pattern=dice.choice(["plain", "plain", "stripes", "dots", "check"]),
        second=colour(),
        neckline=dice.choice([0.05, 0.2, 0.5]),
        sleeves=dice.random() < 0.6,
    )


def pose(dice: random.Random, framing: str = "close", *, turn: float = 1.0) -> Pose:
    """``turn`` scales how far the head may turn and lean."""
    match framing:
        case "full":
            head, y = dice.uniform(0.1, 0.125), dice.uniform(0.15, 0.2)
        case "half":
            head, y = dice.uniform(0.19, 0.28), dice.uniform(0.3, 0.38)
        case _:
            head, y = dice.uniform(0.34, 0.56), dice.uniform(0.42, 0.5)
    return expression(
        dice,
        Pose(
            x=0.5 + dice.uniform(-0.08, 0.08),
            y=y,
            head=head,
            roll=dice.uniform(-14, 14) * turn,
            yaw=dice.uniform(-0.55, 0.55) * turn,
            arms=dice.choice(ARMS),
        ),
    )


def expression(dice: random.Random, before: Pose) -> Pose:
    """Another look on the same face."""
    return Pose(
        x=before.x,
        y=before.y,
        head=before.head,
        roll=before.roll,
        yaw=before.yaw,
        arms=before.arms,
        mouth=dice.choice(MOUTHS),
        eyes_open=dice.choice([1.0, 1.0, 1.0, 0.7, 0.0]),
        brows=dice.uniform(-0.04, 0.03),
        gaze=dice.uniform(-1, 1),
    )
