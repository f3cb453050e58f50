"""Pictures in several resolutions: the smaller ones are made of the largest, and never enlarged."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from tests import tiny_flux, tiny_qwen
from tests.families import dataset_of, same_tensors, spec_for, train_here
from tests.jobs import PARAMS
from trainer import checkpoint, dataset, loop, samples
from trainer.families import family_of, sd15
from trainer.families.family import Model
from trainer.run import Prompt

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("one_thread")]
# Of resolution 128; the last one was too small for it.
SIZES = ((128, 128), (160, 96), (96, 160), (64, 64))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset_of(tmp_path_factory.mktemp("pictures"), SIZES)


def sizes_in(found: list[dataset.Picture]) -> list[tuple[str, tuple[int, int] | None]]:
    return [(one.path.stem, one.size) for one in found]


def test_each_picture_is_there_in_each_resolution_that_is_smaller_than_it(pictures: Path) -> None:
    found = dataset.in_resolutions(dataset.find(pictures), (64, 96))
    assert sizes_in(found) == [
        *((f"000{number}", None) for number in (1, 2, 3, 4)),
        ("0001", (96, 96)),
        ("0002", (120, 72)),
        ("0003", (72, 120)),
        ("0001", (64, 64)),
        ("0002", (80, 48)),
        ("0003", (48, 80)),
    ]


def test_a_picture_that_is_held_out_stays_last_and_alone(pictures: Path) -> None:
    found = dataset.in_resolutions(dataset.find(pictures, 1), (64,), 1)
    assert sizes_in(found)[-1] == ("0003", None)
    assert [one.path.stem for one in found].count("0003") == 1
    assert len(found) == 6


def test_without_other_resolutions_nothing_is_added(pictures: Path) -> None:
    assert dataset.in_resolutions(dataset.find(pictures), ()) == dataset.find(pictures)


def encoded(base: Path, pictures: Path, work: Path, *resolutions: int) -> dataset.Dataset:
    model = Model(path=base, dtype=torch.float32, device=torch.device("cpu"))
    found = dataset.in_resolutions(dataset.find(pictures), resolutions)
    return dataset.encode(found, sd15, model, PARAMS, work)


def test_latents_have_the_sizes_and_each_photo_is_named_once(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    data = encoded(base, pictures, tmp_path, 64)
    assert data.sizes == (*SIZES, (64, 64), (80, 48), (48, 80))
    assert [one.shape for one in data.latents] == [(4, h // 8, w // 8) for w, h in data.sizes]
    assert [path.stem for path in data.paths] == ["0001", "0002", "0003", "0004"]
    assert data.captions == ("mochix person",) * 7


def test_another_resolution_is_another_dataset(base: Path, pictures: Path, tmp_path: Path) -> None:
    one, other = (encoded(base, pictures, tmp_path, *more) for more in ((), (64,)))
    assert one.digest != other.digest
    for a, b in zip(one.latents, other.latents, strict=False):
        assert torch.equal(a, b)


def test_a_smaller_one_keeps_shapes_and_brightness(tmp_path: Path) -> None:
    """A fine chequered ground becomes its mean and not a pattern; a circle stays a circle."""
    rows, columns = np.indices((240, 320))
    ground = ((rows + columns) % 2 * 255).astype(np.uint8)
    picture = Image.fromarray(ground).convert("RGB")
    ImageDraw.Draw(picture).ellipse((110, 70, 210, 170), fill="red")
    picture.save(tmp_path / "0001.png")
    one = dataset.Picture(tmp_path / "0001.png", "", (80, 60))
    pixels = dataset._pixels(one, 4).permute(1, 2, 0).numpy().astype(int)
    assert np.abs(pixels[:10] - 128).max() <= 2
    found = np.nonzero((pixels[..., 0] > 200) & (pixels[..., 1] < 60))
    assert [np.ptp(axis) + 1 for axis in found] == pytest.approx([25, 25], abs=1)
    assert [axis.mean() for axis in found] == pytest.approx([29.5, 39.5], abs=1)


def test_a_mask_is_cut_as_its_picture_is(base: Path, tmp_path: Path) -> None:
    pictures = dataset_of(tmp_path / "pictures", ((160, 96),))
    mask = Image.new("L", (160, 96))
    mask.paste(255, (80, 0, 160, 96))
    mask.save(pictures / "0001.mask.png")
    data = encoded(base, pictures, tmp_path, 64)
    for one, latents in zip(data.masks, data.latents, strict=True):
        assert one is not None
        assert one.shape == (1, *latents.shape[1:])
        middle = latents.shape[2] // 2
        assert not one[..., :middle].any()
        assert (one[..., middle:] == 1).all()


TINY: dict[str, Callable[[Path], Path]] = {
    "flux": tiny_flux.make_flux,
    "flux2": tiny_flux.make_flux2,
    "zimage": tiny_qwen.make_zimage,
}


@pytest.mark.parametrize("name", TINY)
def test_a_run_in_two_resolutions_goes_on_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    base = TINY[name](tmp_path / "base")
    pictures = dataset_of(tmp_path / "pictures", ((96, 96), (96, 64)))
    family, seen = family_of(name), set()
    predict = family.predict

    def look(model: Model, noisy: torch.Tensor, *rest: Any) -> torch.Tensor:
        seen.add((noisy.shape[-1], noisy.shape[-2]))
        return predict(model, noisy, *rest)

    monkeypatch.setattr(family, "predict", look)
    told: dict[str, Any] = {"resolution": 96, "resolutions": (64,), "max_steps": 5}
    whole, parted = (
        spec_for(name, base, pictures, tmp_path / folder, **told) for folder in ("a", "b")
    )
    train_here(whole)
    traits = family.TRAITS
    sides = ((96, 96), (96, 64), (64, 64), (80, 48))
    in_grain = {tuple(side // traits.grain * traits.grain for side in one) for one in sides}
    assert {tuple(side * traits.vae_scale for side in one) for one in seen} == in_grain
    with pytest.raises(loop.StoppedError):
        train_here(parted, stop_at=2)
    train_here(parted)
    assert same_tensors(whole.output, parted.output)


def test_samples_are_drawn_in_the_largest(base: Path) -> None:
    model = Model(path=base, dtype=torch.float32, device=torch.device("cpu"))
    params = spec_for("sd15", base, base, base, resolution=96, resolutions=(64,)).params
    noise = samples._noise(Prompt(text="mochix"), sd15, model, params)
    assert noise.shape == (1, 4, 12, 12)


def test_a_run_in_one_resolution_has_the_name_that_it_always_had() -> None:
    """Or a checkpoint of an earlier version would be taken for another run's."""
    params = replace(PARAMS, pick="last")
    assert checkpoint.digest_of(params, "d").startswith(OLD)
    other = replace(params, resolutions=(32,))
    assert not checkpoint.digest_of(other, "d").startswith(OLD)


OLD = "68d7830ad1982577"  # of the first version
