"""The command line as it is typed: what it prints, and its exit codes."""

import asyncio
import json
import os
import sys
import zipfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests import tiny_base
from tests.drawn import photo, photos
from tests.service import Service

pytestmark = pytest.mark.timeout(300)
more = partial(pytest.param, marks=pytest.mark.long)


@dataclass
class Shell:
    """`lorabot` in an environment of its own."""

    folder: Path

    async def run(self, *words: str, typed: str = "", **settings: str) -> tuple[int, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lorabot", *words),
            cwd=self.folder,
            env=kept
            | {
                "DATA_DIR": str(self.folder / "data"),
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "COLUMNS": "200",
                "OMP_NUM_THREADS": "1",
            }
            | settings,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate(typed.encode())
        assert process.returncode is not None
        return process.returncode, out.decode()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "photos"
    made.mkdir()
    for number, data in enumerate(photos(8)):
        (made / f"{number}.png").write_bytes(data)
    return made


async def test_train_takes_a_folder_to_a_file(shell: Shell, folder: Path, tmp_path: Path) -> None:
    tiny_base.lay(tmp_path / "data")
    (tmp_path / "loras").mkdir()
    (folder / "notes.txt").write_text("not a photo")
    code, said = await shell.run(
        "train", str(folder), "--name", "mochi", "--steps", "20", LORA_DIR=str(tmp_path / "loras")
    )
    assert code == 0, said
    assert "Trigger word: mochix" in said
    assert (tmp_path / "loras" / "mochi.safetensors").stat().st_size > 1000


@pytest.mark.long
async def test_train_takes_a_zip(shell: Shell, folder: Path, tmp_path: Path) -> None:
    tiny_base.lay(tmp_path / "data")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    code, said = await shell.run(
        "train", "set.zip", "--name", "kiki", "--trigger", "kk", "--steps", "5"
    )
    assert code == 0, said
    (ready,) = [line for line in said.splitlines() if line.startswith("Ready: ")]
    assert Path(ready.removeprefix("Ready: ")).is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere", "--name", "mochi"), "no folder or ZIP"),
        more(("photos", "--name", "a b"), "2-32 letters"),
        (("photos", "--name", "mochi", "--base", "sdxl"), "not installed here; there is: demo"),
        more(("photos", "--name", "mochi", "--kind", "ghost"), "person, character, style, thing"),
        more(("photos", "--name", "mochi", "--trigger", "no spaces"), "trigger word"),
    ],
)
async def test_a_wrong_order_is_explained(
    shell: Shell, folder: Path, words: tuple[str, ...], said: str
) -> None:
    assert folder.is_dir()
    code, output = await shell.run("train", *words)
    assert code == 2
    assert said in output
    assert "Traceback" not in output


async def test_too_few_photos_are_explained_one_by_one(shell: Shell, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    (few / "a.png").write_bytes(photo(1))
    (few / "b.png").write_bytes(photo(2)[:300])
    code, said = await shell.run("train", str(few), "--name", "mochi")
    assert code == 2
    assert "#2 can't be opened" in said
    assert "it takes 8 to 25" in said


@pytest.mark.long
async def test_a_pipe_can_chat_from_hello_to_the_file(shell: Shell, folder: Path) -> None:
    tiny_base.lay(shell.folder / "data")
    typed = f"/train\n2\nmochi\n1\n{folder}/*.png\n1\n1\n"
    code, said = await shell.run("chat", typed=typed)
    assert code == 0, said
    (path,) = [line for line in said.splitlines() if "It lies here: " in line]
    assert Path(path.partition("here: ")[2]).is_file()
    assert "mochi · done" in said


async def test_a_wrong_setting_is_named(shell: Shell) -> None:
    code, said = await shell.run("bot", ADMIN_IDS="12345")
    assert code == 78
    assert "ADMIN_IDS" in said
    assert "Traceback" not in said


async def test_a_taken_port_ends_up_with_a_sentence(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    service = await Service(tmp_path / "other").start()
    code, said = await shell.run("up", WEB_PORT=service.environment["WEB_PORT"])
    assert code == 78
    assert "WEB_PORT" in said
    code, said = await shell.run("up", DATA_DIR=str(service.data))
    assert code == 1
    assert "already runs" in said
    assert await service.stop() == 0


async def test_the_doctor_names_the_fix_and_speaks_json(shell: Shell) -> None:
    code, said = await shell.run("doctor", "--json", LORA_DIR="/nowhere/at/all")
    findings = {one["what"]: one for one in json.loads(said)}
    assert code == 2
    assert findings["lora folder"]["health"] == "FAIL"
    assert findings["lora folder"]["fix"]
    assert findings["database"]["health"] == "ok"
    assert (findings["webhook"]["said"], findings["ages"]["health"]) == ("no Telegram", "ok")


async def test_the_version_is_told(shell: Shell) -> None:
    assert await shell.run("--version") == (0, "lorabot 0.1.0\n")
