"""What only a real Postgres shows: restarts, many processes, clocks that differ, one moment."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import DBAPIError

from storage import clock, host, job_lists, job_release, job_store, migrate, worker_store
from storage import postgres as speech
from storage.database import Database
from storage.job import Job
from storage.schema import jobs, metadata
from tests import postgres
from tests.jobs import make_job
from tests.patience import PATIENCE_S

# So many processes at once. They are forks of one that has loaded everything: that costs little.
TOGETHER = """
import asyncio, os, sys
from storage import host, job_store
from storage.database import Database

url, count, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]

async def open_it():
    await (await Database.open(url)).close()

async def claim_all():
    database = await Database.open(url)
    job = True
    while job:
        async with database.write() as tx:
            job = await job_store.claim(tx, host.this_process(), lease_s=30, now=1)
        if job:
            os.write(1, f"{job.id}\\n".encode())
    await database.close()

start, go = os.pipe()
for _ in range(count):
    if os.fork() == 0:
        os.close(go)
        os.read(start, 1)  # until the parent has made them all
        asyncio.run({"open": open_it, "claim": claim_all}[what]())
        os._exit(0)
os.close(go)
sys.exit(any(os.wait()[1] for _ in range(count)))
"""
# A host whose clock is an hour ahead: it frees what has run out, as it sees it, and says it lives.
AHEAD = """
import asyncio, sys, time
true = time.time
time.time = lambda: true() + 3600
from storage import clock, job_release, worker_store
from storage.database import Database

async def main():
    database = await Database.open(sys.argv[1])
    async with database.write() as tx:
        now = await clock.now(tx)
        print(await job_release.release_expired(tx, now=now, max_attempts=3))
        await worker_store.beat(tx, "ahead", "other", ["demo"], now=now)
    await database.close()

asyncio.run(main())
"""


@pytest.fixture
async def url(postgres_server: postgres.Server) -> str:
    return await postgres_server.fresh()


@pytest.fixture
async def shared(url: str) -> AsyncIterator[Database]:
    one = await Database.open(url)
    yield one
    await one.close()


@pytest.fixture
def own_server() -> postgres.Server:
    """One that a test may kill."""
    return postgres.Server(postgres.found_or_skip()).create()


def run(code: str, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen((sys.executable, "-c", code, *args), stdout=subprocess.PIPE, text=True)


def said(child: subprocess.Popen[str]) -> str:
    out, _ = child.communicate()
    assert child.returncode == 0
    return out


async def put(database: Database, **changes: object) -> Job:
    job = make_job(**changes)
    async with database.write() as tx:
        await job_store.add(tx, job)
    return job


@pytest.mark.parametrize("scheme", ["postgres://", "postgresql://", "postgresql+asyncpg://"])
async def test_the_address_is_written_as_everybody_writes_it(url: str, scheme: str) -> None:
    database = await Database.open(url.replace("postgresql://", scheme))
    async with database.read() as tx:
        assert await job_lists.line(tx) == []
    assert database.is_shared
    await database.close()


async def test_it_is_reached_by_its_socket_too(postgres_server: postgres.Server) -> None:
    name = (await postgres_server.fresh()).rpartition("/")[2]
    database = await Database.open(postgres_server.socket_url(name))
    async with database.read() as tx:
        assert await job_lists.line(tx) == []
    await database.close()


async def test_the_migrations_make_the_tables_of_the_schema(shared: Database) -> None:
    def differences(connection: sa.Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    async with shared.write() as tx:
        assert await tx.run_sync(differences) == []


async def test_five_processes_migrate_a_new_database_once(
    postgres_server: postgres.Server,
) -> None:
    url = await postgres_server.empty()
    await asyncio.to_thread(said, run(TOGETHER, url, "5", "open"))
    database = await Database.open(url)
    async with database.read() as tx:
        found = (await tx.execute(sa.text("SELECT version_num FROM alembic_version"))).all()
    assert [row.version_num for row in found] == [migrate.HEAD]
    await database.close()


async def test_an_older_program_leaves_a_newer_database_alone(shared: Database, url: str) -> None:
    async with shared.write() as tx:
        await tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(migrate.NewerSchemaError, match="9999"):
        await Database.open(url)


async def test_processes_that_claim_at_once_get_each_job_once(shared: Database, url: str) -> None:
    wanted = [await put(shared, person=f"tg:{number % 7}") for number in range(60)]
    out = await asyncio.to_thread(said, run(TOGETHER, url, "20", "claim"))
    assert sorted(out.split()) == sorted(job.id for job in wanted)


async def test_a_job_that_somebody_is_changing_is_passed_by(shared: Database, url: str) -> None:
    held, free = await put(shared, created_at=1.0), await put(shared, created_at=2.0)
    other = await Database.open(url)
    async with other.write() as tx:
        await job_store.request_cancel(tx, held.id, now=1)
        async with asyncio.timeout(PATIENCE_S), shared.write() as mine:
            taken = await job_store.claim(mine, host.this_process(), lease_s=9, now=1)
    await other.close()
    assert taken is not None
    assert taken.id == free.id


async def test_a_host_whose_clock_is_ahead_takes_no_lease_away(shared: Database, url: str) -> None:
    job = await put(shared)
    async with shared.write() as tx:
        now = await clock.now(tx)
        claimed = await job_store.claim(tx, host.this_process(), lease_s=30, now=now)
    assert claimed is not None
    assert await asyncio.to_thread(said, run(AHEAD, url)) == "[]\n"
    async with shared.read() as tx:
        now = await clock.now(tx)
        assert await worker_store.online(tx, now=now) == 1
        assert await worker_store.online(tx, now=now + 60) == 0
        kept = await job_store.get(tx, job.id)
    assert kept is not None
    assert kept.fence == claimed.fence


async def test_a_lease_that_ran_out_by_the_databases_clock_is_free(shared: Database) -> None:
    await put(shared)
    async with shared.write() as tx:
        now = await clock.now(tx)
        claimed = await job_store.claim(tx, host.this_process(), lease_s=-0.001, now=now)
        assert claimed is not None
        later = await clock.now(tx)
        assert later > now
        assert await job_release.release_expired(tx, now=later, max_attempts=3) == [claimed.id]


async def test_a_namesakes_lease_is_left_to_run_out(shared: Database) -> None:
    """Two hosts may have one name: that the boots differ does not say that one is dead."""
    await put(shared)
    owner = host.this_process()
    async with shared.write() as tx:
        await job_store.claim(tx, owner, lease_s=30, now=await clock.now(tx))
        freed = await job_release.release_dead(
            tx, owner.host, "another boot", lambda *_: False, now=1, max_attempts=3
        )
    assert freed == []


async def test_a_reader_sees_one_moment_while_others_write(shared: Database) -> None:
    async with shared.read() as reading:
        assert await job_lists.line(reading) == []
        await put(shared)
        assert await job_lists.line(reading) == []
    async with shared.read() as reading:
        assert len(await job_lists.line(reading)) == 1


async def test_a_reader_changes_nothing(shared: Database) -> None:
    async with shared.read() as tx:
        with pytest.raises(DBAPIError, match="read-only"):
            await job_store.add(tx, make_job())


async def test_two_that_wait_for_each_other_end_and_one_goes_on(shared: Database, url: str) -> None:
    first, second = await put(shared), await put(shared)
    other = await Database.open(url)

    async def both(database: Database, ids: tuple[str, str], met: asyncio.Barrier) -> None:
        async with database.write() as tx:
            for job_id in ids:
                change = jobs.update().where(jobs.c.id == job_id)
                await tx.execute(change.values(version=jobs.c.version + 1))
                if job_id == ids[0]:
                    await met.wait()

    met = asyncio.Barrier(2)
    ended = await asyncio.gather(
        both(shared, (first.id, second.id), met),
        both(other, (second.id, first.id), met),
        return_exceptions=True,
    )
    await other.close()
    [lost] = [error for error in ended if error is not None]
    assert isinstance(lost, DBAPIError)
    assert speech.is_worth_another_try(lost)


async def test_after_a_restart_of_the_server_everything_goes_on(
    own_server: postgres.Server,
) -> None:
    database = await Database.open(await own_server.fresh())
    try:
        kept = await put(database)
        own_server.kill()
        with pytest.raises(DBAPIError):
            await put(database)
        await asyncio.to_thread(own_server.start)
        async with database.read() as tx:
            assert await job_store.get(tx, kept.id) == kept
        await put(database)
        own_server.stop()
        await asyncio.to_thread(own_server.start)
        async with database.read() as tx:
            assert len(await job_lists.line(tx)) == 2
    finally:
        await database.close()
        own_server.remove()


async def test_a_server_that_starts_later_is_waited_for(own_server: postgres.Server) -> None:
    url = await own_server.fresh()
    own_server.stop()
    try:
        with pytest.raises(DBAPIError):
            await Database.open(url)
        opening = asyncio.create_task(Database.open(url, patience_s=60))
        await asyncio.to_thread(own_server.start)
        await (await opening).close()
    finally:
        own_server.remove()


async def test_a_wrong_name_is_not_waited_for(postgres_server: postgres.Server) -> None:
    async with asyncio.timeout(20):
        with pytest.raises(DBAPIError, match="does not exist"):
            await Database.open(postgres_server.url("nowhere"), patience_s=60)


def test_where_it_has_to_be_there_its_absence_is_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgres, "binaries", lambda: None)
    monkeypatch.setenv(postgres.REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match="no initdb"):
        postgres.found_or_skip()
