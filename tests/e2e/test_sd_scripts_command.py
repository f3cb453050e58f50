"""A base that is trained with sd-scripts, from the command line to the file in the folder."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.drawn import photos
from tests.stand_in_sd_scripts import checkout

pytestmark = pytest.mark.timeout(120)

BASES = """
[own]
family = "sd15"
path = "base"
resolution = 128
steps = 24
backend = "sd-scripts"

[own.sd_scripts]
clip_skip = 2
network_args = ["conv_dim=4", "conv_alpha=1"]
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for part in ("unet", "vae", "text_encoder", "tokenizer"):
        (folder / "base" / part).mkdir(parents=True)
        (folder / "base" / part / "model.safetensors").write_bytes(b"")
    (folder / "base" / "model_index.json").write_text("{}")
    (folder / "bases.toml").write_text(BASES)
    (tmp_path / "photos").mkdir()
    for number, data in enumerate(photos(8)):
        (tmp_path / "photos" / f"{number}.png").write_bytes(data)
    return folder


async def lorabot(folder: Path, *words: str, **settings: str) -> tuple[int, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lorabot", *words),
        cwd=folder,
        env=kept
        | {"DATA_DIR": str(folder / "data"), "PYTHONPATH": str(Path(__file__).parents[2])}
        | {"COLUMNS": "200", "OMP_NUM_THREADS": "1"}
        | settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def test_train_uses_what_the_base_says(data: Path, tmp_path: Path) -> None:
    tools = checkout(tmp_path / "checkout")
    code, said = await lorabot(
        *(tmp_path, "train", "photos", "--name", "mochi", "--base", "own"),
        SD_SCRIPTS_DIR=str(tools),
        SD_SCRIPTS_PYTHON=sys.executable,
    )
    assert code == 0, said
    (ready,) = [line for line in said.splitlines() if line.startswith("Ready: ")]
    assert Path(ready.removeprefix("Ready: ")).is_file()
    words = (data / "trainer" / "cache" / "starts").read_text()
    assert '"clip_skip": "2"' in words
    assert '"network_args": "conv_dim=4 conv_alpha=1"' in words
    assert data.is_dir()


async def test_without_a_checkout_the_base_cannot_be_used(data: Path, tmp_path: Path) -> None:
    code, said = await lorabot(tmp_path, "train", "photos", "--name", "mochi", "--base", "own")
    assert code == 1
    assert "Traceback" not in said
    assert "SD_SCRIPTS_DIR" not in said.splitlines()[-1]
    _, said = await lorabot(tmp_path, "doctor")
    (line,) = [one for one in said.splitlines() if "sd-scripts" in one.split()[1:2]]
    assert line.startswith("FAIL")
    assert "own wants it" in line
    assert data.is_dir()
