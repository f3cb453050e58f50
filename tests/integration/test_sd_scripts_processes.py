"""What becomes of the processes of sd-scripts, and how a run of it goes on after its end."""

import asyncio
import fcntl
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pipeline import train
from tests.sd_scripts_runs import Starter, below, finished, gone, make_spec, starter, starts, until
from tests.stand_in_sd_scripts import checkout as make_checkout
from tests.stand_in_sd_scripts import set_mode
from trainer.backends import sd_scripts
from trainer.run import (
    EXIT_RESUMABLE,
    Failed,
    Failure,
    Finished,
    Progress,
    RunSpec,
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


def test_sigterm_ends_all_of_it_and_the_next_start_goes_on(
    spec: RunSpec, tools: Path, start: Starter
) -> None:
    set_mode(tools, "wait:9")
    process = start(spec)
    until(process, 9)
    pids = below(process)
    process.terminate()
    messages, code = finished(process)
    assert code == EXIT_RESUMABLE
    assert not any(isinstance(one, Failed) for one in messages)
    assert gone(pids)
    set_mode(tools, "normal")
    messages, code = finished(start(spec))
    assert code == 0
    assert starts(tools)[1]["resume"].endswith("lora-step00000008-state")
    assert starts(tools)[1]["initial_step"] == "8"
    steps = [one.step for one in messages if isinstance(one, Progress)]
    assert steps[1] == 8
    assert steps[-1] == 24


def test_a_stop_before_the_first_state_is_no_checkpoint(
    spec: RunSpec, tools: Path, start: Starter
) -> None:
    set_mode(tools, "wait:1")
    process = start(spec)
    until(process, 1)
    process.terminate()
    messages, code = finished(process)
    assert code == 1
    assert isinstance(messages[-1], Failed)
    assert messages[-1].code is Failure.KILLED


def test_a_kill_of_the_adapter_takes_everything_with_it(
    spec: RunSpec, tools: Path, start: Starter
) -> None:
    set_mode(tools, "orphan:3")
    process = start(spec)
    until(process, 3)
    pids = [*below(process), int((tools / "orphan").read_text())]
    assert len(pids) >= 3
    process.kill()
    assert gone(pids)


@pytest.mark.parametrize("mode", ["orphan", "silent_orphan"])
def test_what_it_leaves_behind_goes_when_it_has_ended(
    spec: RunSpec, tools: Path, start: Starter, mode: str
) -> None:
    set_mode(tools, mode)
    messages, code = finished(start(spec))
    assert code == 0
    assert isinstance(messages[-1], Finished)
    assert gone([int((tools / "orphan").read_text())])


def test_a_devices_lock_is_held_for_as_long_as_anything_lives(
    spec: RunSpec, tools: Path, start: Starter, tmp_path: Path
) -> None:
    set_mode(tools, "wait:3")
    handle = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    process = start(spec, pass_fds=(handle,))
    os.close(handle)
    until(process, 3)
    pids = below(process)
    other = os.open(tmp_path / "lock", os.O_RDWR)
    held = [
        one
        for pid in pids
        for one in psutil.Process(pid).open_files()
        if one.path.endswith("/lock")
    ]
    assert len(held) == len(pids)
    with pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    process.kill()
    assert gone(pids)
    fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(other)


def test_a_torn_state_is_passed_over(spec: RunSpec, tools: Path, start: Starter) -> None:
    set_mode(tools, "torn:6")
    process = start(spec)
    until(process, 6)
    process.kill()
    process.wait()
    set_mode(tools, "normal")
    assert finished(start(spec))[1] == 0
    assert starts(tools)[1]["initial_step"] == "4"


def test_a_state_that_it_refuses_is_given_up(spec: RunSpec, tools: Path, start: Starter) -> None:
    set_mode(tools, "wait:9")
    process = start(spec)
    until(process, 9)
    process.kill()
    process.wait()
    set_mode(tools, "refuse")
    messages, code = finished(start(spec))
    assert code == 0
    assert isinstance(messages[-1], Finished)
    assert [one.get("initial_step") for one in starts(tools)] == [None, "8", "6", None]


async def test_a_cancel_ends_all_of_it(spec: RunSpec, tools: Path, tmp_path: Path) -> None:
    set_mode(tools, "orphan:5")
    halt = asyncio.Event()
    order = train.Order(
        spec=spec, home=tmp_path, lock=tmp_path / "gpu.lock", log=tmp_path / "log", halt=halt
    )

    def tell(one: Progress) -> None:
        if one.step >= 5:
            halt.set()

    outcome = await train.train(sd_scripts, order, tell)
    # With a state to go on from.
    assert isinstance(outcome, train.Stopped)
    assert gone([int((tools / "orphan").read_text())])
    assert train.device_is_free(order.lock)


def test_ctrl_c_is_a_stop(spec: RunSpec, tools: Path, start: Starter) -> None:
    set_mode(tools, "wait:9")
    process = start(spec)
    until(process, 9)
    process.send_signal(signal.SIGINT)
    assert finished(process)[1] == EXIT_RESUMABLE
