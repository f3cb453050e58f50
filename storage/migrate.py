"""Bring the database to the newest schema, once, however many processes start at the same time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

HEAD = "0001"
SCRIPTS = Path(__file__).parent / "migrations"
LOCK = 0x6C6F7261  # any number, as long as it is ours: Postgres' advisory lock


class NewerSchemaError(Exception):
    """The database was written by a newer lorabot; update this one before it touches it."""


def to_newest(url: str) -> None:
    """Run what is missing. Alembic is imported only then: it costs time and memory."""
    sync = _synchronous(make_url(url))
    engine = sa.create_engine(sync, poolclass=sa.NullPool)
    with _locked(sync, engine):
        found = _version(engine)
        if found is not None and found > HEAD:
            raise NewerSchemaError(f"schema {found}, this version knows {HEAD}")
        if found != HEAD:
            _upgrade(engine)


def _synchronous(url: URL) -> URL:
    """Migrations are plain code: the same database through its ordinary driver."""
    names = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
    return url.set(drivername=names[url.get_backend_name()])


def _version(engine: sa.Engine) -> str | None:
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(engine: sa.Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def _locked(url: URL, engine: sa.Engine) -> Iterator[None]:
    if url.get_backend_name() == "sqlite" and url.database:
        path = Path(url.database)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.with_name(f"{path.name}.migrating").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        return
    with engine.connect() as connection:
        connection.execute(sa.text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})
        yield
