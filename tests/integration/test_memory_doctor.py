"""What fits is told before anything is bought or begun: by the doctor, and by the trainer."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lorabot import doctor
from storage.settings import Settings
from tests.jobs import PARAMS
from trainer import memory
from trainer.run import RunSpec

SD15 = json.loads(memory.TABLE.read_text())["sd15"]


def lay_base(folder: Path) -> Path:
    """The headers of a Stable Diffusion 1.5, and no weights."""
    about = {"dtype": "F16", "shape": [SD15["denoiser"]], "data_offsets": [0, 0]}
    header = json.dumps({"a": about})
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode())
    return folder


def driver(folder: Path, *cards: str) -> str:
    """A PATH on which the driver's tool names these cards."""
    folder.mkdir()
    tool = folder / "nvidia-smi"
    lines = "\n".join(f"echo '{card}'" for card in cards)
    tool.write_text(f"#!/bin/sh\n{lines}\n")
    tool.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    base = lay_base(tmp_path / "base")
    entry = f'title = "SD"\nfamily = "sd15"\npath = "{base}"\nminutes = 9\nbatch_size = 8\n'
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "bases.toml").write_text(f"[sd]\n{entry}")
    cards = ("Huge, 81559 MiB", "Middle, 8188 MiB", "Small, 2048 MiB", "Odd, [N/A]")
    monkeypatch.setenv("PATH", driver(tmp_path / "bin", *cards))
    return Settings(data_dir=tmp_path / "data")


async def test_the_doctor_says_of_each_gpu_what_fits(settings: Settings) -> None:
    found = await doctor.gpu(settings)
    _, huge, _, middle, _, small, odd = found.said.split("; ")
    assert huge == "fits: sd yes"
    assert middle.startswith("fits: sd tight (")
    assert small == "fits: sd no"
    assert odd == "Odd, [N/A]"


async def test_the_demo_is_too_small_to_be_spoken_of(settings: Settings) -> None:
    assert "demo" not in (await doctor.gpu(settings)).said


def test_the_trainer_estimates_a_run_without_loading_it(tmp_path: Path) -> None:
    spec = RunSpec(
        params=replace(PARAMS, resolution=512, batch_size=2),
        base=lay_base(tmp_path / "base"),
        dataset=tmp_path,
        output=tmp_path / "one.safetensors",
        work=tmp_path / "run",
    )
    (tmp_path / "run.json").write_text(spec.to_json())
    done = subprocess.run(
        [sys.executable, "-m", "trainer", "--estimate", str(tmp_path / "run.json")],
        check=True,
        capture_output=True,
        text=True,
    )
    said = json.loads(done.stdout)
    assert said["base_is_of_the_measured_size"]
    peaks = [said["need"]["peak"], *(one["need"]["peak"] for one in said["lighter"])]
    assert peaks == sorted(peaks, reverse=True)
    assert said["lighter"][0]["changes"] == {"gradient_checkpointing": True}
