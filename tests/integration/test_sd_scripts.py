"""sd-scripts as a trainer, in real processes: a stand-in says and leaves what the real one did."""

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lorabot import checkout
from pipeline import artifact, train
from storage import bases
from storage.settings import Settings
from tests.sd_scripts_runs import Starter, finished, make_spec, starter, starts, until
from tests.stand_in_sd_scripts import checkout as make_checkout
from tests.stand_in_sd_scripts import set_mode
from trainer import asked, history, scores
from trainer.asked import Wish
from trainer.backends import sd_scripts
from trainer.run import (
    SAVED,
    Failed,
    Failure,
    Finished,
    Phase,
    Progress,
    Prompt,
    Replanned,
    RunSpec,
    Sampled,
)


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    return make_checkout(tmp_path / "checkout")


@pytest.fixture
def spec(tmp_path: Path, tools: Path) -> RunSpec:
    return make_spec(tmp_path, tools)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    with starter(tmp_path) as begin:
        yield begin


def test_a_run_looks_like_one_of_our_own(spec: RunSpec, tools: Path, start: Starter) -> None:
    messages, code = finished(start(spec))
    assert code == 0
    assert messages[-1] == Finished(steps=24, loss=messages[-1].loss, recommended=6, taken=24)  # type: ignore[union-attr]  # a Finished
    phases = {one.phase for one in messages if isinstance(one, Progress)}
    assert phases == set(Phase)
    assert [one.step for one in messages if isinstance(one, Sampled)] == [6, 12, 18, 24]
    assert artifact.check(spec.output, spec.params.trigger).modules == 1
    assert len(list((spec.work / SAVED).iterdir())) == 12
    assert [one.step for one in scores.read(spec.work)] == [6, 12, 18, 24]
    assert history.read(spec.work)
    assert "resume" not in starts(tools)[0]


def test_captions_are_neither_in_the_file_nor_in_the_log(
    spec: RunSpec, start: Starter, tmp_path: Path
) -> None:
    (spec.dataset / "0001.txt").write_text("mochix person, annasecret on a beach")
    assert finished(start(replace(spec, prompts=(Prompt(text="annasecret"),))))[1] == 0
    assert b"annasecret" not in spec.output.read_bytes()
    assert "annasecret" not in (tmp_path / "log").read_text()
    assert "running training" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("empty", Failure.DATASET),
        ("no_file", Failure.ARTIFACT),
        ("killed:3", Failure.KILLED),
    ],
)
def test_an_end_without_a_file_is_a_failure(
    spec: RunSpec, tools: Path, start: Starter, mode: str, code: Failure
) -> None:
    set_mode(tools, mode)
    messages, ended = finished(start(spec))
    assert ended == 1
    assert isinstance(messages[-1], Failed)
    assert messages[-1].code is code
    assert not spec.output.exists()


def test_a_file_of_an_earlier_run_is_no_file_of_this_one(
    spec: RunSpec, tools: Path, start: Starter
) -> None:
    set_mode(tools, "wait:5")
    process = start(spec)
    until(process, 5)
    (spec.work / "sd-scripts" / "out" / "lora.safetensors").write_bytes(b"old")
    process.kill()
    process.wait()
    set_mode(tools, "no_file")
    messages, code = finished(start(spec))
    assert code == 1
    assert isinstance(messages[-1], Failed)


def test_a_loss_that_is_no_number_ends_it_and_is_tried_once_more(
    spec: RunSpec, tools: Path, start: Starter
) -> None:
    set_mode(tools, "nan:5")
    messages, code = finished(start(spec))
    assert code == 1
    again = [one for one in messages if isinstance(one, Replanned)]
    assert [one.cause for one in again] == [Failure.DIVERGED]
    assert isinstance(messages[-1], Failed)
    assert messages[-1].code is Failure.DIVERGED
    first, second = starts(tools)
    assert float(second["learning_rate"]) == pytest.approx(float(first["learning_rate"]) / 3, 1e-4)
    # What had diverged is nothing to go on from.
    assert "resume" not in second


def test_too_little_memory_is_tried_once_more_with_a_lighter_plan(
    spec: RunSpec, tools: Path, start: Starter
) -> None:
    (tools / "words").write_text("torch.OutOfMemoryError: CUDA out of memory.\n")
    set_mode(tools, "words")
    messages, _ = finished(start(spec))
    assert isinstance(messages[-1], Failed)
    assert messages[-1].code is Failure.MEMORY
    assert ["gradient_checkpointing" in one for one in starts(tools)] == [False, True]


def test_another_run_in_the_same_folder_begins_anew(
    spec: RunSpec, tools: Path, start: Starter
) -> None:
    assert finished(start(spec))[1] == 0
    other = replace(spec, params=replace(spec.params, learning_rate=3e-4))
    assert finished(start(other))[1] == 0
    assert ["resume" in one for one in starts(tools)] == [False, False]


def test_a_run_that_was_over_is_only_delivered(spec: RunSpec, tools: Path, start: Starter) -> None:
    assert finished(start(spec))[1] == 0
    spec.output.unlink()
    assert finished(start(spec))[1] == 0
    assert artifact.check(spec.output, spec.params.trigger).modules == 1
    assert len(starts(tools)) == 1


def test_somebody_may_ask_for_the_end_with_what_there_is(
    spec: RunSpec, tools: Path, start: Starter
) -> None:
    set_mode(tools, "wait:9")
    process = start(spec)
    until(process, 9)
    asked.ask(spec.work, Wish.FINISH)
    messages, code = finished(process)
    assert code == 0
    assert isinstance(messages[-1], Finished)
    assert messages[-1].steps == 8
    assert artifact.check(spec.output, spec.params.trigger).modules == 1


def test_the_best_step_becomes_the_file(spec: RunSpec, tools: Path, start: Starter) -> None:
    best = replace(spec, params=replace(spec.params, pick="best"))
    messages, _ = finished(start(best))
    assert isinstance(messages[-1], Finished)
    assert messages[-1].taken == messages[-1].recommended == 6
    saved = spec.work / SAVED / "000006.safetensors"
    assert artifact.check(spec.output, "mochix") == artifact.check(saved, "mochix")
    assert len(starts(tools)) == 1


@pytest.mark.parametrize(
    ("changes", "code", "said"),
    [
        ({"extra": {}}, Failure.INTERNAL, "SD_SCRIPTS_DIR is not set"),
        ({"extra": {"sd_scripts_dir": "/nowhere"}}, Failure.INTERNAL, "there is no /nowhere"),
        ({"base": Path("/nowhere")}, Failure.BASE, "neither"),
        ({"dataset": Path("/nowhere")}, Failure.DATASET, "no 0001.png"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_started(
    spec: RunSpec, start: Starter, changes: dict[str, Any], code: Failure, said: str
) -> None:
    messages, ended = finished(start(replace(spec, **changes)))
    assert ended == 1
    assert isinstance(messages[-1], Failed)
    assert messages[-1].code is code
    assert said in messages[-1].detail


async def test_the_worker_trains_with_it_as_with_our_own(spec: RunSpec, tmp_path: Path) -> None:
    order = train.Order(
        spec=spec,
        home=tmp_path,
        lock=tmp_path / "gpu.lock",
        log=tmp_path / "logs" / "job.log",
        halt=asyncio.Event(),
    )
    seen: list[Progress] = []
    outcome = await train.train(sd_scripts, order, seen.append)
    assert isinstance(outcome, Finished)
    assert seen[-1].step == 24
    assert train.device_is_free(order.lock)
    assert "running training" in order.log.read_text()


async def test_the_doctor_looks_for_it(tools: Path, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert (await checkout.examined(settings))[:2] == (True, "not used")
    (tmp_path / "bases.toml").write_text(
        '[own]\nfamily = "sd15"\npath = "x"\nbackend = "sd-scripts"\n'
    )
    assert bases.load(tmp_path, None)["own"].backend == bases.SD_SCRIPTS
    assert (await checkout.examined(settings))[1] == "own wants it"
    here = settings.model_copy(update={"sd_scripts_dir": tools})
    assert "SD_SCRIPTS_PYTHON" in (await checkout.examined(here))[1]
    bare = tmp_path / "bare-python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    there = here.model_copy(update={"sd_scripts_python": bare})
    well, said, _ = await checkout.examined(there)
    assert not well
    assert said.startswith(f"{bare} has no torch, torchvision, ")
    broken = here.model_copy(update={"sd_scripts_python": Path("/bin/false")})
    assert (await checkout.examined(broken))[1] == "/bin/false does not run"
    (tools / "train_network.py").unlink()
    assert "has no train_network.py" in (await checkout.examined(there))[1]
