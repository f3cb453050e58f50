"""Half precision and eight-bit states take less memory, and train and go on as all others do."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from safetensors.torch import load_file

from tests.families import dataset_of, finite, same_tensors, spec_for, train_here
from trainer import dataset, loop

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("one_thread")]


def trains_and_goes_on(base: Path, pictures: Path, folder: Path, **changes: Any) -> None:
    whole, cut = (
        spec_for("sd15", base, pictures, folder / name, max_steps=4, **changes)
        for name in ("whole", "cut")
    )
    assert train_here(whole).steps == 4
    assert finite(load_file(whole.output))
    with pytest.raises(loop.StoppedError):
        train_here(cut, stop_at=2)
    train_here(cut)
    assert same_tensors(whole.output, cut.output)


def test_half_precision_trains_and_goes_on_with_its_scale(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    trains_and_goes_on(base, pictures, tmp_path, precision="fp16")


def test_states_of_eight_bits_train_and_go_on(base: Path, pictures: Path, tmp_path: Path) -> None:
    """At rank 64 a part of the weights is large enough for eight bits, and a part is not."""
    pytest.importorskip("bitsandbytes", reason="the extra adamw8bit is not installed")
    trains_and_goes_on(base, pictures, tmp_path, optimizer="adamw8bit", rank=64)


def test_a_lower_resolution_makes_larger_pictures_smaller(tmp_path: Path) -> None:
    pictures = dataset.find(dataset_of(tmp_path, ((128, 128), (64, 64), (160, 96))))
    assert [one.size for one in dataset.within(pictures, 160)] == [None] * 3
    large, small, wide = (one.size for one in dataset.within(pictures, 64))
    assert (large, small) == ((64, 64), None)
    assert wide is not None
    assert wide[0] > wide[1]
    assert wide[0] * wide[1] <= 64**2


def test_a_picture_in_a_lower_resolution_is_encoded_so(tmp_path: Path) -> None:
    folder = dataset_of(tmp_path, ((128, 128),))
    (picture,) = dataset.within(dataset.find(folder), 64)
    assert dataset._pixels(picture, 8).shape == (3, 64, 64)
    with Image.open(picture.path) as opened:
        assert opened.size == (128, 128)
