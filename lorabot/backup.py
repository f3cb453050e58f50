"""`lorabot backup`: one file with all that a service needs to go on elsewhere, while it runs.

The database comes first, as it is at one moment, then the files: what a row names was stored
before the row, so it is there, unless somebody had it deleted meanwhile.
"""

import asyncio
import importlib.metadata
import json
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from bot import draft
from lorabot.backup_file import ABOUT, DATABASE, ROWS, BackupFileError, Writer, is_ours
from lorabot.backup_store import add_store
from storage import postgres, rows
from storage.blob_store import MAKING, photo_key
from storage.job import LIVE
from storage.settings import Settings

FORMAT = 1
PHOTOS = ("photos", "shown")
ARTIFACTS = ("artifacts", "samples")
LEFT_OUT = ("exports",)  # made anew for whoever asks again


class BackupError(Exception):
    """It was not made, or not taken back; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What goes along beside the database, the key and the lists."""

    photos: bool = True
    artifacts: bool = True
    models: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The first thing in the file. ``database`` is "sqlite" or "rows"; ``files``: they are in it,
    and not in a store elsewhere.
    """

    format: int
    version: str
    schema: str
    made_at: float
    database: str
    files: bool
    choice: Choice


@dataclass(frozen=True, slots=True)
class Kept:
    """Photos that somebody still waits for: they go along whatever was chosen."""

    keys: frozenset[str] = frozenset()


def make(settings: Settings, target: Path, choice: Choice, *, files: bool = False) -> str:
    """Write ``target``; what is said about it. Nothing half done is left. ``files``: with those of
    a store elsewhere.
    """
    if target.exists():
        raise BackupError(f"{target} is there already. Name another file, or move it away.")
    if not target.parent.is_dir():
        raise BackupError(f"there is no folder {target.parent}.")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".lorabot-backup-") as folder:
            return _make(settings, target, choice, Path(folder), files=files)
    except (OSError, BackupFileError) as error:
        raise BackupError(f"the backup was not made: {error}") from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        said = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise BackupError(f"the database could not be read: {said}") from error


def _make(settings: Settings, target: Path, choice: Choice, folder: Path, *, files: bool) -> str:
    made = folder / "making"
    handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(handle, "wb") as file:  # noqa: PTH123  a descriptor has no path
        writer = Writer(file)
        about = _database(settings, choice, folder, writer, files=files)
        kept = Kept() if choice.photos else _kept(folder, about)
        for name, path in _files(settings, choice, kept):
            writer.add(name, path)
        if settings.blob_url and files:
            asyncio.run(add_store(settings, writer, partial(_is_wanted, choice, kept)))
        writer.close()
        file.flush()
        os.fsync(file.fileno())
        size = file.tell()
    # A link refuses where a rename would overwrite.
    os.link(made, target)
    said = f"{target}: {len(writer.sums)} files, {size / 1e6:.1f} MB, schema {about.schema}."
    if not about.files:
        said += (
            "\nPhotos and models lie in BLOB_URL and are not in it: --files takes them along, or"
            " back that up by its own means."
        )
    return f"{said}\nWhoever has this file has every photo and key in it: keep it to yourself."


def _database(
    settings: Settings, choice: Choice, folder: Path, writer: Writer, *, files: bool
) -> About:
    """The snapshot, and before it what it is."""
    if postgres.is_postgres(settings.database):
        kind, path = "rows", folder / ROWS
        schema = asyncio.run(_rows_of(settings.database, path))
    else:
        kind, path = "sqlite", folder / DATABASE
        schema = snapshot(Path(make_url(settings.database).database or ""), path)
    about = About(
        format=FORMAT,
        version=importlib.metadata.version("lorabot"),
        schema=schema,
        made_at=time.time(),
        database=kind,
        files=files or not settings.blob_url,
        choice=choice,
    )
    writer.add_bytes(ABOUT, json.dumps(asdict(about), indent=1).encode())
    writer.add(path.name, path)
    return about


def snapshot(source: Path, target: Path) -> str:
    """SQLite's own way of copying a file that others write to; the version of its schema."""
    if not source.is_file():
        raise BackupError(f"there is no database at {source} yet: start lorabot once.")
    live = closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True))
    with live as origin, closing(sqlite3.connect(target)) as copy:
        origin.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")
        (state,) = copy.execute("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            raise BackupError(f"the database is damaged ({state}); nothing was saved.")
        (schema,) = copy.execute(f"SELECT version_num FROM {rows.VERSION}").fetchone()  # noqa: S608
        return str(schema)


async def _rows_of(url: str, target: Path) -> str:
    """Everything as it is at one moment: readers see one moment, and can change nothing."""
    writer, readers = postgres.engines(url)
    try:
        async with readers.connect() as connection:
            return await connection.run_sync(_write_rows, target)
    finally:
        await writer.dispose()
        await readers.dispose()


def _write_rows(connection: sa.Connection, target: Path) -> str:
    schema = rows.schema_of(connection)
    if not schema:
        raise BackupError("the database is empty: start lorabot once.")
    with target.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in rows.dump(connection))
    return schema


def _kept(folder: Path, about: About) -> Kept:
    """Of jobs that have not ended, and of drafts."""
    if about.database == "rows":
        with (folder / ROWS).open(encoding="utf-8") as lines:
            found = [json.loads(line) for line in lines]
        jobs = [row for name, row in found if name == "jobs"]
        drafts = [row["text"] for name, row in found if name == "conversations"]
    else:
        with closing(sqlite3.connect(folder / DATABASE)) as copy:
            asked = copy.execute("SELECT state, photos FROM jobs").fetchall()
            jobs = [{"state": state, "photos": photos} for state, photos in asked]
            drafts = [text for (text,) in copy.execute("SELECT text FROM conversations")]
    live = {state.value for state in LIVE}
    texts = [row["photos"] for row in jobs if row["state"] in live]
    wanted = {one["sha256"] for text in texts for one in json.loads(text)}
    wanted |= {photo.sha256 for text in drafts for photo in draft.from_json(text).photos}
    return Kept(frozenset(photo_key(sha256) for sha256 in wanted))


def _files(settings: Settings, choice: Choice, kept: Kept) -> Iterator[tuple[str, Path]]:
    data = settings.data_dir
    lists = {
        "secret.key": data / "secret.key",
        "bases.toml": settings.bases_file or data / "bases.toml",
        "prepare.toml": data / "prepare.toml",
        "blocklist.txt": settings.block_list or data / "blocklist.txt",
    }
    yield from ((name, path) for name, path in lists.items() if path.is_file())
    if not settings.blob_url:
        for key, path in below(data / "blobs"):
            if _is_wanted(choice, kept, key):
                yield f"blobs/{key}", path
    if choice.models:
        for key, path in below(data / "models"):
            yield f"models/{key}", path


def _is_wanted(choice: Choice, kept: Kept, key: str) -> bool:
    kind = key.partition("/")[0]
    without = LEFT_OUT + (() if choice.photos else PHOTOS) + (() if choice.artifacts else ARTIFACTS)
    return key in kept.keys or kind not in without


def below(folder: Path) -> Iterator[tuple[str, Path]]:
    """Files by their key: no links, and nothing that is being written at this moment."""
    for parent, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            path = Path(parent, name)
            key = path.relative_to(folder).as_posix()
            if not name.startswith(MAKING) and not path.is_symlink() and is_ours(f"blobs/{key}"):
                yield key, path
