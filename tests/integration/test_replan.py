"""A run that did not work as planned: once more in another way, and never a third time."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.families import spec_for
from trainer import checkpoint, job, loop, memory, replan
from trainer.meter import DivergedError
from trainer.params import TrainParams
from trainer.run import EXIT_FAILED, Failed, Failure, Finished, Message, Replanned, RunSpec


@pytest.fixture
def spec(tmp_path: Path) -> RunSpec:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "model_index.json").write_text("{}")
    return spec_for("sd15", tmp_path / "base", tmp_path, tmp_path / "one", batch_size=4)


def trying(*ends: BaseException | Finished) -> tuple[Callable[..., Finished], list[RunSpec]]:
    """A loop that ends so, one after the other; and what it was asked for."""
    asked: list[RunSpec] = []
    left = iter(ends)

    def train(spec: RunSpec, *_: Any) -> Finished:
        asked.append(spec)
        end = next(left)
        if isinstance(end, BaseException):
            raise end
        return end

    return train, asked


def run(
    spec: RunSpec, monkeypatch: pytest.MonkeyPatch, *ends: BaseException | Finished
) -> tuple[int, list[Message], list[RunSpec]]:
    train, asked = trying(*ends)
    monkeypatch.setattr(loop, "train", train)
    said: list[Message] = []
    return job.run(spec, said.append, lambda: False), said, asked


DONE = Finished(steps=6, loss=0.1)


def test_out_of_memory_is_tried_again_with_less(
    spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said, asked = run(spec, monkeypatch, torch.OutOfMemoryError("full"), DONE)
    assert (code, said[-1]) == (0, DONE)
    (replanned,) = [one for one in said if isinstance(one, Replanned)]
    assert replanned.cause is Failure.MEMORY
    lighter = asked[1].params
    assert lighter.gradient_checkpointing
    assert (lighter.batch_size, lighter.gradient_accumulation) == (1, 4)
    assert lighter.max_steps == spec.params.max_steps


def test_what_fails_twice_has_failed(spec: RunSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    full = torch.OutOfMemoryError
    code, said, asked = run(spec, monkeypatch, full("full"), full("still full"))
    assert (code, len(asked)) == (EXIT_FAILED, 2)
    assert isinstance(said[-1], Failed)
    assert said[-1].code is Failure.MEMORY


def test_a_run_that_was_killed_after_it_was_planned_anew_goes_on_so(
    spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(spec, monkeypatch, DivergedError("nan"), loop.StoppedError())
    code, said, asked = run(spec, monkeypatch, DONE)
    assert (code, [type(one) for one in said]) == (0, [Finished])
    assert asked[0].params.learning_rate == pytest.approx(spec.params.learning_rate / 3)


def test_what_no_other_plan_helps_is_not_tried_again(
    spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, said, asked = run(spec, monkeypatch, ValueError("ours"))
    assert (code, len(asked), len(said)) == (EXIT_FAILED, 1, 1)
    light = spec_for(
        "sd15", spec.base, spec.dataset, spec.work, batch_size=1, gradient_checkpointing=True
    )
    assert replan.after(light, Failure.MEMORY) is None


def true_size(spec: RunSpec, **changes: Any) -> RunSpec:
    """A base whose files say that it is as large as Stable Diffusion 1.5, and hold nothing."""
    numbers = json.loads(memory.TABLE.read_text())["sd15"]["denoiser"]
    header = json.dumps({"a": {"dtype": "F16", "shape": [numbers], "data_offsets": [0, 0]}})
    (spec.base / "unet").mkdir()
    path = spec.base / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode())
    usual: dict[str, Any] = {"resolution": 512, "precision": "bf16"}
    return replace(spec, params=replace(spec.params, **(usual | changes)))


def peak(params: TrainParams) -> int:
    need = memory.estimate(params, samples=False)
    assert need is not None
    return need.peak


def on_a_gpu(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(job, "_free", lambda _: free)


CHECKPOINTING: dict[str, Any] = {"gradient_checkpointing": True}


def test_what_will_not_fit_begins_with_the_lighter_plan(
    spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = true_size(spec)
    on_a_gpu(monkeypatch, peak(replace(spec.params, **CHECKPOINTING)))
    code, said, asked = run(spec, monkeypatch, DONE)
    assert code == 0
    assert said == [Replanned(cause=Failure.MEMORY, changes=CHECKPOINTING), DONE]
    assert [one.params.gradient_checkpointing for one in asked] == [True]


def test_a_plan_that_was_foreseen_leaves_one_more(
    spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = true_size(spec)
    on_a_gpu(monkeypatch, peak(replace(spec.params, **CHECKPOINTING)))
    full = torch.OutOfMemoryError
    code, said, asked = run(spec, monkeypatch, full("full"), full("still full"))
    assert (code, len(asked)) == (EXIT_FAILED, 2)
    assert [one.params.gradient_checkpointing for one in asked] == [True, True]
    assert asked[1].params.batch_size < asked[0].params.batch_size
    pictures = {one.params.batch_size * one.params.gradient_accumulation for one in asked}
    assert pictures == {spec.params.batch_size}
    assert isinstance(said[-1], Failed)


def test_what_fits_in_no_way_fails_before_anything_is_loaded(
    spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = true_size(spec)
    on_a_gpu(monkeypatch, 10**9)
    code, said, asked = run(spec, monkeypatch)
    assert (code, asked) == (EXIT_FAILED, [])
    (failed,) = said
    assert isinstance(failed, Failed)
    assert failed.code is Failure.MEMORY
    assert "1.0 GB are free" in failed.detail


def test_what_fits_begins_as_it_is(spec: RunSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = true_size(spec)
    on_a_gpu(monkeypatch, peak(spec.params))
    assert run(spec, monkeypatch, DONE)[1] == [DONE]


def test_a_run_without_the_check_begins_as_it_is(
    spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_gpu(monkeypatch, 10**9)
    assert run(true_size(spec, memory_check=False), monkeypatch, DONE)[1] == [DONE]


def test_a_base_of_another_size_begins_as_it_is(
    spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_a_gpu(monkeypatch, 10**8)
    assert run(spec, monkeypatch, DONE)[1] == [DONE]


def test_a_run_with_a_checkpoint_has_fitted_before(
    spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = true_size(spec)
    spec.work.mkdir(parents=True, exist_ok=True)
    (spec.work / checkpoint.NAME).touch()
    on_a_gpu(monkeypatch, 10**9)
    assert run(spec, monkeypatch, DONE)[1] == [DONE]
    assert replan.CHECKPOINT == checkpoint.NAME


def test_out_of_memory_takes_the_first_plan_that_fits_into_what_was_free(
    spec: RunSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is it seemed to fit: what is tried next needs clearly less."""
    spec = true_size(spec)
    on_a_gpu(monkeypatch, 100 * 10**9)
    code, said, asked = run(spec, monkeypatch, torch.OutOfMemoryError("full"), DONE)
    assert (code, asked[1].params.gradient_checkpointing) == (0, True)
    assert asked[1].params.batch_size == spec.params.batch_size
    assert said[0] == Replanned(cause=Failure.MEMORY, changes=CHECKPOINTING)


@pytest.mark.parametrize("text", ["", "{", '{"changes": {"no such": 1}}', '{"changes": 5}'])
def test_a_plan_that_cannot_be_read_is_none(spec: RunSpec, text: str) -> None:
    spec.work.mkdir(parents=True, exist_ok=True)
    (spec.work / replan.NAME).write_text(text)
    assert replan.read(spec) == spec
