"""`lorabot restore`: a backup into an empty place, checked byte by byte before it counts.

Everything is laid beside its place first. The database comes last, so that what a kill leaves
behind is never taken for a service.
"""

import asyncio
import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from lorabot.backup import FORMAT, About, BackupError, Choice, below
from lorabot.backup_file import ABOUT, DATABASE, MOST_ABOUT, ROWS, BackupFileError, Reader
from lorabot.up import AlreadyRunningError, only_one
from storage import migrate, postgres, rows
from storage.blob_store import fsync_folder
from storage.blobs import StoreError
from storage.job import RUNNING
from storage.settings import Settings
from storage.stores import blobs_of

LAYING = ".restoring"
OURS = frozenset({"run", LAYING})
# Who was alive where the backup was made is not alive here.
ELSEWHERE = ("workers", "hosts")
ACTIVE = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('trigger', 'view')"


def restore(settings: Settings, source: Path) -> str:
    """Take ``source`` back; what is said about it."""
    laid = settings.data_dir / LAYING
    with _refusing(source), only_one(settings.data_dir):
        _refuse_what_is_there(settings)
        shutil.rmtree(laid, ignore_errors=True)
        laid.mkdir(mode=0o700)
        try:
            about = _lay(source, laid)
            count = _put(settings, about, laid)
        finally:
            shutil.rmtree(laid, ignore_errors=True)
    said = f"Restored {count} files from {source} (lorabot {about.version}, schema {about.schema})."
    if not about.files:
        said += "\nPhotos and models are where BLOB_URL points to, if it is the same store."
    return f"{said}\nStart it as usual. The service that it came from must not run any more."


def check(source: Path) -> str:
    """Read all of ``source`` and write nothing."""
    with _refusing(source), source.open("rb") as file:
        reader = Reader(file)
        about = None
        for name, size in reader.members():
            about = about or _about(reader, name, size)
    assert about is not None  # noqa: S101  a file without it has been refused
    return f"{source} is whole: {len(reader.sums)} files, schema {about.schema}."


@contextmanager
def _refusing(source: Path) -> Iterator[None]:
    """Whatever goes wrong, as a sentence."""
    try:
        yield
    except (BackupFileError, rows.RowsError) as error:
        raise BackupError(f"{source} is not used: {error}.") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BackupError(f"{source} is not used: what it says cannot be read.") from error
    except AlreadyRunningError as error:
        raise BackupError(f"lorabot runs on {error}. Stop it first.") from error
    except StoreError as error:
        raise BackupError(f"the files were not restored: {error}.") from error
    except OSError as error:
        where = error.filename or source
        raise BackupError(f"nothing was restored: {error.strerror} ({where}).") from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        said = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise BackupError(f"the database was not restored: {said}") from error


def _refuse_what_is_there(settings: Settings) -> None:
    there = sorted({path.name for path in settings.data_dir.iterdir()} - OURS)
    if there:
        raise BackupError(
            f"{settings.data_dir} is not empty ({there[0]}). Set DATA_DIR to a new folder."
        )


def _lay(source: Path, laid: Path) -> About:
    """Everything under its name below ``laid``, checked; nothing of it counts yet."""
    free = shutil.disk_usage(laid).free
    if source.stat().st_size > free:
        raise BackupError(
            f"it needs {source.stat().st_size / 1e9:.1f} GB, {free / 1e9:.1f} are free."
        )
    with source.open("rb") as file:
        reader = Reader(file)
        about = None
        for name, size in reader.members():
            if about is None:
                about = _about(reader, name, size)
                continue
            path = laid / name
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(handle, "wb") as out:  # noqa: PTH123  a descriptor has no path
                out.writelines(reader.chunks())
                out.flush()
                os.fsync(out.fileno())
    database = DATABASE if about and about.database == "sqlite" else ROWS
    if about is None or not (laid / database).is_file():
        raise BackupFileError("it has no database")
    return about


def _about(reader: Reader, name: str, size: int) -> About:
    if name != ABOUT or size > MOST_ABOUT:
        raise BackupFileError("it does not begin as a backup does")
    told: dict[str, Any] = json.loads(b"".join(reader.chunks()))
    if told.get("format") != FORMAT or str(told.get("schema", "")) > migrate.HEAD:
        version = str(told.get("version"))[:20]
        raise BackupFileError(f"a newer lorabot ({version}) made it; update this one first")
    try:
        return About(**{**told, "choice": Choice(**told["choice"])})
    except (TypeError, KeyError) as error:
        raise BackupFileError("it does not say what it is") from error


def _put(settings: Settings, about: About, laid: Path) -> int:
    """Into their places, the database last."""
    count = sum(path.is_file() for path in laid.rglob("*"))
    if settings.blob_url:
        asyncio.run(_into_store(settings, dict(below(laid / "blobs"))))
        shutil.rmtree(laid / "blobs", ignore_errors=True)
    moved = [path for path in laid.iterdir() if path.name not in {DATABASE, ROWS}]
    if postgres.is_postgres(settings.database):
        asyncio.run(_into_postgres(settings.database, about, laid))
    for path in moved:
        path.rename(settings.data_dir / path.name)
    if not postgres.is_postgres(settings.database):
        ready = laid / DATABASE
        ready.touch(mode=0o600)
        _into_sqlite(ready, about, laid)
        target = Path(make_url(settings.database).database or "")
        os.link(ready, target)
    fsync_folder(settings.data_dir)
    return count


async def _into_store(settings: Settings, files: dict[str, Path]) -> None:
    """A service that gets a store elsewhere brings its files along. Again is no harm."""
    store = blobs_of(settings)
    for key, path in files.items():
        await store.put_file(key, path)


def _into_sqlite(ready: Path, about: About, laid: Path) -> None:
    """As it was; of rows a new one is made."""
    url = sa.URL.create("sqlite", database=str(ready))
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        if about.database == "rows":
            migrate.to_version(connection, about.schema)
            with (laid / ROWS).open(encoding="utf-8") as lines:
                rows.load(connection, lines)
        else:
            _refuse_a_strange_one(ready, about)
        _forget_elsewhere(connection)


def _refuse_a_strange_one(path: Path, about: About) -> None:
    with closing(sqlite3.connect(path)) as found:
        (state,) = found.execute("PRAGMA quick_check(1)").fetchone()
        (schema,) = found.execute(f"SELECT version_num FROM {rows.VERSION}").fetchone()  # noqa: S608
        active = frozenset(found.execute(ACTIVE).fetchall())
    if state != "ok" or schema != about.schema or active != _active_in(schema):
        raise BackupFileError("its database is not one of ours, or damaged")


def _active_in(schema: str) -> frozenset[tuple[str, ...]]:
    """What acts by itself in a database of that version, word for word: nothing else may."""
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        migrate.to_version(connection, schema)
        found = connection.exec_driver_sql(ACTIVE).all()
    engine.dispose()
    return frozenset(tuple(row) for row in found)


async def _into_postgres(url: str, about: About, laid: Path) -> None:
    """All of it or nothing, into an empty database."""
    writer, readers = postgres.engines(url)
    try:
        async with writer.begin() as connection:
            await connection.execute(sa.text("SET LOCAL statement_timeout = 0"))
            await connection.run_sync(_fill, about, laid)
        await migrate.postgres_to_newest(writer)
    finally:
        await writer.dispose()
        await readers.dispose()


def _fill(connection: sa.Connection, about: About, laid: Path) -> None:
    if rows.schema_of(connection):
        raise BackupError("the database at DATABASE_URL is not empty. Name a new one.")
    migrate.to_version(connection, about.schema)
    with _lines(about, laid) as lines:
        rows.load(connection, lines)
    _forget_elsewhere(connection)


@contextmanager
def _lines(about: About, laid: Path) -> Iterator[Iterable[str]]:
    """Rows, also of a service that was on one machine until now."""
    if about.database == "rows":
        with (laid / ROWS).open(encoding="utf-8") as lines:
            yield lines
        return
    _refuse_a_strange_one(laid / DATABASE, about)
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(laid / DATABASE)))
    with engine.connect() as connection:
        yield rows.dump(connection)
    engine.dispose()


def _forget_elsewhere(connection: sa.Connection) -> None:
    """Leases run out by themselves; what was running then is tried again, and not counted."""
    known = sa.inspect(connection).get_table_names()
    for name in ELSEWHERE:
        if name in known:
            connection.execute(sa.table(name).delete())
    jobs = sa.table("jobs", sa.column("state"), sa.column("attempts"))
    ran = jobs.c.state.in_(sorted(state.value for state in RUNNING))
    again = jobs.update().where(ran, jobs.c.attempts > 0)
    connection.execute(again.values(attempts=jobs.c.attempts - 1))
