"""One run on two devices: two processes that agree at each step."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bench import random_base
from tests.families import dataset_of, spec_for
from trainer.backends import native
from trainer.run import Finished, Progress, RunSpec, from_line

pytestmark = pytest.mark.timeout(180)


def run(spec: RunSpec, workdir: Path) -> list[object]:
    done = subprocess.run(
        native.command(spec, workdir),
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [message for line in done.stdout.splitlines() if (message := from_line(line))]


@pytest.mark.long
def test_two_devices_train_what_one_does_with_two_batches_a_step(tmp_path: Path) -> None:
    """Their mean gradient is the same up to the order of the addition. Only one of them speaks."""
    base, pictures = tmp_path / "base", dataset_of(tmp_path / "pictures", ((64, 64),) * 4)
    random_base.make(base)
    one = spec_for("sd15", base, pictures, tmp_path / "one", max_steps=8, gradient_accumulation=2)
    two = spec_for("sd15", base, pictures, tmp_path / "two", max_steps=8)
    two = replace(two, devices=2)
    run(one, tmp_path / "one")
    messages = run(two, tmp_path / "two")
    assert sum(isinstance(message, Finished) for message in messages) == 1
    steps = [one.step for one in messages if isinstance(one, Progress) and one.step]
    assert steps == sorted(steps)
    a, b = load_file(one.output), load_file(two.output)
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], atol=2e-3, rtol=2e-2)


def test_the_command_names_the_number_of_processes(tmp_path: Path) -> None:
    spec = replace(spec_for("sd15", tmp_path, tmp_path, tmp_path / "run"), devices=3)
    argv = native.command(spec, tmp_path)
    assert argv[0] == sys.executable
    assert argv[argv.index("--nproc_per_node") + 1] == "3"
