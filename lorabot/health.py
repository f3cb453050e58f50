"""`lorabot health`: an exit code for whoever watches processes, as a container's health check does.

It asks from outside: the bot over HTTP, the worker by its last sign of life in the database.
"""

import asyncio
import socket
import urllib.request
from enum import StrEnum
from pathlib import Path
from urllib.error import URLError

from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine

from storage import gauge_store, postgres
from storage.settings import Settings

ANSWER_S = 5.0
SILENT_S = 60.0


class Part(StrEnum):
    BOT = "bot"
    WORKER = "worker"


def sick(settings: Settings, part: Part) -> str:
    """What is wrong with it; empty when it is well."""
    if part is Part.BOT:
        return _bot(settings.web_port)
    try:
        return asyncio.run(_worker(settings.database))
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        said = str(error.orig) if isinstance(error, DBAPIError) else type(error).__name__
        return f"the database does not answer ({said.splitlines()[0] if said else '?'})"


def _bot(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=ANSWER_S):
            return ""
    except (URLError, OSError) as error:
        return f"the bot does not answer on port {port} ({type(error).__name__})"


async def _worker(url: str) -> str:
    """A worker of this host that was heard of within a minute. Nothing is made or migrated. Raises
    TimeoutError.
    """
    host = socket.gethostname()
    if postgres.is_postgres(url):
        writer, readers = postgres.engines(url)
        await writer.dispose()
    elif (path := Path(make_url(url).database or "")).is_file():
        readers = create_async_engine(f"sqlite+aiosqlite:///file:{path}?mode=ro&uri=true")
    else:
        return "there is no database yet"
    try:
        async with asyncio.timeout(2 * ANSWER_S), readers.connect() as tx:
            ages = [one.age_s for one in await gauge_store.seen(tx) if one.host == host]
    finally:
        await readers.dispose()
    if not ages:
        return f"no worker of {host} has been heard of"
    return "" if min(ages) < SILENT_S else f"the worker has been silent for {min(ages):.0f} s"
