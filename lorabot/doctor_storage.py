"""Where things are kept, as `lorabot doctor` sees it: disk, database, Redis, store, secret files.

Nothing is made or migrated by looking.
"""

import asyncio
import os
import shutil
import stat
import time
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from lorabot.doctor_networks import PROBE_S
from lorabot.finding import Finding, Health
from storage import gauge_store, migrate, postgres, redis_server, rows, stores
from storage.settings import SECRETS, Settings

LOW_DISK_BYTES = 5_000_000_000
WORKER_S = 60.0
OTHERS = stat.S_IRWXG | stat.S_IRWXO
MOUNTED = Path("/run/secrets")  # a container's own, which nobody else sees
RESTORE = "stop lorabot, restore the last backup (docs/operations.md)"


async def data_folder(settings: Settings) -> Finding:
    free = shutil.disk_usage(settings.data_dir).free
    said = f"{settings.data_dir}, {free / 1e9:.0f} GB free"
    if not os.access(settings.data_dir, os.W_OK):
        return Finding("data", Health.FAIL, said, "make DATA_DIR writable for this user")
    if free < LOW_DISK_BYTES:
        return Finding("data", Health.WARN, said, "free some space, or move DATA_DIR")
    return Finding("data", Health.OK, said)


async def secret_files(settings: Settings) -> Finding:
    """Whatever holds a key or a token is for this user alone."""
    given = [Path(os.environ[f"{name}_FILE"]) for name in SECRETS if os.environ.get(f"{name}_FILE")]
    own = [settings.data_dir, *(settings.data_dir / name for name in ("secret.key", "lorabot.db"))]
    listed = [*own, Path(".env"), *(one for one in given if MOUNTED not in one.parents)]
    open_ = [path for path in listed if await asyncio.to_thread(_is_open, path)]
    if not open_:
        return Finding("secrets", Health.OK, "files with secrets are for this user alone")
    names = " ".join(str(path) for path in open_)
    fix = f"chmod go= {names}"
    return Finding("secrets", Health.WARN, "others on this machine may read them", fix)


def _is_open(path: Path) -> bool:
    return path.exists() and bool(path.stat().st_mode & OTHERS)


async def database(settings: Settings) -> Finding:
    url = settings.database
    if not _exists(url):
        return Finding("database", Health.OK, "none yet; the first start makes it")
    began = time.perf_counter()
    engine = _engine(url)
    try:
        async with engine.connect() as connection:
            kind, schema = await connection.run_sync(_looked_at)
    except (SQLAlchemyError, OSError) as error:
        said = str(error.orig) if isinstance(error, DBAPIError) else type(error).__name__
        fix = "check DATABASE_URL, or the rights of DATA_DIR"
        damaged = "malformed" in said or "not a database" in said
        return Finding("database", Health.FAIL, said, RESTORE if damaged else fix)
    finally:
        await engine.dispose()
    took = f"can be written ({(time.perf_counter() - began) * 1000:.0f} ms)"
    if schema > migrate.HEAD:
        fix = f"update this lorabot: it knows {migrate.HEAD}"
        return Finding("database", Health.FAIL, f"{kind}, schema {schema} of a newer one", fix)
    if schema < migrate.HEAD:
        said = f"{kind}, schema {schema or 'empty'}; the next start makes {migrate.HEAD}"
        return Finding("database", Health.OK, f"{said}, {took}")
    return Finding("database", Health.OK, f"{kind}, schema {schema}, {took}")


def _exists(url: str) -> bool:
    """A server is asked; a file must not come into being by a question."""
    return postgres.is_postgres(url) or Path(make_url(url).database or "").exists()


def _engine(url: str) -> AsyncEngine:
    if not postgres.is_postgres(url):
        return create_async_engine(url, connect_args={"timeout": PROBE_S}, hide_parameters=True)
    writer, _ = postgres.engines(url)
    return writer


def _looked_at(connection: sa.Connection) -> tuple[str, str]:
    """What it is and its schema; it raises where nothing can be written."""
    schema = rows.schema_of(connection)
    if schema:
        nothing = f"UPDATE {rows.VERSION} SET version_num = version_num WHERE 1 = 0"  # noqa: S608
        connection.execute(sa.text(nothing))
    if connection.dialect.name != "postgresql":
        return "SQLite", schema
    version = connection.execute(sa.text("SHOW server_version")).scalar_one()
    return f"Postgres {str(version).split(maxsplit=1)[0]}", schema


async def workers(settings: Settings) -> Finding:
    """Those that were heard of within a minute."""
    url = settings.database
    nobody = Finding("workers", Health.WARN, "none is running", "lorabot up, or lorabot worker")
    if not _exists(url):
        return Finding("workers", Health.OK, "none yet; lorabot up starts one")
    engine = _engine(url)
    try:
        async with engine.connect() as connection:
            known = await gauge_store.seen(connection)
    except (SQLAlchemyError, OSError):
        return nobody  # the line of the database says why
    finally:
        await engine.dispose()
    alive = [one.host for one in known if one.age_s < WORKER_S]
    if not alive:
        return nobody
    return Finding("workers", Health.OK, f"{len(alive)} on {', '.join(sorted(set(alive)))}")


async def redis(settings: Settings) -> Finding:
    if settings.redis_url is None:
        if binary := redis_server.find_binary():
            return Finding("redis", Health.OK, f"built in ({binary.name})")
        fix = "jobs start a second or two later; REDIS_URL or valkey-server would help"
        return Finding("redis", Health.WARN, "none", fix)
    from storage import doorbell

    url = settings.redis_url.get_secret_value()
    began = time.perf_counter()
    if fault := await doorbell.fault(url, PROBE_S):
        return Finding("redis", Health.FAIL, fault, "check REDIS_URL")
    took = f"{(time.perf_counter() - began) * 1000:.1f} ms"
    return Finding("redis", Health.OK, f"{took}, TLS" if url.startswith("rediss://") else took)


async def store(settings: Settings) -> Finding:
    found = await stores.check(settings)
    return Finding("store", Health.OK if found.works else Health.FAIL, found.said, found.fix)


async def lora_folder(settings: Settings) -> Finding:
    folder = settings.lora_dir
    if folder is None:
        fix = "set LORA_DIR to your image generator's LoRA folder"
        return Finding("lora folder", Health.WARN, "not set", fix)
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        fix = "create it, or make it writable for this user"
        return Finding("lora folder", Health.FAIL, f"{folder} cannot be written", fix)
    return Finding("lora folder", Health.OK, str(folder))
