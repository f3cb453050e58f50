"""`lorabot backup`, `restore` and `health` as they are typed: sentences and exit codes."""

import asyncio
from pathlib import Path

import pytest

from storage.database import Database
from tests.e2e.test_commands import Shell

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


async def test_there_and_back(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    await (await Database.open(f"sqlite+aiosqlite:///{tmp_path / 'data' / 'lorabot.db'}")).close()
    code, said = await shell.run("backup", "one.backup")
    assert code == 0, said
    code, said = await shell.run("restore", "one.backup", DATA_DIR=str(tmp_path / "new"))
    assert code == 0, said
    assert (tmp_path / "new" / "lorabot.db").is_file()


async def test_what_cannot_be_done_is_a_sentence(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "no.backup").write_text("hello")
    asked = {
        ("backup", "two.backup"): "start lorabot once",
        ("restore", "no.backup"): "is not used",
        ("health", "worker"): "no database yet",
        ("health", "bot"): "does not answer on port 1",
    }
    found = await asyncio.gather(*(shell.run(*words, WEB_PORT="1") for words in asked))
    for (code, said), expected in zip(found, asked.values(), strict=True):
        assert (code, expected in said, "Traceback" in said) == (1, True, False), said
    assert {path.name for path in tmp_path.iterdir()} == {"no.backup", "data"}
