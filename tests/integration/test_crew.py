"""A trainer that stays: the next run starts at once, ends as it would alone, and harms no other."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from safetensors.torch import load_file

from pipeline import train
from pipeline.crew import Crew
from tests.jobs import PARAMS
from trainer.backends import native
from trainer.run import Failed, Failure, Finished, Progress, RunSpec

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
async def crew() -> AsyncIterator[Crew]:
    made = Crew(native.resident(60))
    yield made
    await made.close()


def order(
    base: Path, pictures: Path, folder: Path, crew: Crew | None, **changes: Any
) -> train.Order:
    folder.mkdir(parents=True)
    spec = RunSpec(
        params=replace(PARAMS, **changes),
        base=base,
        dataset=pictures,
        output=folder / "out" / "mochi.safetensors",
        work=folder / "run",
    )
    return train.Order(
        spec=spec,
        home=folder,
        lock=folder.parent / "gpu-0.lock",
        log=folder / "log",
        halt=asyncio.Event(),
        crew=crew,
    )


class Told:
    """What was heard, and from which process."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.pids: set[int] = set()
        self.steps: list[int] = []

    def __call__(self, progress: Progress) -> None:
        self.pids.add(int((self.home / train.PID).read_text().split()[0]))
        self.steps.append(progress.step)


async def do(one: train.Order) -> tuple[train.Outcome, Told]:
    told = Told(one.home)
    return await train.train(native, one, told), told


def same_tensors(one: Path, other: Path) -> bool:
    a, b = load_file(one), load_file(other)
    return a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a)


async def test_two_runs_of_one_process_end_as_each_would_alone(
    base: Path, pictures: Path, tmp_path: Path, crew: Crew
) -> None:
    """The first trains the text encoder and recomputes its activations: nothing of it may stay."""
    first = order(
        base,
        pictures,
        tmp_path / "first",
        crew,
        text_encoder_lr=1e-3,
        gradient_checkpointing=True,
        learning_rate=1e-2,
    )
    second = order(base, pictures, tmp_path / "second", crew)
    alone = order(base, pictures, tmp_path / "alone", None)
    outcomes = [await do(one) for one in (first, second, alone)]
    assert all(isinstance(outcome, Finished) for outcome, _ in outcomes)
    pids = [told.pids for _, told in outcomes]
    assert pids[0] == pids[1]
    assert pids[2] != pids[0]
    assert same_tensors(second.spec.output, alone.spec.output)
    assert train.device_is_free(first.lock)


async def test_a_stopped_run_leaves_its_checkpoint_and_the_process_goes_on(
    base: Path, pictures: Path, tmp_path: Path, crew: Crew
) -> None:
    parted = order(base, pictures, tmp_path / "parted", crew, max_steps=100)
    whole = order(base, pictures, tmp_path / "whole", None, max_steps=100)

    def halt(progress: Progress) -> None:
        if progress.step > 20:
            parted.halt.set()

    assert isinstance(await train.train(native, parted, halt), train.Stopped)
    assert not parted.spec.output.exists()
    parted.halt.clear()
    outcome, told = await do(parted)
    assert isinstance(outcome, Finished)
    assert next(step for step in told.steps if step) > 20
    await do(whole)
    assert same_tensors(parted.spec.output, whole.spec.output)


async def test_a_run_that_fails_harms_only_itself(
    base: Path, pictures: Path, tmp_path: Path, crew: Crew
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    outcome, _ = await do(order(base, empty, tmp_path / "fails", crew))
    assert isinstance(outcome, Failed)
    assert outcome.code is Failure.DATASET
    outcome, _ = await do(order(base, pictures, tmp_path / "works", crew))
    assert isinstance(outcome, Finished)


async def test_a_process_that_is_killed_harms_only_its_run(
    base: Path, pictures: Path, tmp_path: Path, crew: Crew
) -> None:
    killed = order(base, pictures, tmp_path / "killed", crew, max_steps=5000)

    def kill(progress: Progress) -> None:
        if progress.step > 5:
            pid = int((killed.home / train.PID).read_text().split()[0])
            os.kill(pid, signal.SIGKILL)

    outcome = await train.train(native, killed, kill)
    assert isinstance(outcome, Failed)
    assert outcome.code is Failure.KILLED
    outcome, _ = await do(order(base, pictures, tmp_path / "next", crew))
    assert isinstance(outcome, Finished)


@pytest.mark.long
async def test_a_process_that_died_between_two_runs_is_replaced(
    base: Path, pictures: Path, tmp_path: Path, crew: Crew
) -> None:
    _, told = await do(order(base, pictures, tmp_path / "one", crew))
    process = psutil.Process(told.pids.pop())
    process.kill()
    outcome, again = await do(order(base, pictures, tmp_path / "two", crew))
    assert isinstance(outcome, Finished)
    assert again.pids != {process.pid}


async def test_an_idle_process_gives_its_memory_back(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    impatient = Crew(native.resident(0.2))
    outcome, told = await do(order(base, pictures, tmp_path / "one", impatient))
    assert isinstance(outcome, Finished)
    await asyncio.to_thread(psutil.wait_procs, [psutil.Process(pid) for pid in told.pids])
    outcome, _ = await do(order(base, pictures, tmp_path / "two", impatient))
    assert isinstance(outcome, Finished)
    await impatient.close()
