"""Pictures of different sizes: each is trained in its own, and a resume is exact."""

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors import safe_open

from tests.drawn import photo
from tests.families import dataset_of, same_tensors
from tests.jobs import PARAMS
from trainer import dataset, loop
from trainer.families import sd15
from trainer.families.family import Model
from trainer.run import RunSpec

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("one_thread")]
SIZES = ((64, 64), (80, 48), (48, 80), (80, 48), (64, 64), (80, 48))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset_of(tmp_path_factory.mktemp("datasets") / "mixed", SIZES)


def spec_of(base: Path, pictures: Path, folder: Path, **changes: Any) -> RunSpec:
    (folder / "run").mkdir(parents=True)
    return RunSpec(
        params=replace(PARAMS, **changes),
        base=base,
        dataset=pictures,
        output=folder / "mochi.safetensors",
        work=folder / "run",
    )


def train(spec: RunSpec, stop_after: int = 10**9) -> None:
    steps = iter(range(1, 10**9))
    loop.train(spec, lambda _: None, lambda: next(steps) >= stop_after)


def model_of(base: Path) -> Model:
    model = Model(path=base, dtype=torch.float32, device=torch.device("cpu"))
    sd15.load_vae(model)
    return model


@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_run_over_mixed_sizes_goes_on_to_the_same_bits(
    base: Path, mixed: Path, tmp_path: Path, batch_size: int
) -> None:
    """Seven steps are more than an epoch of six, or of four, and end within one."""
    whole, parted = (
        spec_of(base, mixed, tmp_path / name, batch_size=batch_size) for name in ("whole", "parted")
    )
    train(whole)
    with pytest.raises(loop.StoppedError):
        train(parted, stop_after=7)
    train(parted)
    assert same_tensors(whole.output, parted.output)


def test_the_same_bytes_in_another_shape_are_another_dataset(base: Path, tmp_path: Path) -> None:
    model = model_of(base)
    digests = []
    for name, size in (("wide", (80, 48)), ("tall", (48, 80))):
        folder = tmp_path / name
        folder.mkdir()
        Image.new("RGB", size, "red").save(folder / "0001.png")
        (folder / "0001.txt").write_text("mochix person")
        digests.append(dataset.encode(dataset.find(folder), sd15, model, PARAMS, folder).digest)
    assert digests[0] != digests[1]


def test_each_picture_is_encoded_in_its_own_size(base: Path, mixed: Path, tmp_path: Path) -> None:
    data = dataset.encode(dataset.find(mixed), sd15, model_of(base), PARAMS, tmp_path)
    assert data.sizes == SIZES
    assert [one.shape for one in data.latents] == [(4, h // 8, w // 8) for w, h in SIZES]


def test_the_network_sees_only_sizes_of_the_dataset_one_at_a_time(
    base: Path, mixed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[torch.Size] = []
    predict = sd15.predict

    def look(model: Model, noisy: torch.Tensor, *rest: Any) -> torch.Tensor:
        seen.append(noisy.shape)
        return predict(model, noisy, *rest)

    monkeypatch.setattr(sd15, "predict", look)
    train(spec_of(base, mixed, tmp_path, batch_size=2, max_steps=4))
    proof = 2  # answers to the first picture, with the finished file and without
    assert sorted(map(tuple, seen[:-proof])) == [
        (1, 4, 6, 10),
        (1, 4, 10, 6),
        (2, 4, 6, 10),
        (2, 4, 8, 8),
    ]


def pixels_of(picture: Image.Image, folder: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(H, W, 3), as the trainer reads it."""
    picture.save(folder / "0001.png")
    found: np.ndarray[Any, np.dtype[np.uint8]]
    one = dataset.Picture(folder / "0001.png", "")
    found = dataset._pixels(one, 8).permute(1, 2, 0).numpy()
    return found


def test_a_picture_in_whole_latents_is_taken_bit_for_bit(tmp_path: Path) -> None:
    picture = Image.open(io.BytesIO(photo(1, (72, 136)))).convert("RGB")
    found = pixels_of(picture, tmp_path)
    assert np.array_equal(found, np.array(picture))


@pytest.mark.parametrize(
    ("size", "whole"),
    [
        ((263, 135), (256, 128)),
        ((135, 263), (128, 256)),
        ((300, 100), (296, 96)),
        ((9, 80), (8, 80)),
    ],
)
def test_another_size_comes_down_to_whole_latents(
    tmp_path: Path, size: tuple[int, int], whole: tuple[int, int]
) -> None:
    found = pixels_of(Image.new("RGB", size), tmp_path)
    assert found.shape == (whole[1], whole[0], 3)


@pytest.mark.parametrize("size", [(263, 135), (135, 263), (403, 97)])
def test_a_circle_stays_a_circle_in_the_middle(tmp_path: Path, size: tuple[int, int]) -> None:
    picture = Image.new("RGB", size)
    x, y, r = size[0] / 2, size[1] / 2, 40
    ImageDraw.Draw(picture).ellipse((x - r, y - r, x + r, y + r), fill="white")
    rows, columns = np.nonzero(pixels_of(picture, tmp_path)[:, :, 0] > 0)
    assert abs(np.ptp(rows) - np.ptp(columns)) <= 1
    height, width = np.array(size[::-1]) // 8 * 8
    assert (rows.mean(), columns.mean()) == pytest.approx((height / 2, width / 2), abs=1)


def test_a_picture_without_a_single_whole_latent_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(dataset.EmptyDatasetError, match=r"0001\.png has only 300 x 7 pixels"):
        pixels_of(Image.new("RGB", (300, 7)), tmp_path)


def facts_of(spec: RunSpec) -> dict[str, str]:
    train(spec)
    with safe_open(spec.output, framework="pt") as file:
        return dict(file.metadata())


def test_metadata_say_which_sizes_were_trained(base: Path, mixed: Path, tmp_path: Path) -> None:
    facts = facts_of(spec_of(base, mixed, tmp_path, batch_size=2, max_steps=9))
    assert facts["ss_enable_bucket"] == "True"
    assert list(json.loads(facts["ss_bucket_info"])["buckets"].values()) == [
        {"resolution": [48, 80], "count": 1},
        {"resolution": [64, 64], "count": 2},
        {"resolution": [80, 48], "count": 3},
    ]
    assert facts["ss_resolution"] == "(64, 64)"
    assert (facts["ss_num_batches_per_epoch"], facts["ss_num_epochs"]) == ("4", "3")


def test_metadata_of_squares_only_know_no_buckets(base: Path, tmp_path: Path) -> None:
    pictures = dataset_of(tmp_path / "squares", ((64, 64),) * 3)
    facts = facts_of(spec_of(base, pictures, tmp_path, max_steps=4))
    assert (facts["ss_enable_bucket"], facts["ss_bucket_info"]) == ("False", "null")
    assert (facts["ss_num_batches_per_epoch"], facts["ss_num_epochs"]) == ("3", "2")
