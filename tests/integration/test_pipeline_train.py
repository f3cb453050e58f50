"""Trainers that misbehave, as real processes: nothing is left, nothing waits for nothing."""

import asyncio
import fcntl
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import psutil
import pytest

from pipeline import train
from storage import host
from tests.conftest import eventually
from tests.jobs import PARAMS
from tests.patience import PATIENCE_S
from trainer.run import Failed, Failure, Finished, Message, Progress, RunSpec, from_line

FINISH = """
import sys
open(sys.argv[1], "w").write("x")
print('{"type": "Finished", "steps": 1, "loss": 0.1}', flush=True)
"""
STEP = """print('{"type": "Progress", "phase": "training", "step": 1}', flush=True)
"""
HELPER = """
import subprocess, sys
helper = subprocess.Popen(["sleep", "600"], start_new_session={apart})
open(sys.argv[1] + ".helper", "w").write(str(helper.pid))
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
"""


@dataclass(frozen=True)
class Script:
    """A backend whose process is a few lines of Python."""

    code: str

    def command(self, spec: RunSpec, _: Path) -> list[str]:
        return [sys.executable, "-c", self.code, str(spec.output)]

    def parse(self, line: str) -> Message | None:
        return from_line(line)


def order(folder: Path, **changes: Callable[[], float] | float) -> train.Order:
    spec = RunSpec(
        params=PARAMS, base=folder, dataset=folder, output=folder / "out" / "x", work=folder
    )
    return train.Order(
        spec=spec,
        home=folder,
        lock=folder / "run" / "gpu-0.lock",
        log=folder / "log",
        halt=asyncio.Event(),
        **changes,  # type: ignore[arg-type]
    )


def ignore(_: Progress) -> None:
    """For runs whose progress is not looked at."""


@pytest.mark.parametrize("flood", ["'\\n' * 20_000_000", "'x' * 20_000_000", "'x\\n' * 5_000_000"])
async def test_a_flood_of_anything_is_read_and_forgotten(tmp_path: Path, flood: str) -> None:
    code = f"import sys; sys.stdout.write({flood}); print(); sys.stdout.flush()" + FINISH
    assert await train.train(Script(code), order(tmp_path), ignore) == Finished(steps=1, loss=0.1)


async def test_last_words_without_a_newline_are_heard(tmp_path: Path) -> None:
    code = FINISH.replace(", flush=True", ", end='', flush=True")
    assert await train.train(Script(code), order(tmp_path), ignore) == Finished(steps=1, loss=0.1)


@pytest.mark.parametrize("apart", [False, True])
async def test_a_helper_that_keeps_the_pipes_does_not_keep_the_job(
    tmp_path: Path, apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "EXIT_S", 0.2)
    code = HELPER.format(apart=apart) + FINISH
    outcome = await train.train(Script(code), order(tmp_path, stall_s=30), ignore)
    assert outcome == Finished(steps=1, loss=0.1)
    helper = int((tmp_path / "out" / "x.helper").read_text())
    if apart:
        # What left the group is out of reach.
        os.kill(helper, signal.SIGKILL)
    else:
        # A signal that was sent is not yet an end.
        await eventually(partial(is_over, helper))


async def is_over(pid: int) -> bool:
    """Gone, or only waiting for somebody to read its exit code."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


async def test_without_patience_a_trainer_ends_at_once(tmp_path: Path) -> None:
    given = order(tmp_path, patience=lambda: 0.0)
    code = STUBBORN + STEP + "time.sleep(600)"
    outcome = await train.train(Script(code), given, lambda _: given.halt.set())
    assert isinstance(outcome, train.Stopped)
    assert train.device_is_free(given.lock)


async def test_the_device_is_taken_while_a_trainer_lives(tmp_path: Path) -> None:
    given = order(tmp_path)
    free: list[bool] = []

    def look(_: Progress) -> None:
        free.append(train.device_is_free(given.lock))

    await train.train(Script(STEP + FINISH), given, look)
    assert (free, train.device_is_free(given.lock)) == ([False], True)


async def test_waiting_for_the_device_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "BUSY_S", 0.1)
    given = order(tmp_path)
    given.lock.parent.mkdir()
    with given.lock.open("w") as taken:
        fcntl.flock(taken, fcntl.LOCK_EX)
        with pytest.raises(train.DeviceBusyError):
            await train.train(Script(FINISH), given, ignore)
    assert not given.spec.output.exists()


async def test_a_trainer_without_a_word_is_stalled_whatever_it_prints(tmp_path: Path) -> None:
    code = "import time\nwhile True: print('still here', flush=True); time.sleep(0.01)"
    outcome = await train.train(Script(code), order(tmp_path, stall_s=0.5), ignore)
    assert isinstance(outcome, Failed)
    assert outcome.code is Failure.STALLED


async def sleeper() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec("sleep", "600", start_new_session=True)


async def test_a_stray_trainer_is_known_by_its_note(tmp_path: Path) -> None:
    stray = await sleeper()
    train._note(tmp_path, stray.pid)
    assert train.end_stray(tmp_path)
    assert await stray.wait() == -9
    assert not train.end_stray(tmp_path)


@pytest.mark.parametrize("note", ["{pid} 1 {boot}", "{pid} {began} other", "{pid}", "", "x y z"])
async def test_nothing_else_is_taken_for_a_stray_trainer(tmp_path: Path, note: str) -> None:
    stranger = await sleeper()
    told = {"pid": stranger.pid, "began": host.started(stranger.pid), "boot": host.boot_id()}
    (tmp_path / train.PID).write_text(note.format(**told))
    assert not train.end_stray(tmp_path)
    assert stranger.returncode is None
    stranger.kill()
    await stranger.wait()


async def test_no_note_no_stray(tmp_path: Path) -> None:
    assert not train.end_stray(tmp_path)


async def test_a_job_s_later_claim_ends_the_trainer_of_the_earlier_one(tmp_path: Path) -> None:
    # Its worker is frozen, say, and another one with a device of its own has the job now.
    first = asyncio.create_task(
        train.train(Script(STEP + "import time; time.sleep(600)"), order(tmp_path), ignore)
    )
    pid = await eventually(lambda: _noted(tmp_path))
    assert isinstance(pid, int)
    other = replace(order(tmp_path), lock=tmp_path / "run" / "gpu-1.lock")
    assert await train.train(Script(FINISH), other, ignore) == Finished(steps=1, loss=0.1)
    outcome = await asyncio.wait_for(first, PATIENCE_S)
    assert isinstance(outcome, Failed)
    assert outcome.code is Failure.KILLED
    assert not psutil.pid_exists(pid)


async def test_an_earlier_claim_does_not_forget_the_trainer_of_the_later_one(
    tmp_path: Path,
) -> None:
    first = asyncio.create_task(
        train.train(Script(STEP + "import time; time.sleep(600)"), order(tmp_path), ignore)
    )
    await eventually(lambda: _noted(tmp_path))
    later = f"{os.getpid()} 1 another boot\n"
    (tmp_path / train.PID).write_text(later)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert (tmp_path / train.PID).read_text() == later


async def _noted(home: Path) -> int:
    note = home / train.PID
    return int(note.read_text().split()[0]) if note.exists() and note.read_text() else 0
