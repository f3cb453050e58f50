"""aiosqlite with one visit to its thread for each statement, where SQLAlchemy's way makes five.

To open a cursor, run, fetch and close are a visit each; here they are one, because all rows are
fetched anyway. A transaction begins with its first statement, in the same visit, and is rolled back
only if there is something to roll back. Everything else is aiosqlite's.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import aiosqlite

CHUNK = 64  # aiosqlite's own number of rows at a time, for cursors that nobody opens here


@dataclass(slots=True)
class Answer:
    """What a cursor knows once its statement has run."""

    rows: list[Any] = field(default_factory=list)
    description: Any = None
    rowcount: int = -1
    lastrowid: int | None = None


class Cursor:
    """What SQLAlchemy asks of a cursor, answered from memory except for the statement itself."""

    arraysize = 1

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._answer = Answer()

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, statement: str, values: Any = ()) -> None:
        self._answer = await self._connection.run(statement, values)

    async def executemany(self, statement: str, many: Sequence[Any]) -> None:
        self._answer = await self._connection.run(statement, many, many=True)

    async def fetchall(self) -> list[Any]:
        return self._answer.rows

    async def close(self) -> None:
        """The one in the thread is closed already."""

    @property
    def description(self) -> Any:
        return self._answer.description

    @property
    def rowcount(self) -> int:
        return self._answer.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._answer.lastrowid


class Connection(aiosqlite.Connection):
    _begin = ""  # what the next statement is to begin
    _used = False  # since the last end of a transaction

    def cursor(self) -> Cursor:  # type: ignore[override]  # no visit is needed for it
        return Cursor(self)

    def begin(self, how: str) -> None:
        """A transaction, with the next statement: that one also waits for the lock."""
        self._begin = how

    async def run(self, statement: str, values: Any, *, many: bool = False) -> Answer:
        begin, self._begin = self._begin, ""
        # Also where nobody waits for the answer any more: the thread goes on.
        self._used = True
        visit: Callable[..., Awaitable[Answer]] = self._execute
        return await visit(_run, self._conn, begin, statement, values, many)

    async def commit(self) -> None:
        await self._end(super().commit)

    async def rollback(self) -> None:
        await self._end(super().rollback)

    async def _end(self, how: Callable[[], Awaitable[None]]) -> None:
        self._begin = ""
        if self._used:
            await how()
            self._used = False


def _run(
    connection: sqlite3.Connection,
    begin: str,
    statement: str,
    values: Any,
    many: bool,  # noqa: FBT001
) -> Answer:
    if begin:
        connection.execute(begin).close()
    with closing(connection.cursor()) as cursor:
        if many:
            cursor.executemany(statement, values)
        else:
            cursor.execute(statement, values)
        rows = cursor.fetchall() if cursor.description else []
        return Answer(rows, cursor.description, cursor.rowcount, cursor.lastrowid)


def connect(database: str | Path, **options: Any) -> Connection:
    """What SQLAlchemy awaits for a new connection; its thread ends with the program."""
    made = Connection(lambda: sqlite3.connect(database, **options), CHUNK)
    made._thread.daemon = True  # noqa: SLF001  as SQLAlchemy does with its own
    return made
