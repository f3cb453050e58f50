"""What is measured on a picture, and the files that are written of it."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter, ImageOps

from pictures import faces, lanczos, limits, look, measure, png, seen
from pictures.box import Box
from pictures.faces import Face, Faces
from pictures.look import THUMB, Look


def detailed(seed: int = 0) -> Image.Image:
    dice = np.random.default_rng(seed)
    coarse = Image.fromarray(dice.integers(0, 255, (96, 128), dtype=np.uint8))
    return coarse.resize((1024, 768), Image.Resampling.NEAREST)


def grey(image: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(image.convert("L"))


def test_sharpness_falls_with_blur() -> None:
    measured = [
        measure.sharpness(grey(detailed().filter(ImageFilter.GaussianBlur(radius))))
        for radius in (0, 1, 2, 4, 8)
    ]
    assert measured == sorted(measured, reverse=True)
    assert measured[0] > 20 * measured[-1]


def test_noise_does_not_pass_for_sharpness() -> None:
    soft = grey(detailed().filter(ImageFilter.GaussianBlur(9))).astype(np.float64)
    noisy = soft + np.random.default_rng(0).normal(0, 6, soft.shape)
    assert measure.sharpness(noisy.clip(0, 255).astype(np.uint8)) < limits.DEFAULT.blurry


def test_a_sharp_subject_before_a_soft_background_is_sharp() -> None:
    image = detailed().filter(ImageFilter.GaussianBlur(9))
    image.paste(detailed().crop((400, 200, 700, 600)), (400, 200))
    assert measure.sharpness(grey(image)) > limits.DEFAULT.blurry


def test_a_faces_sharpness_does_not_depend_on_its_contrast() -> None:
    face = detailed().crop((0, 0, 160, 160))
    pale = face.point([100 + value // 4 for value in range(256)])
    full, less = (measure.contrast_sharpness(grey(one)) for one in (face, pale))
    assert less == pytest.approx(full, rel=0.1)


def test_light_is_told_in_grey_and_shares() -> None:
    half = np.zeros((100, 100), np.uint8)
    half[:50] = 255
    assert measure.light(half) == (127.5, 0.5, 0.5)


@pytest.mark.parametrize("seed", range(5))
def test_the_second_fingerprint_is_that_of_the_mirrored_picture(seed: int) -> None:
    image = detailed(seed)
    own, mirrored = (
        measure.fingerprint(grey(image)),
        measure.fingerprint(grey(ImageOps.mirror(image))),
    )
    assert (own[1] ^ mirrored[0]).bit_count() <= 2
    assert (own[0] ^ mirrored[1]).bit_count() <= 2


def test_the_eye_goes_to_what_is_unlike_the_rest() -> None:
    image = Image.new("L", (800, 600), 90)
    image.paste(detailed().crop((0, 0, 120, 120)), (600, 400))
    across, down = measure.focus(grey(image))
    assert 0.55 < across < 0.9
    assert 0.5 < down < 0.85


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**31))
@settings(max_examples=40)
def test_a_png_reads_back_as_it_was(width: int, height: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    data = png.encode(Image.fromarray(pixels))
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        assert image.info == {}
        assert np.array_equal(np.asarray(image), pixels)


def test_only_rgb_becomes_a_png() -> None:
    with pytest.raises(ValueError, match="not RGB"):
        png.encode(Image.new("L", (4, 4)))


def test_both_ways_of_resizing_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    image = detailed().convert("RGB").filter(ImageFilter.GaussianBlur(1))
    area = (12.0, 20.0, 1000.0, 740.0)
    fast = np.asarray(lanczos.resized(image, area, (640, 448)), np.float64)
    monkeypatch.setattr(lanczos, "pyvips", None)
    slow = np.asarray(lanczos.resized(image, area, (640, 448)), np.float64)
    assert np.abs(fast - slow).mean() < 2


def test_enlarging_is_pillows_work() -> None:
    small = detailed().convert("RGB").resize((64, 48))
    assert lanczos.resized(small, (0, 0, 64, 48), (256, 192)).size == (256, 192)


# --- how it travels ------------------------------------------------------------------------------


LOOK = Look(
    width=300,
    height=200,
    animated=True,
    content=Box(0.1, 0.0, 0.9, 1.0),
    sharpness=12.345,
    mean=99.5,
    black=0.25,
    white=0.0,
    hashes=(2**63 + 5, 7),
    thumb=bytes(range(256)) * (THUMB * THUMB // 256),
    focus=(0.25, 0.75),
)
FACES = Faces(
    pack="abc",
    faces=(
        Face(
            box=Box(0.1, 0.2, 0.3, 0.4),
            score=0.75,
            sharpness=30.5,
            yaw=-0.25,
            embedding=bytes(1024),
            thumb=bytes(64 * 64),
        ),
    ),
)


def test_a_look_and_faces_come_back_as_they_went() -> None:
    assert look.from_json(look.to_json(LOOK)) == LOOK
    assert faces.from_json(faces.to_json(FACES)) == FACES
    both = seen.Seen(look=LOOK, faces=FACES)
    assert seen.from_json(seen.to_json(both)) == both


@pytest.mark.parametrize("raw", [None, {}, [], 3, "x", {"v": 1}, {"v": -1, "size": [1, 2]}])
def test_what_makes_no_sense_is_not_known(raw: object) -> None:
    assert look.from_json(raw) is None
    assert faces.from_json(raw) is None
    assert seen.from_texts("no json", "{", "[]").look is None


# --- the operator's thresholds -------------------------------------------------------------------


def test_a_file_sets_thresholds(tmp_path: Path) -> None:
    assert limits.load(tmp_path) == limits.DEFAULT
    (tmp_path / "prepare.toml").write_text("blurred = 3\nsmallest = 200\n")
    assert limits.load(tmp_path).blurred == 3.0
    assert limits.load(tmp_path).smallest == 200


@pytest.mark.parametrize(
    "line", ["blury = 3", "smallest = 1.5", "blurred = -1", "blurred = nan", 'dark = "x"', "a ="]
)
def test_a_wrong_threshold_is_told(tmp_path: Path, line: str) -> None:
    (tmp_path / "prepare.toml").write_text(line)
    with pytest.raises(limits.LimitsFileError, match=r"prepare\.toml"):
        limits.load(tmp_path)
