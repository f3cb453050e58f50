"""What more than one ring of tests needs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from pictures.sandbox import Cells
from storage.database import Database

Look = Callable[[], Awaitable[object]]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    one = await Database.open(f"sqlite+aiosqlite:///{tmp_path / 'test.db'}")
    yield one
    await one.close()


@pytest.fixture
async def cells() -> AsyncIterator[Cells]:
    """One child that opens pictures; it starts with the first of them."""
    async with Cells(1) as one:
        yield one


async def eventually(look: Look, within_s: float = 20.0) -> object:
    """The first truth that ``look`` finds. Rows tell nobody when they change, so it asks."""
    async with asyncio.timeout(within_s):
        while not (found := await look()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return found
