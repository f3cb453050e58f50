"""Starts that cannot go well: each ends at once, with a sentence and an exit code."""

import asyncio
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from storage.migrate import DamagedError, sqlite_to_newest
from tests.e2e.test_commands import Shell
from tests.faults.disk import Mount
from tests.service import Service

EXIT_CONFIG = 78


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def damaged(path: Path, how: str) -> bytes:
    """A database of ours that something happened to; its bytes."""
    path.parent.mkdir(parents=True)
    sqlite_to_newest(sa.make_url(f"sqlite:///{path}"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    data = bytearray(path.read_bytes())
    match how:
        case "another file":
            data = bytearray(b"holiday pictures\n" * 1000)
        case "its middle":
            data[100:4096] = bytes(3996)
        case "its end":
            del data[8192:]
    path.write_bytes(data)
    return bytes(data)


@pytest.mark.parametrize("how", ["another file", "its middle", "its end"])
def test_a_damaged_database_is_told_and_left_as_it_is(tmp_path: Path, how: str) -> None:
    path = tmp_path / "data" / "lorabot.db"
    data = damaged(path, how)
    with pytest.raises(DamagedError, match="restore a backup"):
        sqlite_to_newest(sa.make_url(f"sqlite:///{path}"))
    assert path.read_bytes() == data


@pytest.mark.parametrize("command", ["worker", pytest.param("up", marks=pytest.mark.long)])
async def test_with_a_damaged_database_everything_ends_with_a_sentence(
    shell: Shell, tmp_path: Path, command: str
) -> None:
    path = tmp_path / "data" / "lorabot.db"
    data = damaged(path, "another file")
    code, said = await shell.run(command)
    assert code == EXIT_CONFIG, said
    assert "lorabot.db is damaged" in said
    assert "Traceback" not in said
    assert path.read_bytes() == data


HOLD = """
import pathlib, sys
from lorabot.up import only_one
with only_one(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


async def test_a_folder_that_somebody_runs_on_is_refused(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "data" / "run").mkdir(parents=True)
    first = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", HOLD, str(tmp_path / "data")),
        cwd=Path(__file__).parents[2],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert first.stdout is not None
    assert await first.stdout.readline() == b"held\n"
    code, said = await shell.run("up")
    await first.communicate(b"")
    assert code == 1, said
    assert "already runs" in said
    assert not (tmp_path / "data" / "lorabot.db").exists()


@pytest.mark.long
async def test_a_second_start_on_the_same_folder_is_refused_and_harms_nothing(
    tmp_path: Path,
) -> None:
    first = await Service(tmp_path).start()
    second = Shell(tmp_path)
    before = {one.pid for one in first.children()}
    code, said = await second.run("up")
    assert code == 1, said
    assert "already runs" in said
    assert "Traceback" not in said
    assert {one.pid for one in first.children()} == before
    assert await first.stop() == 0


@pytest.mark.long
async def test_a_data_folder_that_is_deleted_ends_the_service_with_a_sentence(
    tmp_path: Path,
) -> None:
    """Rather than to take orders that nobody finds any more."""
    service = await Service(tmp_path).start()
    children = service.children()
    assert service.process is not None
    # Whatever is written at this moment may come back once.
    shutil.rmtree(service.data, ignore_errors=True)
    async with asyncio.timeout(40):
        await service.process.communicate()
    assert service.process.returncode == EXIT_CONFIG
    assert "was deleted or replaced" in service.log.read_text()
    _, alive = await asyncio.to_thread(psutil.wait_procs, children, timeout=10)
    assert not alive


async def test_a_data_folder_that_cannot_be_written_is_told(
    shell: Shell, tmp_path: Path, mount: Mount
) -> None:
    disk = mount(tmp_path / "data", 1 << 20)
    (disk.root / "run").mkdir()
    disk.read_only()
    code, said = await shell.run("up")
    assert code == EXIT_CONFIG, said
    assert "DATA_DIR" in said
    assert "Read-only" in said
    assert "Traceback" not in said
