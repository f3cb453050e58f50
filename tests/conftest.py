"""What more than one ring of tests needs."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from pictures.sandbox import Cells
from storage import migrate
from storage.database import Database
from tests import postgres, tiny_base
from tests.bot_api import BotApi, Person
from tests.patience import PATIENCE_S
from tests.s3 import S3, s3_server

os.environ.setdefault("ORT_LOAD_CONFIG_FROM_MODEL", "1")  # of tests/truth/graph.py

Look = Callable[[], Awaitable[object]]
# Whole services. What takes longest begins first, so that nobody is left alone with it at the end.
LONGEST = ("tests/torture/", "tests/e2e/", "tests/faults/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A module with ``ON_BOTH = True`` has its tests of the database on SQLite and Postgres."""
    if getattr(metafunc.module, "ON_BOTH", False) and "database_url" in metafunc.fixturenames:
        metafunc.parametrize("database_url", ["sqlite", "postgres"], indirect=True)


@pytest.fixture
async def api() -> AsyncIterator[BotApi]:
    async with BotApi() as one:
        yield one


@pytest.fixture
def ada(api: BotApi) -> Person:
    return api.person("Ada")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """One for the session; it starts with the first test that wants it."""
    server = postgres.Server(postgres.found_or_skip()).create()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """One for the session; it starts with the first test that wants it."""
    with s3_server() as server:
        yield server


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all our tables and nothing in them: a copy of it is there at once."""
    path = tmp_path_factory.mktemp("migrated") / "test.db"
    migrate.sqlite_to_newest(make_url(sqlite_url(path)))
    assert not path.with_name(f"{path.name}-wal").exists()
    return path


def sqlite_url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


@pytest.fixture
async def database_url(request: pytest.FixtureRequest, migrated_file: Path, tmp_path: Path) -> str:
    """Of a database with nothing in it: a file, or one in a real Postgres."""
    if getattr(request, "param", "sqlite") == "sqlite":
        shutil.copy(migrated_file, tmp_path / "test.db")
        return sqlite_url(tmp_path / "test.db")
    server: postgres.Server = request.getfixturevalue("postgres_server")
    return await server.fresh()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    one = await Database.open(database_url)
    yield one
    await one.close()


@pytest.fixture
async def cells() -> AsyncIterator[Cells]:
    """One child that opens pictures; it starts with the first of them."""
    async with Cells(1) as one:
        yield one


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """torch on one core: they are shared, and another number of threads adds in another order."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def base() -> Path:
    """A folder of the demo's family with random weights; nobody changes it."""
    return tiny_base.made()


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four squares with captions; nobody changes them."""
    from tests.families import SIDE, dataset_of

    return dataset_of(tmp_path_factory.mktemp("pictures"), ((SIDE, SIDE),) * 4)


async def eventually(look: Look, within_s: float = PATIENCE_S) -> object:
    """The first truth that ``look`` finds. Rows tell nobody when they change, so it asks."""
    async with asyncio.timeout(within_s):
        while not (found := await look()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return found
