"""Bring the database to the newest schema, once, however many processes start at the same time."""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine

HEAD = "0009"
SCRIPTS = Path(__file__).parent / "migrations"
DAMAGES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
LOCK = 0x6C6F7261  # any number, as long as it is ours: Postgres' advisory lock


class NewerSchemaError(Exception):
    """The database was written by a newer lorabot; update this one before it touches it."""


class DamagedError(Exception):
    """The file is there, and is no database, or no whole one. Nothing of it was changed."""


def sqlite_to_newest(url: URL) -> None:
    """Run what is missing, all of it or nothing: a start that is killed can be repeated. Raises
    NewerSchemaError and DamagedError.
    """
    try:
        _sqlite_to_newest(url)
    except sa.exc.DatabaseError as error:
        if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF not in DAMAGES:
            raise
        raise DamagedError(
            f"The database {url.database} is damaged ({error.orig}). It was left as it is. Move it "
            "away, with its -wal and -shm if there are any, and restore a backup: see "
            "docs/operations.md."
        ) from error


def _sqlite_to_newest(url: URL) -> None:
    # The driver must not manage transactions: by itself it commits before each CREATE TABLE.
    engine = sa.create_engine(
        url.set(drivername="sqlite"),
        poolclass=sa.NullPool,
        connect_args={"isolation_level": None, "timeout": 30},
    )
    with _locked(url), engine.connect() as connection:
        if _is_newest(connection):
            return
        # Kept in the file. Done here, because whoever switches must be alone with it.
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        _upgrade(connection)
        connection.commit()


async def postgres_to_newest(engine: AsyncEngine) -> None:
    """The same through the driver that the program itself uses; the lock ends with the commit."""
    async with engine.begin() as connection:
        # To wait for another process, or to rewrite a large table, may take its time.
        await connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
        await connection.execute(sa.text("SET LOCAL lock_timeout = 0"))
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
        if not await connection.run_sync(_is_newest):
            await connection.run_sync(_upgrade)


def _is_newest(connection: sa.Connection) -> bool:
    if not sa.inspect(connection).has_table("alembic_version"):
        return False
    found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    if found is not None and found > HEAD:
        raise NewerSchemaError(
            f"The database has schema {found}, and this version knows {HEAD}: it was written by a "
            "newer lorabot. Update this one."
        )
    return found == HEAD


def to_version(connection: sa.Connection, version: str) -> None:
    """An empty database as that version made it; the rest comes with the next start."""
    _upgrade(connection, version)


def _upgrade(connection: sa.Connection, version: str = "head") -> None:
    # Imported only when there is something to do: it costs time and memory.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, version)


@contextmanager
def _locked(url: URL) -> Iterator[None]:
    """One process at a time; a database in memory has only one."""
    if not url.database or url.database == ":memory:":
        yield
        return
    path = Path(url.database)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.migrating").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
