"""The same shot again, however it was changed; another shot of the same place is another one."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from pictures import measure, twins
from pictures.box import Box
from pictures.limits import DEFAULT
from pictures.look import THUMB, Look

SIZE = (600, 800)


def scene(seed: int) -> Image.Image:
    """Soft shapes, some detail, a figure."""
    dice = np.random.default_rng(seed)
    planes = []
    for waves, levels in ((5, 60), (18, 25), (70, 8)):
        coarse = dice.normal(0, levels, (waves * 4 // 3, waves)).astype(np.float32)
        planes.append(np.asarray(Image.fromarray(coarse).resize(SIZE, Image.Resampling.BICUBIC)))
    image = Image.fromarray(np.clip(128 + sum(planes), 20, 200).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.ellipse((220, 120, 380, 320), fill=210)
    draw.rectangle((180, 320, 420, 790), fill=60)
    return image


def with_look(image: Image.Image, mouth: int) -> Image.Image:
    changed = image.copy()
    draw = ImageDraw.Draw(changed)
    draw.ellipse((260, 180, 290, 200), fill=40)
    draw.ellipse((310, 180, 340, 200), fill=40)
    draw.ellipse((300 - 8 - mouth, 255, 300 + 8 + mouth, 265 + mouth), fill=30)
    return changed


def look(image: Image.Image, sharpness: float = 20.0, width: int = 600, height: int = 800) -> Look:
    grey = np.asarray(image.convert("L").resize((384, 512), Image.Resampling.BOX))
    squeezed = Image.fromarray(grey).resize((THUMB, THUMB), Image.Resampling.BOX)
    return Look(
        width=width,
        height=height,
        animated=False,
        content=Box(0, 0, 1, 1),
        sharpness=sharpness,
        mean=128.0,
        black=0.0,
        white=0.0,
        hashes=measure.fingerprint(grey),
        thumb=squeezed.tobytes(),
        focus=(0.5, 0.5),
    )


def cropped(image: Image.Image, *shares: float) -> Image.Image:
    width, height = image.size
    left, top, right, bottom = shares
    return image.crop(
        (int(left * width), int(top * height), int((1 - right) * width), int((1 - bottom) * height))
    )


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "smaller": lambda image: image.resize((150, 200)),
    "cropped": lambda image: cropped(image, 0.06, 0.08, 0.02, 0.05),
    "cropped on one side": lambda image: cropped(image, 0.0, 0.0, 0.08, 0.0),
    "mirrored": ImageOps.mirror,
    "mirrored and cropped": lambda image: cropped(ImageOps.mirror(image), 0.05, 0.03, 0.04, 0.06),
    "brighter": lambda image: image.point([min(255, int(v * 1.2 + 8)) for v in range(256)]),
    "darker": lambda image: image.point([int(v * 0.6) for v in range(256)]),
    "gamma": lambda image: image.point([int(255 * (v / 255) ** 0.7) for v in range(256)]),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("seed", range(4))
def test_a_changed_copy_is_the_same_shot(seed: int, change: str) -> None:
    image = scene(seed)
    assert twins.is_same_shot(look(image), look(CHANGES[change](image)), DEFAULT)
    assert twins.is_same_shot(look(CHANGES[change](image)), look(image), DEFAULT)


def test_other_pictures_are_other_shots() -> None:
    looks = [look(scene(seed)) for seed in range(12)]
    assert not any(
        twins.is_same_shot(one, other, DEFAULT)
        for at, one in enumerate(looks)
        for other in looks[:at]
    )


@pytest.mark.parametrize("seed", range(4))
def test_another_pose_in_the_same_place_is_another_shot(seed: int) -> None:
    image = scene(seed)
    moved = image.copy()
    ImageDraw.Draw(moved).line((420, 360, 580, 200), fill=230, width=40)
    assert not twins.is_same_shot(look(image), look(moved), DEFAULT)


@pytest.mark.parametrize("seed", range(4))
def test_another_look_on_the_face_is_another_shot(seed: int) -> None:
    one, other = (look(with_look(scene(seed), mouth)) for mouth in (0, 22))
    assert not twins.is_same_shot(one, other, DEFAULT)


def test_faces_decide_where_they_are_known() -> None:
    """On a small face the picture as a whole says little; the face itself does."""
    image = scene(1)
    faces = [
        with_look(image, mouth)
        .crop((210, 110, 390, 330))
        .resize((64, 64), Image.Resampling.BOX)
        .tobytes()
        for mouth in (0, 12)
    ]
    same = look(image)
    assert twins.is_same_shot(same, same, DEFAULT, (faces[0], faces[0]))
    assert not twins.is_same_shot(same, same, DEFAULT, (faces[0], faces[1]))


def test_the_largest_of_those_that_are_sharp_is_kept() -> None:
    image = scene(3)
    small = look(image, sharpness=30.0, width=300, height=400)
    large = look(image, sharpness=12.0)
    blurred = look(image, sharpness=1.0, width=1200, height=1600)
    found = twins.groups([small, blurred, large], [b""] * 3, DEFAULT)
    assert found == {2: (0, 1, 2)}


def test_groups_are_joined_by_a_third_picture() -> None:
    image = scene(4)
    left, right = cropped(image, 0.08, 0, 0, 0), cropped(image, 0, 0, 0.08, 0)
    found = twins.groups([look(left), look(right), look(image)], [b""] * 3, DEFAULT)
    assert list(found.values()) == [(0, 1, 2)]


def test_flat_pictures_are_compared_by_their_grey() -> None:
    white, black = (look(Image.new("L", SIZE, level)) for level in (250, 5))
    assert twins.is_same_shot(white, white, DEFAULT)
    assert not twins.is_same_shot(white, black, DEFAULT)
