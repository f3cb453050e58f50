"""``lorabot prepare`` as somebody types it: a folder or a ZIP in, a dataset out."""

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.drawn import photo, photos

Prepare = Callable[..., subprocess.CompletedProcess[str]]
FOLDER = "10_mochix object"


def command(folder: Path, *arguments: str) -> tuple[list[str], dict[str, str]]:
    line = [sys.executable, "-m", "lorabot", "prepare", *arguments]
    return line, os.environ | {"DATA_DIR": str(folder / "data"), "COLUMNS": "200"}


@pytest.fixture
def prepare(tmp_path: Path) -> Prepare:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        words = ("--kind", "thing", "--trigger", "mochix", *arguments)
        line, environment = command(tmp_path, str(tmp_path / "in"), str(tmp_path / "out"), *words)
        return subprocess.run(
            line, env=environment, capture_output=True, text=True, timeout=50, check=False
        )

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "in"
    made.mkdir()
    for number, data in enumerate(photos(5)):
        (made / f"{number:02}.png").write_bytes(data)
    return made


def test_a_folder_becomes_what_trainers_read(
    tmp_path: Path, folder: Path, prepare: Prepare
) -> None:
    assert len(list(folder.iterdir())) == 5
    done = prepare()
    assert done.returncode == 0, done.stdout + done.stderr
    made = tmp_path / "out" / FOLDER
    assert [path.name for path in sorted(made.glob("*.png"))] == [
        f"{number:04}.png" for number in range(1, 6)
    ]
    assert (made / "0001.txt").read_text().startswith("mochix")
    rows = [json.loads(line) for line in (made / "metadata.jsonl").read_text().splitlines()]
    assert [row["file_name"] for row in rows] == [f"{number:04}.png" for number in range(1, 6)]
    with zipfile.ZipFile(tmp_path / "out.zip") as packed:
        assert f"{FOLDER}/0003.png" in packed.namelist()
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["counts"]["kept"] == 5
    assert not (tmp_path / "out" / ".prepare").exists()
    with Image.open(tmp_path / "out" / "contact-sheet.jpg") as sheet:
        assert sheet.width > 1000


def test_a_zip_does_as_well(tmp_path: Path, prepare: Prepare) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for number, data in enumerate(photos(3)):
            archive.writestr(f"../../{number}.png", data)
    (tmp_path / "in").write_bytes(packed.getvalue())
    assert prepare().returncode == 0
    assert len(list((tmp_path / "out" / FOLDER).glob("*.png"))) == 3
    assert not (tmp_path.parent / "0.png").exists()


def test_what_is_no_photo_is_told_and_left_out(folder: Path, prepare: Prepare) -> None:
    (folder / "03-notes.txt").write_text("not a photo")
    (folder / "04-again.png").write_bytes(photo(0))
    done = prepare()
    assert done.returncode == 0
    assert "is not a photo" in done.stdout
    assert "is the same as #1" in done.stdout


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path, folder: Path, prepare: Prepare) -> None:
    for number in range(5, 30):
        (folder / f"{number:02}.png").write_bytes(photo(number, (1600, 1200)))
    words = ("--kind", "thing", "--trigger", "mochix")
    line, environment = command(tmp_path, str(folder), str(tmp_path / "out"), *words)
    running = subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL)
    cabinet = tmp_path / "out" / ".prepare"
    deadline = time.monotonic() + 40
    while len(list(cabinet.glob("*.png"))) < 3:
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)  # between two looks
    running.send_signal(signal.SIGKILL)
    running.wait()
    first = min(cabinet.glob("*.png"))
    with Image.open(first) as image:
        size = image.size
    Image.new("RGB", size, (1, 2, 3)).save(first)
    assert prepare().returncode == 0
    marked = [
        path
        for path in (tmp_path / "out" / FOLDER).glob("*.png")
        if Image.open(path).getpixel((0, 0)) == (1, 2, 3)
    ]
    assert len(marked) == 1


def test_a_folder_that_is_not_ours_is_left_alone(
    tmp_path: Path, folder: Path, prepare: Prepare
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "holiday.txt").write_text("mine")
    done = prepare()
    assert done.returncode == 2
    assert "not empty" in done.stdout
    assert (tmp_path / "out" / "holiday.txt").read_text() == "mine"
    assert len(list(folder.iterdir())) == 5


@pytest.mark.parametrize(
    "wrong",
    [
        ["--kind", "car"],
        pytest.param(["--resolution", "513"], marks=pytest.mark.long),
        pytest.param(["--style", "x"], marks=pytest.mark.long),
    ],
)
def test_a_wrong_order_is_one_sentence(folder: Path, prepare: Prepare, wrong: list[str]) -> None:
    done = prepare(*wrong)
    assert done.returncode == 2
    assert done.stdout.count("\n") == 1
    assert folder.exists()
