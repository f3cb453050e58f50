"""The average face, and how it changes when a frame is laid on it a little off.

A patch is a map of how strange each place is to the colour of the cheeks. What it differs by from
the average says, weighted by how much people differ there, how the frame must move: the inverse
form of Lucas and Kanade (Baker and Matthews, IJCV 2004).
"""

import random
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tests.truth import people
from tests.truth.canvas import Picture
from tests.truth.figures import add_people
from tests.truth.head import Frame

Floats = NDArray[np.float64]

SIDE_U, SIDE_V = 33, 41
PATCH_U, PATCH_V = np.linspace(-1.2, 1.2, SIDE_U), np.linspace(-1.2, 1.2, SIDE_V)
ACROSS, DOWN = (axis.reshape(-1) for axis in np.meshgrid(PATCH_U, PATCH_V))
DARKEST = 16.0  # grey levels added before the logarithm: noise in the dark is no colour
STRANGE = 0.6  # sum of three logarithms from which on a colour is wholly another
SKIN = ((0.42, 0.19, 0.18, 0.1), (0.2, 0.36, 0.1, 0.05))  # where nobody has anything else
RATIO = 1.27  # height of a face by its width
MODELS = 48  # people that sat for the average
YAW = 0.6  # most that they turn their heads
STIFF = 0.05  # of the solution; more moves less
LEAST_VARIANCE = 0.02
PARAMETERS = 5  # across, down, log size, log of width by height, roll


def ovals(*places: tuple[float, float, float, float]) -> Floats:
    """Weights that take the mean over ovals (u, v, half width, half height) and their mirror
    images, [V * U, 1].
    """
    hit = np.zeros(ACROSS.shape, bool)
    for u, v, wide, tall in places:
        for side in (-1, 1):
            hit |= ((ACROSS - side * u) / wide) ** 2 + ((DOWN - v) / tall) ** 2 < 1
    return np.asarray(hit.reshape(-1, 1) / hit.sum())


@cache
def average() -> tuple[Floats, Floats]:
    """Mean and variance over people and turns of the head of the map, each [V * U]."""
    maps = np.stack([_sitting(number) for number in range(MODELS)])
    maps = np.concatenate([maps, [_mirrored(one) for one in maps]])
    return maps.mean(axis=0), maps.var(axis=0)


def _mirrored(plane: Floats) -> Floats:
    return plane.reshape(SIDE_V, SIDE_U)[:, ::-1].reshape(-1)


@cache
def steps(smooth: int, stretch: float) -> Floats:
    """What maps times this, [V * U, PARAMETERS], give is the move of the frame, after the average
    was taken away. Maps and average smoothed with windows of ``smooth`` samples; ``stretch`` is how
    little the shape of the frame gives way.
    """
    mean, variance = (smoothed(one, smooth) for one in average())
    slopes = np.gradient(mean.reshape(SIDE_V, SIDE_U), PATCH_V, PATCH_U)
    by_v, by_u = (slope.reshape(-1) for slope in slopes)
    changes = np.stack(
        [
            -by_u,
            -by_v,
            -ACROSS * by_u - DOWN * by_v,
            DOWN * by_v - ACROSS * by_u,
            DOWN * RATIO * by_u - ACROSS / RATIO * by_v,
        ],
        axis=1,
    )
    # Hair and what is beside the face say little about where it is.
    beard = (np.abs(ACROSS) < 0.45) & (np.abs(DOWN - 0.86) < 0.16)
    inner = (np.abs(ACROSS) < 0.78) & (DOWN > -0.52) & ~beard
    weighted = changes * (inner / (variance + LEAST_VARIANCE))[:, None]
    normal = changes.T @ weighted
    normal += np.diag(np.diag(normal) * (STIFF, STIFF, STIFF, stretch, STIFF))
    return np.asarray(np.linalg.solve(normal, weighted.T).T)


def smoothed(plane: Floats, side: int) -> Floats:
    """Mean of windows, the edge going on outside."""
    if side == 1:
        return plane
    half = side // 2
    shaped = np.pad(plane.reshape(SIDE_V, SIDE_U), half, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(shaped, (side, side))
    return np.asarray(windows.mean(axis=(2, 3)).reshape(-1))


def strange(colours: Floats) -> Floats:
    """Of colours [V * U, 3]."""
    logarithms = np.log(colours + DARKEST)
    skin = (logarithms * ovals(*SKIN)).sum(axis=0)
    return np.asarray(np.minimum(np.abs(logarithms - skin).sum(axis=1) / STRANGE, 1.0))


def _sitting(number: int) -> Floats:
    """The map of one person, the frame on eyes and mouth, wherever the head turns."""
    dice = random.Random(f"average {number}")
    who = people.identity(dice.randrange(10**9))
    tall, wide = 160, 128
    before = people.Pose(x=0.5, y=0.5, head=0.75, yaw=dice.uniform(-YAW, YAW))
    pose = people.expression(dice, before)
    picture: Picture = np.full((tall, wide, 3), [dice.randrange(256) for _ in "rgb"], np.uint8)
    person = people.Person(identity=who, pose=pose, outfit=people.outfit(dice))
    add_people(picture, [person])
    frame = Frame.of(person, wide, tall)
    places = frame.turned(np.stack([ACROSS, DOWN], axis=1)).round().astype(int)
    seen = picture[places[:, 1].clip(0, tall - 1), places[:, 0].clip(0, wide - 1)]
    return strange(seen.astype(np.float64))
