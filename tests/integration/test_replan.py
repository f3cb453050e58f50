"""A run that did not work as planned: once more in another way, and never a third time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.families import spec_for
from trainer import job, loop, replan
from trainer.meter import DivergedError
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
    light = replan._lighter(
        spec_for(
            "sd15", spec.base, spec.dataset, spec.work, batch_size=1, gradient_checkpointing=True
        ).params
    )
    assert light == {}


@pytest.mark.parametrize("text", ["", "{", '{"changes": {"no such": 1}}', '{"changes": 5}'])
def test_a_plan_that_cannot_be_read_is_none(spec: RunSpec, text: str) -> None:
    spec.work.mkdir(parents=True, exist_ok=True)
    (spec.work / replan.NAME).write_text(text)
    assert replan.read(spec) == spec
