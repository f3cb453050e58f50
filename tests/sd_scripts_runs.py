"""Runs of sd-scripts' adapter as real processes, for tests with its stand-in."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from tests.drawn import photo
from tests.jobs import PARAMS
from trainer.backends import sd_scripts
from trainer.run import Message, Progress, Prompt, RunSpec

ROOT = Path(__file__).parents[1]
GONE_S = 10.0
PROMPTS = (Prompt(text="mochix person", seed=1), Prompt(text="a person", seed=2))

Starter = Callable[..., subprocess.Popen[str]]


def make_spec(tmp_path: Path, tools: Path) -> RunSpec:
    """A short run with samples, of a base that the stand-in never opens."""
    base = tmp_path / "base"
    for part in ("unet", "vae", "text_encoder", "tokenizer"):
        (base / part).mkdir(parents=True)
        (base / part / "model.safetensors").write_bytes(b"")
    (base / "model_index.json").write_text("{}")
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(1, 4):
        (photos / f"{number:04}.png").write_bytes(photo(number, (64, 64)))
        (photos / f"{number:04}.txt").write_text("mochix person")
    return RunSpec(
        params=replace(PARAMS, max_steps=24),
        base=base,
        dataset=photos,
        output=tmp_path / "out" / "mochi.safetensors",
        work=tmp_path / "run",
        device="cpu",
        prompts=PROMPTS,
        extra={"sd_scripts_dir": str(tools), "sd_scripts_python": sys.executable},
    )


@contextmanager
def starter(tmp_path: Path) -> Iterator[Starter]:
    """The adapter as a process; what is left of it at the end goes."""
    running: list[subprocess.Popen[str]] = []

    def begin(spec: RunSpec, **more: Any) -> subprocess.Popen[str]:
        with (tmp_path / "log").open("a") as log:
            process = subprocess.Popen(
                sd_scripts.command(spec, tmp_path),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                **more,
            )
        running.append(process)
        return process

    yield begin
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def told(process: subprocess.Popen[str]) -> Iterator[Message]:
    assert process.stdout is not None
    for line in process.stdout:
        message = sd_scripts.parse(line)
        assert message is not None
        yield message


def until(process: subprocess.Popen[str], step: int) -> None:
    """It has told of a step."""
    assert any(isinstance(one, Progress) and one.step >= step for one in told(process))


def finished(process: subprocess.Popen[str]) -> tuple[list[Message], int]:
    messages = list(told(process))
    return messages, process.wait()


def starts(tools: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (tools / "starts").read_text().splitlines()]


def gone(pids: list[int]) -> bool:
    """All of them, soon."""
    living = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    return not psutil.wait_procs(living, GONE_S)[1]


def below(process: subprocess.Popen[str]) -> list[int]:
    return [one.pid for one in psutil.Process(process.pid).children(recursive=True)]
