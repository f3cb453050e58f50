"""Workers of several hosts and versions on one Postgres: who takes what, and what a crash costs."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from pipeline import fits
from pipeline.ability import Ability
from storage import bases, clock, job_store, job_wishes, migrate, worker_store
from storage.bases import Base
from storage.database import Database
from storage.job import Job, JobState
from storage.roster import Card
from storage.schema import jobs
from storage.settings import Settings
from tests import postgres
from tests.conftest import eventually
from tests.drawn import photos
from tests.integration.test_worker import Place
from tests.jobs import PARAMS, make_job
from trainer import memory
from trainer.presets import Overrides

GIB = 2**30
# A whole worker that knows jobs up to argv[1] and schemas up to argv[2].
WORKER = """
import asyncio, signal, sys
from pipeline import ability, worker
from storage import job_line, migrate
from storage.settings import Settings
from tests.stand_in_trainer import StandIn

ability.SPEC = job_line.SPEC = int(sys.argv[1])
migrate.HEAD = sys.argv[2]

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await worker.serve(Settings(), stop=stop, backend=StandIn())

asyncio.run(main())
"""


async def place_on(url: str, folder: Path, **changes: object) -> Place:
    settings = Settings(data_dir=folder / "data", lora_dir=folder / "loras", lease_s=60.0)
    (folder / "loras").mkdir()
    settings = settings.model_copy(
        update=Settings.model_validate({"database_url": url}).model_dump(include={"database_url"})
        | changes
    )
    return Place(settings, await Database.open(url), asyncio.Event())


@pytest.fixture
async def place(postgres_server: postgres.Server, tmp_path: Path) -> AsyncIterator[Place]:
    one = await place_on(await postgres_server.fresh(), tmp_path)
    yield one
    await one.database.close()


async def test_a_server_that_dies_in_mid_training_costs_no_second_try(tmp_path: Path) -> None:
    server = postgres.Server(postgres.found_or_skip()).create()
    place = await place_on(await server.fresh(), tmp_path)
    job = await place.order(photos(8))
    task = place.work("draw")
    try:
        await place.until_step(job)
        server.kill()
        await asyncio.to_thread(server.start)

        async def asked() -> bool:
            async with place.database.write() as tx:
                return await job_wishes.ask_finish(tx, job.id, now=time.time())

        await eventually(asked)
        done = await place.until(job, JobState.DELIVERING)
        assert (done.attempts, done.fence) == (1, 1)
        artifacts = place.settings.data_dir / "blobs" / "artifacts" / job.id
        assert len(list(artifacts.rglob("*.safetensors"))) == 1
        assert place.loras == ["mochi.safetensors"]
    finally:
        place.stop.set()
        await task
        await place.database.close()
        server.remove()


async def test_a_worker_takes_only_what_is_installed_here(place: Place) -> None:
    elsewhere = await place.order(photos(8), params=replace(PARAMS, base_model="xl"))
    here = await place.order(photos(8))
    task = place.work()
    await place.until(here, JobState.DELIVERING)
    async with place.database.read() as tx:
        labels = await worker_store.labels(tx, now=await clock.now(tx))
    place.stop.set()
    await task
    assert (await place.get(elsewhere)).state is JobState.QUEUED
    assert worker_store.trainable(labels) == {"demo"}


async def test_what_is_too_large_for_a_card_is_left_to_whoever_it_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = {"demo": bases.demo(), "big": _base("big")}
    small = 8 * GIB - memory.CONTEXT
    fit = {"big": lambda free: "yes" if free > small else fits.NO}
    monkeypatch.setattr(fits, "verdict", lambda base, free: fit.get(base.id, str)(free))
    mine = Ability(known, gpu=1)
    assert mine.claims(frozenset()) == {"demo", "big"}
    await mine.measure([Card(number=0, name="x", all_bytes=80 * GIB)])
    assert "big" in mine.labels
    await mine.measure([Card(number=1, name="x", all_bytes=8 * GIB)])
    assert mine.labels == ["demo", "tight:big", "spec:1"]
    assert mine.claims(frozenset({"demo", "big"})) == {"demo"}
    # Where it fits nobody, the trainer says why: a person who waits for ever learns nothing.
    assert mine.claims(frozenset(mine.labels)) == {"demo", "big"}
    assert worker_store.trainable(mine.labels) == {"demo", "big"}


def _base(name: str) -> Base:
    demo = bases.demo()
    return Base(
        id=name, title=name, family="sd15", path=demo.path, overrides=Overrides(), minutes=1.0
    )


def worker(place: Place, spec: int, head: str) -> subprocess.Popen[bytes]:
    """A whole process, which finds photos and database where the test put them."""
    assert place.settings.database_url is not None
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment = kept | {
        "DATA_DIR": str(place.settings.data_dir),
        "DATABASE_URL": place.settings.database_url.get_secret_value(),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "LEASE_S": "5",
    }
    argv = (sys.executable, "-c", WORKER, str(spec), head)
    return subprocess.Popen(argv, env=environment, stderr=subprocess.PIPE)


async def ended(child: subprocess.Popen[bytes]) -> str:
    child.send_signal(signal.SIGTERM)
    _, said = await asyncio.to_thread(child.communicate)
    return said.decode()


async def asks_more(place: Place, job: Job, spec: int) -> None:
    """What a newer bot would write: parameters of tomorrow, and that only newer workers know."""
    async with place.database.write() as tx:
        params = sa.func.replace(jobs.c.params, '"trigger"', '"tomorrow": 1, "trigger"')
        newer = jobs.update().where(jobs.c.id == job.id)
        await tx.execute(newer.values(spec=spec, params=params))


@pytest.mark.usefixtures("postgres_server")
async def test_an_old_worker_goes_on_beside_a_new_one(place: Place) -> None:
    newer = await place.order(photos(8), name="newer")
    await asks_more(place, newer, spec=2)
    first = await place.order(photos(8, first=9), name="first")
    old = worker(place, 1, migrate.HEAD)
    await place_until(place, first, JobState.DELIVERING)
    # The new version comes: its tables have more, nothing less.
    async with place.database.write() as tx:
        await tx.execute(sa.text("ALTER TABLE jobs ADD COLUMN more TEXT NOT NULL DEFAULT ''"))
        await tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    second = await place.order(photos(8, first=17), name="second")
    await place_until(place, second, JobState.DELIVERING)
    assert await state_of(place, newer) is JobState.QUEUED
    assert "Traceback" not in await ended(old)
    late = worker(place, 1, migrate.HEAD)
    _, said = await asyncio.to_thread(late.communicate)
    assert late.returncode != 0
    assert b"written by a newer lorabot" in said
    await put_back(place, newer)
    new = worker(place, 2, "9999")
    await place_until(place, newer, JobState.DELIVERING)
    await ended(new)


async def put_back(place: Place, job: Job) -> None:
    """Today's code stands for tomorrow's, and cannot read what that would."""
    async with place.database.write() as tx:
        params = sa.func.replace(jobs.c.params, '"tomorrow": 1, "trigger"', '"trigger"')
        await tx.execute(jobs.update().where(jobs.c.id == job.id).values(params=params))


async def state_of(place: Place, job: Job) -> JobState | None:
    async with place.database.read() as tx:
        return await job_store.state_of(tx, job.id)


async def place_until(place: Place, job: Job, state: JobState) -> None:
    async def there() -> bool:
        return await state_of(place, job) is state

    await eventually(there, within_s=60)


async def test_nobody_gets_more_at_once_than_is_set(place: Place) -> None:
    """Also where two claim at the same moment."""
    owner = make_owner()
    for number in range(4):
        async with place.database.write() as tx:
            await job_store.add(tx, make_job(person="tg:1", created_at=float(number)))
    async with place.database.write() as tx:
        await job_store.add(tx, make_job(person="tg:2", created_at=9.0))

    async def claim() -> Job | None:
        assert place.settings.database_url is not None
        database = await Database.open(place.settings.database_url.get_secret_value())
        async with database.write() as tx:
            taken = await job_store.claim(tx, owner, lease_s=9, now=1, most_running=2)
        await database.close()
        return taken

    taken = await asyncio.gather(*(claim() for _ in range(5)))
    people = sorted(job.person for job in taken if job)
    assert people == ["tg:1", "tg:1", "tg:2"]


def make_owner() -> job_store.Owner:
    return job_store.Owner(name="w", host="h", boot_id="b", pid=1)
