"""The whole Postgres server dies with -9 at the worst moments, and is started again."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from pictures.sandbox import Cells
from pipeline import run
from pipeline.lease import Lease
from storage import conversation_store, host, job_store, look_store, migrate
from storage.blob_store import LocalBlobs
from storage.database import Database
from storage.job import JobState
from storage.settings import Settings
from tests import postgres
from tests.bot_api import BotApi, Person
from tests.bot_api.adapter import Start, starter
from tests.conftest import eventually
from tests.drawn import photos
from tests.integration.test_worker import Place, ended
from tests.jobs import make_job
from tests.loras import publish, weights
from tests.patience import PATIENCE_S

LEASE_S = 60.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[postgres.Server]:
    """One that tests may kill."""
    one = postgres.Server(postgres.found_or_skip(), full_page_writes="on").create()
    yield one
    one.remove()


@pytest.fixture
def server(cluster: postgres.Server) -> postgres.Server:
    """Also after a test that failed before it started it again."""
    assert cluster._process is not None
    if cluster._process.poll() is not None:
        cluster.start()
    return cluster


@pytest.fixture
async def database(server: postgres.Server) -> AsyncIterator[Database]:
    one = await Database.open(await server.fresh())
    yield one
    await one.close()


@pytest.fixture
def bot(api: BotApi, database: Database, cells: Cells, tmp_path: Path) -> Start:
    return starter(api, database, cells, tmp_path)


@pytest.fixture
def dies(
    api: BotApi, server: postgres.Server, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], asyncio.Event]:
    """With the first call of a method: it has its effect, and its answer comes."""

    def with_call(method: str) -> asyncio.Event:
        dead, answer = asyncio.Event(), api._answer

        async def strike(name: str, body: dict[str, object]) -> object:
            if name == method and not dead.is_set():
                await asyncio.to_thread(server.kill)
                dead.set()
            return await answer(name, body)

        monkeypatch.setattr(api, "_answer", strike)
        return dead

    return with_call


async def test_a_result_that_arrived_as_the_database_died_is_not_sent_again(
    bot: Start,
    ada: Person,
    database: Database,
    server: postgres.Server,
    dies: Callable[[str], asyncio.Event],
    tmp_path: Path,
) -> None:
    mine = make_job(chat=ada.name, person=ada.name, state=JobState.DELIVERING, fence=1)
    job = await publish(database, LocalBlobs(tmp_path / "blobs"), mine, weights())
    dead = dies("senddocument")

    async def done() -> bool:
        async with database.read() as tx:
            found = await job_store.get(tx, job.id)
        return found is not None and found.state is JobState.DONE

    async with bot():
        await dead.wait()
        await asyncio.to_thread(server.start)
        await eventually(done)
    assert len([one for one in ada.sees if one.file_name]) == 1


async def test_a_panel_that_arrived_as_the_database_died_is_not_sent_again(
    bot: Start,
    ada: Person,
    database: Database,
    server: postgres.Server,
    dies: Callable[[str], asyncio.Event],
) -> None:
    dead = dies("sendmessage")

    async def shown() -> bool:
        async with database.read() as tx:
            return not await conversation_store.unshown(tx, ["tg"])

    async with bot():
        await ada.says("/train")
        await dead.wait()
        await asyncio.to_thread(server.start)
        await eventually(shown)
        await ada.presses("A person")
        await ada.reads("short name")
    assert len(ada.sees) == 1


async def test_who_opens_the_database_as_it_dies_waits_for_it(
    server: postgres.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = await server.fresh()
    dead, look = asyncio.Event(), migrate._is_newest

    def dies(connection: sa.Connection) -> bool:
        if not dead.is_set():
            server.kill()
            dead.set()
        return look(connection)

    monkeypatch.setattr(migrate, "_is_newest", dies)
    opening = asyncio.create_task(Database.open(url, patience_s=PATIENCE_S))
    await dead.wait()
    await asyncio.to_thread(server.start)
    await (await opening).close()


async def test_a_bot_that_starts_as_the_database_dies_waits_for_it(
    bot: Start, ada: Person, server: postgres.Server
) -> None:
    await asyncio.to_thread(server.kill)
    async with bot():
        await ada.says("/train")
        await asyncio.to_thread(server.start)
        await ada.reads("What should it learn?")


async def test_a_job_that_reads_as_the_database_dies_goes_on(
    server: postgres.Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loras").mkdir()
    url = await server.fresh()
    settings = Settings.model_validate(
        {"data_dir": tmp_path, "lora_dir": tmp_path / "loras", "lease_s": LEASE_S}
        | {"database_url": url}
    )
    database = await Database.open(url)
    place = Place(settings, database, asyncio.Event())
    dead, read = asyncio.Event(), look_store.get

    async def get(*args: object) -> object:
        if not dead.is_set():
            await asyncio.to_thread(server.kill)
            dead.set()
        return await read(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(look_store, "get", get)
    job = await place.order(photos(8))
    task = place.work()
    await dead.wait()
    await asyncio.to_thread(server.start)
    done = await place.until(job, JobState.DELIVERING, JobState.FAILED)
    await ended(place, task)
    await database.close()
    assert (done.state, done.attempts, done.failure) == (JobState.DELIVERING, 1, None)


async def test_a_change_that_was_committed_without_an_answer_counts(database: Database) -> None:
    async with database.write() as tx:
        await job_store.add(tx, make_job())
        job = await job_store.claim(
            tx, host.this_process(), lease_s=LEASE_S, now=0.0, bases=frozenset({"demo"})
        )
    assert job is not None
    async with Lease(job, database, LEASE_S) as lease:
        for _ in range(2):
            await run._enter(job, lease, JobState.TRAINING)
        assert not lease.halt.is_set()
