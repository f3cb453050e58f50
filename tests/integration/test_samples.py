"""What a training draws and is asked for, between the trainer's folder and the job's row."""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from storage import job_store, job_wishes
from storage.blob_store import LocalBlobs, samples_prefix
from storage.database import Database
from storage.job import Job, JobState, Samples
from storage.settings import Settings
from tests.conftest import eventually
from tests.drawn import photos
from tests.integration.test_worker import Place
from tests.jobs import PARAMS, make_job
from tests.stand_in_trainer import draw_grid

LONG = replace(PARAMS, max_steps=2000)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    settings = Settings(data_dir=tmp_path / "data", lora_dir=tmp_path / "loras", lease_s=2.0)
    (tmp_path / "loras").mkdir()
    database = await Database.open(settings.database)
    yield Place(settings, database, asyncio.Event())
    await database.close()


@pytest.fixture
def blobs(place: Place) -> LocalBlobs:
    return LocalBlobs(place.settings.data_dir / "blobs")


async def when(place: Place, job: Job, true: Callable[[Job], bool]) -> Job:
    async def look() -> Job | None:
        found = await place.get(job)
        return found if true(found) else None

    found = await eventually(look)
    assert isinstance(found, Job)
    return found


async def drawn(place: Place, job: Job, after: int = 0) -> Samples:
    found = await when(place, job, lambda one: bool(one.samples and one.samples.step > after))
    assert found.samples is not None
    return found.samples


async def write(place: Place, change: Callable[..., Awaitable[object]], *args: object) -> None:
    async with place.database.write() as tx:
        assert await change(tx, *args)


async def ask_end(place: Place, job: Job) -> None:
    async with place.database.write() as tx:
        assert await job_wishes.ask_finish(tx, job.id, now=time.time())


async def test_samples_come_on_demand_and_the_end_keeps_what_there_is(
    place: Place, blobs: LocalBlobs
) -> None:
    job = await place.order(photos(9), params=LONG)
    task = place.work("draw")
    first = await drawn(place, job)
    grid = Image.open(io.BytesIO(await blobs.get(first.grid)))
    assert (grid.format, grid.size, len(first.pictures)) == ("JPEG", (136, 136), 4)
    assert max(Image.open(io.BytesIO(await blobs.get(first.small))).size) <= 320
    await write(place, job_wishes.ask_samples, job.id)
    second = await drawn(place, job, after=first.step)
    await when(place, job, lambda one: bool(one.chart))
    await ask_end(place, job)
    done = await place.until(job, JobState.DELIVERING)
    place.stop.set()
    await task
    assert done.taken is not None
    assert done.samples is not None
    assert done.taken.step == done.taken.last == done.samples.step > second.step
    # What took the place of something else is all that is left.
    folder = blobs.path(samples_prefix(job.id))
    kept = {one.relative_to(blobs.root).as_posix() for one in folder.iterdir()}
    assert kept == done.samples.keys | {done.chart}
    assert Image.open(io.BytesIO(await blobs.get(done.chart))).width > 1000


async def test_samples_whose_message_was_lost_are_found(place: Place) -> None:
    """A worker that was killed between the drawing and the commit left them in the run's folder."""
    job = await place.order(photos(9), params=LONG)
    draw_grid(place.settings.data_dir / "work" / job.id / "run", 7)
    task = place.work("slow")
    assert (await drawn(place, job)).step == 7
    place.stop.set()
    await task


async def test_the_last_samples_need_no_message(place: Place) -> None:
    job = await place.order(photos(9), params=LONG)
    task = place.work("mute")
    await place.until_step(job)
    await ask_end(place, job)
    done = await place.until(job, JobState.DELIVERING)
    place.stop.set()
    await task
    assert done.samples is not None
    assert done.taken is not None
    assert done.samples.step == done.taken.step


async def test_what_was_asked_survives_the_worker(place: Place) -> None:
    """The end is asked for while the worker is being stopped; the next one passes it on."""
    job = await place.order(photos(9), params=LONG)
    task = place.work("slow")
    await place.until_step(job)
    await ask_end(place, job)
    place.stop.set()
    await task
    assert (await place.get(job)).state is JobState.QUEUED
    task = place.work("draw")
    done = await place.until(job, JobState.DELIVERING)
    place.stop.set()
    await task
    assert done.asked_finish
    assert done.artifact is not None


async def test_samples_are_asked_for_once_however_often_workers_change(place: Place) -> None:
    job = await place.order(photos(9), params=LONG)
    task = place.work("draw")
    first = await drawn(place, job)
    await write(place, job_wishes.ask_samples, job.id)
    second = await drawn(place, job, after=first.step)
    place.stop.set()
    await task
    task = place.work("slow")
    await place.until_step(job)
    asked = place.settings.data_dir / "work" / job.id / "run" / "asked"
    assert not (asked / "sample").exists()
    assert (await place.get(job)).samples == second
    place.stop.set()
    await task


async def test_a_cancelled_job_leaves_no_pictures(place: Place, blobs: LocalBlobs) -> None:
    job = await place.order(photos(9), params=LONG)
    task = place.work("draw")
    await drawn(place, job)
    async with place.database.write() as tx:
        await job_store.request_cancel(tx, job.id, now=time.time())
    await place.until(job, JobState.CANCELLED)
    place.stop.set()
    await task
    assert not blobs.path(samples_prefix(job.id)).exists()


async def test_only_a_job_that_trains_can_be_asked(database: Database) -> None:
    job = make_job(state=JobState.COPYING)
    async with database.write() as tx:
        await job_store.add(tx, job)
        assert not await job_wishes.ask_samples(tx, job.id)
        assert not await job_wishes.ask_finish(tx, job.id, now=1.0)


async def test_a_worker_that_lost_the_job_shows_nothing(database: Database) -> None:
    job = make_job(state=JobState.TRAINING, fence=2)
    late = Samples(step=1, grid="samples/x/late.jpg")
    async with database.write() as tx:
        await job_store.add(tx, job)
        assert not await job_wishes.save_samples(tx, job.id, 1, late, now=1.0)
        assert not await job_wishes.save_chart(tx, job.id, 1, "samples/x/chart.jpg")
    async with database.read() as tx:
        assert await job_store.get(tx, job.id) == job
