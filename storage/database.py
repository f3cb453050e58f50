"""Open the database: SQLite in WAL mode by default, Postgres by URL. One place for transactions."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from storage import migrate, one_hop, postgres

log = logging.getLogger(__name__)

Tx = AsyncConnection
Result = TypeVar("Result")
READERS = 4
TRIES = 4  # of a transaction that loses against others

PRAGMAS = (
    "PRAGMA busy_timeout = 30000",  # first, so that the others wait too
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
)


class Database:
    """One writer at a time in this process; readers beside it, each with its own snapshot."""

    def __init__(self, writer: AsyncEngine, readers: AsyncEngine) -> None:
        self._writer = writer
        self._readers = readers
        self._line = asyncio.Lock()
        self._writing = asyncio.Lock()

    @classmethod
    async def open(cls, url: str, *, patience_s: float = 0.0) -> "Database":
        """Migrate if need be, under a lock, then open. ``patience_s`` is for a server that is not
        there yet.
        """
        if postgres.is_postgres(url):
            return await cls._open_postgres(url, patience_s)
        await asyncio.to_thread(migrate.sqlite_to_newest, make_url(url))
        writer, readers = (
            create_async_engine(
                url,
                pool_size=size,
                max_overflow=0,
                hide_parameters=True,
                connect_args={"async_creator_fn": one_hop.connect},
            )
            for size in (1, READERS)
        )
        for engine, begin in ((writer, "BEGIN IMMEDIATE"), (readers, "BEGIN")):
            _prepare(engine, begin)
        return cls(writer, readers)

    @classmethod
    async def _open_postgres(cls, url: str, patience_s: float) -> "Database":
        database = cls(*postgres.engines(url))
        try:
            await postgres.wait_for(database._writer, migrate.postgres_to_newest, patience_s)
        except BaseException:
            await database.close()
            raise
        return database

    @property
    def file(self) -> Path | None:
        """Where it lies, if it is a file."""
        name = None if self.is_shared else self._writer.url.database
        return Path(name) if name and name != ":memory:" else None

    @property
    def is_shared(self) -> bool:
        """Several machines may work with it."""
        return self._writer.dialect.name == "postgresql"

    @asynccontextmanager
    async def write(self) -> AsyncIterator[Tx]:
        """A transaction that commits at the end and rolls back on any way out by an error."""
        async with self._line, self._writing, self._writer.begin() as tx:
            yield tx

    @asynccontextmanager
    async def write_soon(self) -> AsyncIterator[Tx]:
        """The same past the line of the others, for what is short and somebody waits for."""
        async with self._writing, self._writer.begin() as tx:
            yield tx

    async def retrying(self, change: Callable[[Tx], Awaitable[Result]]) -> Result:
        """`change` in a transaction of its own, and again where the server gave that up for the
        sake of another one: so it must do nothing but read and write rows. Raises DBAPIError.
        """
        for _ in range(TRIES - 1):
            try:
                async with self.write() as tx:
                    return await change(tx)
            except DBAPIError as error:
                if not postgres.is_worth_another_try(error):
                    raise
                log.info("a transaction lost to another one; again")
        async with self.write() as tx:
            return await change(tx)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        async with self._readers.connect() as tx:
            yield tx

    async def close(self) -> None:
        await self._writer.dispose()
        await self._readers.dispose()


def _prepare(engine: AsyncEngine, begin: str) -> None:
    """SQLite's driver must not begin transactions itself: a late BEGIN would not be IMMEDIATE."""

    @event.listens_for(engine.sync_engine, "connect")
    def _connect(connection: Any, _: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in PRAGMAS:
            cursor.execute(pragma)
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begin(connection: Connection) -> None:
        driver = connection.connection.driver_connection
        assert isinstance(driver, one_hop.Connection)  # noqa: S101  made by `open`
        driver.begin(begin)
