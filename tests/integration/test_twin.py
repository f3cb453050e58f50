"""The worker's maker of smaller twins: asked for by bytes, made once, published, checked."""

import asyncio
import hashlib
import time
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from pipeline import artifact, twin, worker
from pipeline.twin import TwinMaker
from storage import job_store, library_store, twin_store
from storage.blob_store import LocalBlobs, artifact_prefix, photo_key
from storage.database import Database
from storage.job import Job, JobState, Photo
from storage.settings import Settings
from storage.twin_store import Wish
from tests.conftest import eventually
from tests.drawn import photos
from tests.jobs import make_job
from tests.loras import NAME, publish, weights
from tests.stand_in_trainer import StandIn


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "blobs")


@pytest.fixture
def maker(database: Database, blobs: LocalBlobs, tmp_path: Path) -> TwinMaker:
    return TwinMaker(database, blobs, tmp_path / "work")


async def finished(database: Database, blobs: LocalBlobs, data: bytes) -> Job:
    return await publish(database, blobs, make_job(state=JobState.DONE), data)


async def ask(database: Database, job: Job, max_bytes: int) -> None:
    async with database.write() as tx:
        await twin_store.ask(tx, job.id, max_bytes, now=1.0)


async def wish(database: Database, job: Job, max_bytes: int) -> Wish:
    async with database.read() as tx:
        found = await twin_store.get(tx, job.id, max_bytes)
    assert found is not None
    return found


async def test_a_twin_fits_and_is_a_lora(
    database: Database, blobs: LocalBlobs, maker: TwinMaker, tmp_path: Path
) -> None:
    job = await finished(database, blobs, weights())
    await ask(database, job, 20_000)
    assert await maker.make_one()
    made = (await wish(database, job, 20_000)).twin
    assert made is not None
    path = blobs.path(made.key)
    assert path.stat().st_size == made.file_bytes <= 20_000
    assert artifact.check(path, "mochix").sha256 == made.sha256
    assert made.name == f"mochi_r{made.rank}.safetensors"
    assert len(load_file(path)[f"{NAME}.lora_down.weight"]) == made.rank < 32
    assert 0 < made.lost < 0.1
    assert list((tmp_path / "work").iterdir()) == []


async def test_what_is_asked_twice_is_made_once(
    database: Database, blobs: LocalBlobs, maker: TwinMaker
) -> None:
    job = await finished(database, blobs, weights())
    for _ in range(2):
        await ask(database, job, 20_000)
    assert await maker.make_one()
    assert not await maker.make_one()
    await ask(database, job, 20_000)
    assert not await maker.make_one()


async def test_two_makers_do_not_do_the_same_work(
    database: Database, blobs: LocalBlobs, tmp_path: Path
) -> None:
    job = await finished(database, blobs, weights())
    for size in (20_000, 30_000):
        await ask(database, job, size)
    makers = [TwinMaker(database, blobs, tmp_path / "work") for _ in range(3)]
    assert sorted(await asyncio.gather(*(one.make_one() for one in makers))) == [False, True, True]
    assert (await wish(database, job, 20_000)).twin != (await wish(database, job, 30_000)).twin


@pytest.mark.parametrize("data", [b"not a lora", weights(trigger="another")])
async def test_a_file_without_a_twin_ends_the_wait(
    database: Database, blobs: LocalBlobs, maker: TwinMaker, data: bytes
) -> None:
    job = await finished(database, blobs, data)
    await ask(database, job, 20_000)
    assert await maker.make_one()
    assert await wish(database, job, 20_000) == Wish(asked_at=1.0, ended=True)


async def test_where_not_even_rank_one_fits_there_is_none(
    database: Database, blobs: LocalBlobs, maker: TwinMaker
) -> None:
    job = await finished(database, blobs, weights())
    await ask(database, job, 500)
    assert await maker.make_one()
    assert (await wish(database, job, 500)).ended


async def test_a_twin_that_was_lost_with_its_worker_is_made_by_another(
    database: Database,
    blobs: LocalBlobs,
    maker: TwinMaker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = await finished(database, blobs, weights())
    await ask(database, job, 20_000)
    monkeypatch.setattr(twin, "HOLD_S", -1.0)
    async with database.write() as tx:
        # A worker that took it and was killed; its time is over.
        assert await twin_store.claim(tx, now=2.0, hold_s=-1.0) == (job.id, 20_000)
    assert await maker.make_one()
    assert (await wish(database, job, 20_000)).twin is not None


async def test_a_twin_that_kills_its_workers_is_given_up(
    database: Database, blobs: LocalBlobs, maker: TwinMaker
) -> None:
    job = await finished(database, blobs, weights())
    await ask(database, job, 20_000)
    async with database.write() as tx:
        for _ in range(1 + twin_store.MOST_TRIES):
            assert await twin_store.claim(tx, now=2.0, hold_s=-1.0)
    assert not await maker.make_one()
    assert (await wish(database, job, 20_000)).ended


async def test_a_model_that_was_deleted_meanwhile_leaves_no_twin(
    database: Database, blobs: LocalBlobs, maker: TwinMaker
) -> None:
    job = await finished(database, blobs, weights())
    await ask(database, job, 20_000)
    async with database.write() as tx:
        claimed = await twin_store.claim(tx, now=2.0, hold_s=-1.0)
        assert claimed is not None
        await library_store.doom(tx, job, with_copy=False)
    assert not await maker.make_one()
    async with database.write() as tx:
        assert not await twin_store.answer(tx, *claimed, None, now=3.0)


async def test_a_worker_makes_it_while_it_trains(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    home = await Database.open(settings.database)
    blobs = LocalBlobs(settings.data_dir / "blobs")
    model = await finished(home, blobs, weights())
    kept = []
    for number, data in enumerate(photos(8), start=1):
        sha256 = hashlib.sha256(data).hexdigest()
        await blobs.put(photo_key(sha256), data)
        kept.append(Photo(sha256=sha256, number=number, file_bytes=len(data)))
    other = make_job(photos=tuple(kept), created_at=time.time())
    async with home.write() as tx:
        await job_store.add(tx, other)
    stop = asyncio.Event()
    serving = asyncio.create_task(worker.serve(settings, stop=stop, backend=StandIn("slow")))

    async def trains() -> bool:
        async with home.read() as tx:
            found = await job_store.get(tx, other.id)
        return found is not None and found.state is JobState.TRAINING

    async def there() -> bool:
        return (await wish(home, model, 20_000)).twin is not None

    try:
        await eventually(trains)
        await ask(home, model, 20_000)
        await eventually(there)
        assert await trains()
    finally:
        stop.set()
        await serving
        await home.close()


async def test_it_goes_on_by_itself(
    database: Database, blobs: LocalBlobs, maker: TwinMaker
) -> None:
    job = await finished(database, blobs, weights())
    running = asyncio.create_task(maker.run())
    try:
        await ask(database, job, 20_000)

        async def there() -> bool:
            return (await wish(database, job, 20_000)).twin is not None

        await eventually(there)
    finally:
        running.cancel()
    assert len(list(blobs.path(artifact_prefix(job.id)).iterdir())) == 2
