"""How often the database's thread is visited, counted on a real file."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage import one_hop


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE one (number INTEGER)")
    connection.close()
    return path


@pytest.fixture
async def connection(file: Path) -> AsyncIterator[one_hop.Connection]:
    one = one_hop.connect(file, isolation_level=None)
    await one
    yield one
    await one.close()


def others_see(file: Path) -> list[int]:
    connection = sqlite3.connect(file)
    found = [number for (number,) in connection.execute("SELECT number FROM one")]
    connection.close()
    return found


async def test_a_transaction_begins_with_its_first_statement(
    connection: one_hop.Connection, file: Path
) -> None:
    connection.begin("BEGIN IMMEDIATE")
    before = connection.in_transaction
    await connection.run("INSERT INTO one VALUES (?)", (1,))
    await connection.run("INSERT INTO one VALUES (?)", (2,))
    assert (before, connection.in_transaction) == (False, True)
    assert others_see(file) == []
    await connection.commit()
    assert others_see(file) == [1, 2]


async def test_what_was_begun_and_never_used_leaves_nothing(
    connection: one_hop.Connection,
) -> None:
    connection.begin("BEGIN IMMEDIATE")
    await connection.rollback()
    await connection.run("SELECT 1", ())
    assert not connection.in_transaction


async def test_a_statement_that_nobody_waits_for_any_more_is_rolled_back(
    connection: one_hop.Connection, file: Path
) -> None:
    connection.begin("BEGIN IMMEDIATE")
    task = asyncio.create_task(connection.run("INSERT INTO one VALUES (?)", (1,)))
    await asyncio.sleep(0)  # it is on its way to the thread
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await connection.rollback()
    assert not connection.in_transaction
    assert others_see(file) == []


async def test_a_refused_beginning_is_an_error_of_the_statement(
    connection: one_hop.Connection, file: Path
) -> None:
    await connection.run("PRAGMA busy_timeout = 0", ())
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    connection.begin("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        await connection.run("INSERT INTO one VALUES (?)", (1,))
    await connection.rollback()
    other.rollback()
    other.close()
    assert others_see(file) == []


async def test_a_statement_that_fails_can_be_rolled_back(
    connection: one_hop.Connection, file: Path
) -> None:
    connection.begin("BEGIN IMMEDIATE")
    await connection.run("INSERT INTO one VALUES (?)", (1,))
    with pytest.raises(sqlite3.OperationalError):
        await connection.run("INSERT INTO nowhere VALUES (?)", (1,))
    await connection.rollback()
    assert (connection.in_transaction, others_see(file)) == (False, [])
