"""Opening, migrating and transactions, with real files and real processes."""

import asyncio
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import op
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateIndex

from storage import job_lists, job_store, migrate
from storage.database import Database
from storage.job import Job
from storage.schema import metadata
from tests.jobs import make_job
from tests.patience import PATIENCE_S

DOWNWARD = {"jobs_line", "jobs_line_of"}
ONE_WRITE = """
import asyncio, sys
from storage import job_lists, job_store
from storage.database import Database
from tests.jobs import make_job

async def main():
    database = await Database.open(sys.argv[1])
    async with database.write() as tx:
        await job_store.add(tx, make_job())
    await database.close()
    print("alembic" in sys.modules)

asyncio.run(main())
"""
CLAIM_ALL = """
import asyncio, sys
from storage import host, job_lists, job_store
from storage.database import Database

async def main():
    database = await Database.open(sys.argv[1])
    job = True
    while job:
        async with database.write() as tx:
            job = await job_store.claim(tx, host.this_process(), lease_s=30, now=1)
        if job:
            print(job.id)
    await database.close()

asyncio.run(main())
"""


def url_of(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def together(code: str, path: Path, count: int) -> list[str]:
    """Run the code in so many processes at once; what each printed."""
    argv = (sys.executable, "-c", code, url_of(path))
    children = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    said = [child.communicate()[0] for child in children]
    assert [child.returncode for child in children] == [0] * count
    return said


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in found}


@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression")
def test_the_migrations_make_the_tables_of_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    migrate.sqlite_to_newest(sa.make_url(url_of(path)))
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        # An index with a direction looks like another one here; Postgres compares all of them.
        plain = {"compare_type": True, "include_name": lambda name, *_: name not in DOWNWARD}
        context = MigrationContext.configure(connection, opts=plain)
        assert compare_metadata(context, metadata) == []
        made = sa.text("SELECT name, sql FROM sqlite_master WHERE type = 'index'")
        found = {row.name: row.sql for row in connection.execute(made)}
    wanted = {str(one.name): one for one in metadata.tables["jobs"].indexes}
    for name in DOWNWARD:
        asked = CreateIndex(wanted[name]).compile(engine)
        assert " ".join(str(asked).split()) == " ".join(found[name].split())
    engine.dispose()


def test_a_migration_that_is_killed_leaves_nothing_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.db"

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(op, "create_index", killed)
        with pytest.raises(KeyboardInterrupt):
            migrate.sqlite_to_newest(sa.make_url(url_of(path)))
    assert tables(path) == set()
    migrate.sqlite_to_newest(sa.make_url(url_of(path)))
    assert tables(path) == {*metadata.tables, "alembic_version"}


def test_many_processes_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    together(ONE_WRITE, path, 6)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM jobs").fetchone() == (6,)


def test_the_migration_tool_is_loaded_only_when_there_is_something_to_do(tmp_path: Path) -> None:
    assert together(ONE_WRITE, tmp_path / "a.db", 1) == ["True\n"]
    assert together(ONE_WRITE, tmp_path / "a.db", 1) == ["False\n"]


async def test_an_older_program_leaves_a_newer_database_alone(
    database: Database, tmp_path: Path
) -> None:
    async with database.write() as tx:
        await tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(migrate.NewerSchemaError, match="9999"):
        await Database.open(url_of(tmp_path / "test.db"))


async def test_a_database_that_somebody_writes_to_can_be_opened(tmp_path: Path) -> None:
    migrate.sqlite_to_newest(sa.make_url(url_of(tmp_path / "a.db")))
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        database = await Database.open(url_of(tmp_path / "a.db"))
        async with database.read() as tx:
            assert await job_lists.line(tx) == []
        await database.close()


async def test_every_connection_is_safe_against_a_power_cut(database: Database) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 30000, "foreign_keys": 1}
    for transaction in (database.write, database.read):
        async with transaction() as tx:
            found = {
                name: (await tx.execute(sa.text(f"PRAGMA {name}"))).scalar() for name in wanted
            }
        assert found == wanted


async def test_a_transaction_that_fails_leaves_nothing_behind(database: Database) -> None:
    kept, lost = make_job(), make_job()
    await add_all(database, kept)
    with pytest.raises(IntegrityError):
        await add_all(database, lost, kept)
    async with database.read() as tx:
        assert [job.id for job in await job_lists.line(tx)] == [kept.id]


async def test_a_reader_sees_one_moment_while_others_write(database: Database) -> None:
    async with database.read() as reading:
        assert await job_lists.line(reading) == []
        async with database.write() as tx:
            await job_store.add(tx, make_job())
        assert await job_lists.line(reading) == []
    async with database.read() as reading:
        assert len(await job_lists.line(reading)) == 1


async def test_two_coroutines_never_share_a_transaction(database: Database) -> None:
    async with database.write() as first:
        second = asyncio.create_task(add_one(database))
        done, _ = await asyncio.wait({second}, timeout=0.05)
        assert not done
        assert await job_lists.line(first) == []
    await second


async def add_all(database: Database, *jobs: Job) -> None:
    async with database.write() as tx:
        for job in jobs:
            await job_store.add(tx, job)


async def add_one(database: Database) -> None:
    await add_all(database, make_job())


async def test_a_cancel_at_any_point_leaves_a_database_that_can_be_written(
    database: Database,
) -> None:
    for pause in range(40):
        task = asyncio.create_task(add_one(database))
        for _ in range(pause):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled() or task.exception() is None
    job = make_job()
    async with asyncio.timeout(PATIENCE_S), database.write() as tx:
        await job_store.add(tx, job)
    async with database.read() as tx:
        assert await job_store.get(tx, job.id) == job


async def test_a_cancel_while_another_process_holds_the_lock_does_no_harm(
    database: Database, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "test.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.create_task(add_one(database))
        await asyncio.wait({task}, timeout=0.1)
        task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    async with asyncio.timeout(PATIENCE_S):
        await add_one(database)
    async with database.read() as tx:
        assert len(await job_lists.line(tx)) == 1


async def test_processes_that_claim_at_once_get_each_job_once(
    database: Database, tmp_path: Path
) -> None:
    jobs = [make_job() for _ in range(30)]
    await add_all(database, *jobs)
    said = await asyncio.to_thread(together, CLAIM_ALL, tmp_path / "test.db", 4)
    assert sorted("".join(said).split()) == sorted(job.id for job in jobs)
