"""How we speak to Postgres: engines, time limits, and one kind of error for whatever goes wrong.

The address is read by the driver itself, so that all that libpq knows may stand in it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

log = logging.getLogger(__name__)

SCHEMES = ("postgresql://", "postgres://", "postgresql+asyncpg://")
CONNECT_S = 10.0
ANSWER_S = 40.0  # whoever is cut off from the server hears nothing: then this is the end
# The server's own limits, in its milliseconds. A process that was frozen in a transaction must
# hold up the others no longer than a lease.
LIMITS = {
    "application_name": "lorabot",
    "statement_timeout": "30000",
    "lock_timeout": "15000",
    "idle_in_transaction_session_timeout": "15000",
}
AGAIN_S = 0.5
# Classes of SQLSTATE that another try does not mend: a wrong password, no such database, no right.
HOPELESS = ("28", "3D", "42")
AGAIN = frozenset({"40001", "40P01"})  # serialization failure, deadlock


def is_postgres(url: str) -> bool:
    return url.startswith(SCHEMES)


def is_worth_another_try(error: DBAPIError) -> bool:
    """The server gave up this transaction for the sake of another one."""
    return _sqlstate(error) in AGAIN


def _sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None) or "")


def engines(url: str) -> tuple[AsyncEngine, AsyncEngine]:
    """For writing, and for reading: a reader sees one moment, and can change nothing."""
    writer = _engine(url, size=2)
    readers = _engine(
        url,
        size=4,
        isolation_level="REPEATABLE READ",
        execution_options={"postgresql_readonly": True},
    )
    return writer, readers


def _engine(url: str, *, size: int, **options: Any) -> AsyncEngine:
    import asyncpg

    dsn = url.replace("postgresql+asyncpg://", "postgresql://", 1)
    # The last: a server that dies amid the first words leaves the driver in a state of its own.
    failures = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

    async def connect() -> Any:
        try:
            return await asyncpg.connect(
                dsn, timeout=CONNECT_S, command_timeout=ANSWER_S, server_settings=LIMITS
            )
        except (OSError, TimeoutError, *failures) as error:
            # The driver's own, where the network's would go past everybody who waits for it.
            dbapi = engine.dialect.loaded_dbapi
            raise dbapi.OperationalError(_said(error), error) from error

    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=size,
        max_overflow=0,
        pool_pre_ping=True,  # after a restart of the server the old connections are dead
        hide_parameters=True,
        **options,
    )
    event.listen(engine.sync_engine, "handle_error", _translate)
    return engine


def _translate(context: ExceptionContext) -> None:
    """An answer that never came is the database's error, too, and that connection's end."""
    error = context.original_exception
    if isinstance(error, OSError | TimeoutError) and context.sqlalchemy_exception is None:
        context.is_disconnect = True
        raise OperationalError(context.statement, None, error, hide_parameters=True) from error


def _said(error: BaseException) -> str:
    """Without details: they may name rows."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__


async def wait_for(
    engine: AsyncEngine, work: Callable[[AsyncEngine], Awaitable[None]], patience_s: float
) -> None:
    """Until the server has done it: in a new installation it may start after us, and it may die as
    we begin. ``work`` must do no harm twice. Raises DBAPIError.
    """
    until = time.monotonic() + patience_s
    while True:
        try:
            return await work(engine)
        except DBAPIError as error:
            if _sqlstate(error)[:2] in HOPELESS or time.monotonic() > until:
                raise
            log.warning("the database does not answer yet (%s)", error.orig)
        await asyncio.sleep(AGAIN_S)
