"""What a job lives through: deploys, long waits, clocks that jump, folders that take nothing."""

import asyncio
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import run
from storage import host, job_release, job_store, one_host
from storage.database import Database
from storage.job import FINAL, Job, JobState
from storage.settings import Settings
from tests.conftest import eventually
from tests.drawn import photos
from tests.faults.disk import Mount
from tests.integration.test_pipeline_kill import Killable
from tests.integration.test_worker import Place, ended, trainers
from tests.jobs import make_job

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
DEPLOYS = 10


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    settings = Settings(data_dir=tmp_path / "data", lora_dir=tmp_path / "loras", lease_s=2.0)
    (tmp_path / "loras").mkdir()
    database = await Database.open(settings.database)
    yield Place(settings, database, asyncio.Event())
    await database.close()


@pytest.fixture
async def workers(place: Place) -> AsyncIterator[Killable]:
    one = Killable(place)
    yield one
    await one.finish()


def artifacts(place: Place) -> list[Path]:
    folder = place.settings.data_dir / "blobs" / "artifacts"
    return sorted(folder.rglob("*.safetensors"))


async def starts(place: Place, job: Job, count: int) -> None:
    """The trainer has begun so often."""
    path = place.settings.data_dir / "work" / job.id / "run" / "starts"

    async def look() -> bool:
        return path.exists() and len(path.read_text()) >= count

    await eventually(look)
    await place.until_step(job)


async def test_ten_deploys_during_one_job_use_no_attempt(place: Place) -> None:
    job = await place.order(photos(8))
    for number in range(1, DEPLOYS + 1):
        task = place.work("slow")
        await starts(place, job, number)
        await ended(place, task)
        waiting = await place.get(job)
        assert (waiting.state, waiting.attempts) == (JobState.QUEUED, 0)
        assert trainers() == []
    task = place.work()
    done = await place.until(job, JobState.DELIVERING)
    await ended(place, task)
    assert done.attempts == 1
    assert len(artifacts(place)) == 1
    assert place.loras == ["mochi.safetensors"]


@pytest.mark.long
async def test_ten_terminated_workers_use_no_attempt(place: Place, workers: Killable) -> None:
    """The same with processes and SIGTERM."""
    job = await place.order(photos(8))
    for number in range(1, DEPLOYS + 1):
        one = await workers.start(mode="slow")
        await starts(place, job, number)
        one.send_signal(signal.SIGTERM)
        assert await one.wait() == 0
        waiting = await place.get(job)
        assert (waiting.state, waiting.attempts) == (JobState.QUEUED, 0)
    await workers.start()
    done = await place.until(job, JobState.DELIVERING)
    assert done.attempts == 1
    assert len(artifacts(place)) == 1


async def test_a_job_that_waited_for_days_is_trained_with_all_its_photos(place: Place) -> None:
    """The worker's sweeps pass it by; of the bot's own see test_chat."""
    job = await place.order(photos(8))
    long_ago = time.time() - 40 * DAY_S
    async with place.database.write() as tx:
        await tx.exec_driver_sql(f"UPDATE jobs SET created_at = {long_ago}")
        await job_release.release_expired(tx, now=time.time(), max_attempts=1)
    blobs = place.settings.data_dir / "blobs"
    for path in blobs.rglob("*"):
        os.utime(path, (long_ago, long_ago))
    task = place.work()
    done = await place.until(job, JobState.DELIVERING, JobState.FAILED)
    await ended(place, task)
    assert (done.state, done.attempts, done.rejections) == (JobState.DELIVERING, 1, ())


@pytest.mark.parametrize("by_s", [-HOUR_S, pytest.param(HOUR_S, marks=pytest.mark.long)])
async def test_a_clock_that_jumps_during_a_job_harms_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, by_s: float
) -> None:
    """Leases stand in wall time, which may be set; what a worker waits for does not."""
    job = await place.order(photos(8))
    task = place.work("draw")
    await place.until_step(job)
    before = await place.get(job)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + by_s)

    async def renewed_by_the_new_clock() -> bool:
        async with place.database.read() as tx:
            row = await tx.exec_driver_sql("SELECT lease_until FROM jobs")
            return abs(float(row.scalar_one()) - time.time()) < HOUR_S / 2

    await eventually(renewed_by_the_new_clock)
    async with place.database.write() as tx:
        await job_release.release_expired(tx, now=time.time(), max_attempts=3)
        await tx.exec_driver_sql("UPDATE jobs SET asked_finish = 1")
    done = await place.until(job, JobState.DELIVERING, JobState.FAILED)
    await ended(place, task)
    assert done.state is JobState.DELIVERING
    assert done.attempts - before.attempts <= int(by_s > 0)
    assert len(artifacts(place)) == 1
    assert place.loras == ["mochi.safetensors"]


async def test_a_dead_worker_whose_lease_lies_in_the_future_keeps_nothing(place: Place) -> None:
    """The clock was set back by an hour, and then the worker was killed."""
    job = await place.order(photos(8))
    dead = replace(host.this_process(), name="dead", pid=2**22 + 1)
    async with place.database.write() as tx:
        taken = await job_store.claim(tx, dead, lease_s=2.0, now=time.time() + HOUR_S)
    assert taken is not None
    task = place.work()
    done = await place.until(job, JobState.DELIVERING)
    await ended(place, task)
    assert done.attempts == 2


@pytest.mark.parametrize("how", ["deleted", "replaced"])
async def test_a_worker_whose_database_is_gone_ends(
    place: Place, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(one_host, "BEAT_S", 0.1)
    job = await place.order(photos(8))
    task = place.work("slow")
    await place.until_step(job)
    file = place.settings.data_dir / "lorabot.db"
    if how == "replaced":
        shutil.copyfile(file, file.with_name("other"))
        file.with_name("other").replace(file)
    else:
        file.unlink()
    with pytest.raises(one_host.FileGoneError, match="deleted or replaced"):
        await asyncio.wait_for(task, 20)
    assert trainers() == []


async def test_a_lora_folder_that_takes_nothing_does_not_lose_the_job(
    place: Place, mount: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "COPY_PAUSE_S", 0.0)
    assert place.settings.lora_dir is not None
    disk = mount(place.settings.lora_dir, 1 << 20)
    disk.read_only()
    job = await place.order(photos(8))
    task = place.work()
    done = await place.until(job, JobState.DELIVERING)
    await ended(place, task)
    assert done.copied_to == ""
    assert len(artifacts(place)) == 1
    assert place.loras == []


@pytest.mark.parametrize("state", list(JobState))
async def test_a_cancel_in_every_state_twice(place: Place, state: JobState) -> None:
    """What has ended stays as it is; a file that is there is not taken away."""
    job = make_job(state=state, fence=1)
    async with place.database.write() as tx:
        await job_store.add(tx, job)
        said = [await job_store.request_cancel(tx, job.id, now=1.0) for _ in range(2)]
        wanted = (await job_store.get(tx, job.id) or job).cancel_requested
    after = await place.get(job)
    assert said == [after.state] * 2
    if state in (JobState.HELD, JobState.QUEUED):
        assert after.state is JobState.CANCELLED
    elif state in FINAL or state is JobState.DELIVERING:
        assert after.state is state
    else:
        assert (after.state, wanted) == (state, True)
