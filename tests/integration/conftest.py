"""What many tests of this folder begin with; a file that needs another one makes its own."""

from pathlib import Path

import pytest

from pictures.sandbox import Cells
from storage.database import Database
from tests import impatient
from tests.bot_api import BotApi
from tests.bot_api.adapter import Start, starter


@pytest.fixture
def bot(api: BotApi, database: Database, cells: Cells, tmp_path: Path) -> Start:
    return starter(api, database, cells, tmp_path)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient.shorten(monkeypatch)
