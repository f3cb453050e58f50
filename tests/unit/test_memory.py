"""What a run takes of a GPU, and what is given up where that is too much."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from trainer import lighter, memory, on_disk
from trainer.memory import NoRoomError
from trainer.params import FAMILIES, OPTIMIZERS, TrainParams
from trainer.presets import PRESETS
from trainer.run import Extra

PARAMS = TrainParams(
    trigger="mochix",
    class_word="person",
    base_model="xl",
    family="sdxl",
    resolution=1024,
    batch_size=4,
    precision="bf16",
)
GB = 10**9


def peak(params: TrainParams, **how: bool) -> int:
    need = memory.estimate(params, **how)
    assert need is not None
    return need.peak


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_was_measured(family: str) -> None:
    params = replace(PARAMS, family=family, resolution=PRESETS[family].resolution, batch_size=1)
    need = memory.estimate(params)
    assert need is not None
    assert 0 < need.weights < need.steps < need.peak
    assert min(need.captions, need.pictures, need.samples, need.pairs, need.activations) > 0


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("targets", ["attention", "all"])
def test_more_of_anything_takes_more_memory(family: str, targets: str) -> None:
    params = replace(PARAMS, family=family, resolution=512, batch_size=1, targets=targets)
    for larger_params in (
        replace(params, resolution=768),
        replace(params, batch_size=2),
        replace(params, rank=64),
    ):
        need, larger = memory.estimate(params), memory.estimate(larger_params)
        assert need is not None
        assert larger is not None
        assert larger.steps > need.steps
    again = memory.estimate(replace(params, gradient_checkpointing=True))
    assert need is not None
    assert again is not None
    assert again.activations < need.activations / 2


def test_a_trained_text_encoder_stays_and_takes_its_part() -> None:
    plain, trained = (
        memory.estimate(replace(PARAMS, family="sd15", resolution=512, text_encoder_lr=rate))
        for rate in (0.0, 1e-5)
    )
    assert plain is not None
    assert trained is not None
    assert trained.weights > plain.weights
    assert trained.pairs > plain.pairs
    assert trained.activations > plain.activations


def test_a_base_that_stays_takes_all_of_its_networks() -> None:
    assert peak(PARAMS, samples=False) < peak(PARAMS, samples=False, stays=True)


def test_an_autoencoder_in_full_precision_takes_twice_as_much() -> None:
    narrow, wide = (
        memory.estimate(replace(PARAMS, precision=one), samples=False) for one in ("bf16", "fp16")
    )
    assert narrow is not None
    assert wide is not None
    assert wide.pictures == pytest.approx(2 * narrow.pictures)
    assert wide.steps == narrow.steps


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_has_its_state_counted(optimizer: str) -> None:
    need, known = memory.estimate(replace(PARAMS, optimizer=optimizer)), memory.estimate(PARAMS)
    assert need is not None
    assert known is not None
    assert (need.pairs > known.pairs) == (optimizer == "prodigy")


def test_what_was_never_measured_is_not_estimated() -> None:
    assert memory.estimate(replace(PARAMS, precision="fp32")) is None


def test_time_is_given_up_before_quality() -> None:
    rungs = list(lighter.ladder(PARAMS, eight_bit=True))
    assert rungs[0] == {"gradient_checkpointing": True}
    assert [one.get("batch_size") for one in rungs[1:3]] == [2, 1]
    assert rungs[3]["optimizer"] == "adamw8bit"
    assert [one["resolution"] for one in rungs[4:]] == [960, 896, 832, 768, 704, 640, 576, 512]


def test_a_step_has_as_many_pictures_as_before() -> None:
    for batch, batches in ((4, 1), (6, 3), (7, 2)):
        params = replace(PARAMS, batch_size=batch, gradient_accumulation=batches)
        for changes in lighter.ladder(params):
            one = lighter.changed(params, changes)
            assert one.batch_size * one.gradient_accumulation == batch * batches


def test_each_rung_is_lighter_than_the_one_before() -> None:
    peaks = [peak(lighter.changed(PARAMS, one)) for one in lighter.ladder(PARAMS, eight_bit=True)]
    assert peaks == sorted(peaks, reverse=True)
    assert peaks[0] < peak(PARAMS)


def test_smaller_resolutions_stay_smaller_than_the_first() -> None:
    params = replace(PARAMS, resolutions=(512, 768))
    assert lighter.changed(params, {"resolution": 768}).resolutions == (512,)


def test_the_first_plan_that_fits_is_taken() -> None:
    whole = [one for one in lighter.ladder(PARAMS) if "resolution" not in one]
    for changes in whole:
        free = peak(lighter.changed(PARAMS, changes))
        assert lighter.first_that_fits(PARAMS, free) == changes


def test_the_resolution_falls_only_when_nothing_else_may_fit() -> None:
    params = replace(PARAMS, batch_size=1, gradient_checkpointing=True)
    rungs = list(lighter.ladder(params))
    free = peak(lighter.changed(params, rungs[0]))
    assert lighter.first_that_fits(params, free, failed=True) in rungs
    params = replace(params, gradient_checkpointing=False)
    whole: dict[str, Extra] = {"gradient_checkpointing": True}
    nearly = round(peak(lighter.changed(params, whole)) * (1 - memory.DOUBT / 2))
    assert lighter.first_that_fits(params, nearly) == whole
    assert "resolution" in (lighter.first_that_fits(params, nearly, failed=True) or {})


def test_what_ran_out_of_memory_is_tried_again_with_clearly_less() -> None:
    failed = peak(PARAMS)
    changes = lighter.first_that_fits(PARAMS, 1000 * GB, failed=True)
    assert changes is not None
    assert peak(lighter.changed(PARAMS, changes)) <= lighter.GAIN * failed


def test_nothing_fits_into_nothing() -> None:
    assert lighter.first_that_fits(PARAMS, GB) is None


def test_without_a_figure_everything_but_quality_is_given_up_at_once() -> None:
    assert lighter.unmeasured(PARAMS) == {
        "gradient_checkpointing": True,
        "batch_size": 1,
        "gradient_accumulation": 4,
    }
    light = replace(PARAMS, batch_size=1, gradient_checkpointing=True)
    assert lighter.unmeasured(light) == {"resolution": 960}
    small = replace(light, family="sd15", resolution=64)
    assert lighter.unmeasured(small) is None


def test_no_room_is_a_lack_of_memory() -> None:
    assert issubclass(NoRoomError, MemoryError)


def test_a_denoiser_is_counted_by_its_headers(tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    tensors = {"a": torch.zeros(3, 5), "b": torch.zeros(7)}
    save_file(tensors, tmp_path / "unet" / "diffusion_pytorch_model.safetensors")
    save_file(tensors, tmp_path / "unet" / "diffusion_pytorch_model.fp16.safetensors")
    assert on_disk.numbers_of(tmp_path) == 22


def test_of_a_whole_model_only_the_denoiser_counts(tmp_path: Path) -> None:
    whole = tmp_path / "whole.safetensors"
    save_file({"model.diffusion_model.a": torch.zeros(4), "vae.b": torch.zeros(9)}, whole)
    alone = tmp_path / "alone.safetensors"
    save_file({"blocks.a": torch.zeros(4), "blocks.b": torch.zeros(9)}, alone)
    assert (on_disk.numbers_of(whole), on_disk.numbers_of(alone)) == (4, 13)


@pytest.mark.parametrize(
    "data", [b"", b"\xff" * 8, b"\x02\0\0\0\0\0\0\0[]", b"\x09\0\0\0\0\0\0\0{"]
)
def test_a_file_that_cannot_be_read_counts_as_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "one.safetensors"
    path.write_bytes(data)
    assert on_disk.numbers_of(path) == 0
    assert on_disk.numbers_of(tmp_path / "none") == 0


def test_only_a_base_of_the_measured_size_is_known() -> None:
    measured = json.loads(memory.TABLE.read_text())["sdxl"]["denoiser"]
    assert memory.is_known("sdxl", measured)
    assert not memory.is_known("sdxl", measured // 2)
    assert not memory.is_known("sdxl", 0)
