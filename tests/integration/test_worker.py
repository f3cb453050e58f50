"""A worker on real files, a real database and real child processes."""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import psutil
import pytest

from pipeline import crew, run, train, worker
from storage import host, job_release, job_store
from storage.blob_store import photo_key
from storage.database import Database
from storage.doorbell import Doorbell
from storage.job import Job, JobState, Photo
from storage.redis_server import RedisServer
from storage.settings import Settings
from storage.stores import blobs_of
from tests.conftest import eventually
from tests.drawn import photos
from tests.jobs import make_job
from tests.stand_in_trainer import StandIn


@dataclass
class Place:
    """One data folder with its database; `work` starts a worker in this process."""

    settings: Settings
    database: Database
    stop: asyncio.Event

    def work(self, mode: str = "normal", **changes: object) -> asyncio.Task[None]:
        self.stop = asyncio.Event()
        settings = self.settings.model_copy(update=changes)
        serving = worker.serve(settings, stop=self.stop, backend=StandIn(mode))
        return asyncio.create_task(serving)

    async def order(self, uploads: list[bytes], **changes: object) -> Job:
        blobs = blobs_of(self.settings)
        kept = []
        for number, data in enumerate(uploads, start=1):
            sha256 = hashlib.sha256(data).hexdigest()
            await blobs.put(photo_key(sha256), data)
            kept.append(Photo(sha256=sha256, number=number, file_bytes=len(data)))
        job = make_job(photos=tuple(kept), created_at=time.time(), **changes)
        async with self.database.write() as tx:
            await job_store.add(tx, job)
        return job

    async def get(self, job: Job) -> Job:
        async with self.database.read() as tx:
            found = await job_store.get(tx, job.id)
        assert found is not None
        return found

    async def until(self, job: Job, *states: JobState) -> Job:
        async def look() -> Job | None:
            found = await self.get(job)
            return found if found.state in states else None

        found = await eventually(look)
        assert isinstance(found, Job)
        return found

    async def until_step(self, job: Job) -> None:
        async def look() -> bool:
            found = await self.get(job)
            return found.progress is not None and found.progress.step > 0

        await eventually(look)

    @property
    def loras(self) -> list[str]:
        assert self.settings.lora_dir is not None
        return sorted(path.name for path in self.settings.lora_dir.iterdir())


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    settings = Settings(data_dir=tmp_path / "data", lora_dir=tmp_path / "loras", lease_s=2.0)
    (tmp_path / "loras").mkdir()
    database = await Database.open(settings.database)
    yield Place(settings, database, asyncio.Event())
    await database.close()


def trainers() -> list[psutil.Process]:
    """The stand-ins that run below this process; one may end while it is looked at."""
    found = []
    for one in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "stand_in_trainer" in " ".join(one.cmdline()):
                found.append(one)
    return found


@pytest.fixture(autouse=True)
def nothing_is_left() -> object:
    """After each test no trainer of ours runs any more."""
    yield
    assert trainers() == []


async def ended(place: Place, task: asyncio.Task[None]) -> None:
    place.stop.set()
    await task


async def test_a_job_ends_as_one_file_in_the_lora_folder(place: Place) -> None:
    job = await place.order([*photos(9), b"not a picture"])
    task = place.work()
    done = await place.until(job, JobState.DELIVERING)
    await ended(place, task)
    assert done.artifact is not None
    assert place.loras == [done.copied_to] == ["mochi.safetensors"]
    assert [one.code for one in done.rejections] == ["photo.type"]
    assert not (place.settings.data_dir / "work" / job.id).exists()


async def test_too_few_good_photos_end_with_their_reasons(place: Place) -> None:
    job = await place.order([*photos(7), b"junk", photos(1)[0]])
    task = place.work()
    failed = await place.until(job, JobState.FAILED)
    await ended(place, task)
    assert failed.failure is not None
    assert failed.failure.code == "fail.too_few"
    assert {one.code for one in failed.rejections} == {"photo.type", "photo.twin"}


@pytest.mark.parametrize(
    ("mode", "code"),
    [
        ("memory", "fail.memory"),
        ("crash", "fail.internal"),
        ("no_file", "fail.artifact"),
    ],
)
async def test_a_trainer_that_fails_is_told_plainly(place: Place, mode: str, code: str) -> None:
    job = await place.order(photos(8))
    task = place.work(mode)
    failed = await place.until(job, JobState.FAILED)
    await ended(place, task)
    assert failed.failure is not None
    assert failed.failure.code == code
    assert place.loras == []


async def test_a_flood_of_output_harms_nobody(place: Place) -> None:
    job = await place.order(photos(8))
    task = place.work("flood")
    await place.until(job, JobState.DELIVERING)
    await ended(place, task)
    log = place.settings.data_dir / "logs" / f"{job.id}.log"
    assert 0 < log.stat().st_size <= train.TAIL_BYTES


async def test_a_silent_trainer_is_ended(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "Order", partial(train.Order, stall_s=1.0, grace_s=0.5))
    job = await place.order(photos(8))
    task = place.work("silent")
    failed = await place.until(job, JobState.FAILED)
    await ended(place, task)
    assert failed.failure is not None
    assert failed.failure.code == "fail.stalled"


@pytest.mark.parametrize("mode", ["slow", "stubborn"])
async def test_a_cancel_ends_the_trainer(
    place: Place, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "Order", partial(train.Order, grace_s=0.5))
    job = await place.order(photos(8))
    task = place.work(mode)
    await place.until_step(job)
    async with place.database.write() as tx:
        await job_store.request_cancel(tx, job.id, now=time.time())
    await place.until(job, JobState.CANCELLED)
    await ended(place, task)
    assert place.loras == []


async def test_a_deploy_gives_the_job_back_uncounted_and_the_next_worker_goes_on(
    place: Place,
) -> None:
    job = await place.order(photos(8))
    task = place.work("slow")
    await place.until_step(job)
    await ended(place, task)
    waiting = await place.get(job)
    assert (waiting.state, waiting.attempts) == (JobState.QUEUED, 0)
    task = place.work("normal")
    await place.until(job, JobState.DELIVERING)
    await ended(place, task)
    assert place.loras == ["mochi.safetensors"]


async def test_a_worker_that_lost_its_lease_stops_and_publishes_nothing(place: Place) -> None:
    job = await place.order(photos(8))
    task = place.work("slow")
    await place.until_step(job)
    other = replace(host.this_process(), name="other")
    async with place.database.write() as tx:
        await job_release.release_expired(tx, now=time.time() + 99, max_attempts=3)
        taken = await job_store.claim(tx, other, lease_s=99, now=time.time())
    assert taken is not None

    async def no_trainer() -> bool:
        return trainers() == []

    await eventually(no_trainer)
    await ended(place, task)
    left = await place.get(job)
    assert (left.fence, left.state) == (taken.fence, JobState.PREPARING)
    assert not (place.settings.data_dir / "blobs" / "artifacts").exists()


async def test_a_killed_trainer_of_a_cancelled_job_is_not_tried_again(place: Place) -> None:
    job = await place.order(photos(8))
    async with place.database.write() as tx:
        claimed = await job_store.claim(tx, host.this_process(), lease_s=99, now=time.time())
        assert claimed is not None
        await job_store.request_cancel(tx, job.id, now=1)
        assert await job_store.requeue(tx, job.id, claimed.fence, now=1, counted=True)
    assert (await place.get(job)).state is JobState.CANCELLED


async def test_a_killed_trainer_is_tried_again(place: Place) -> None:
    job = await place.order(photos(8))
    task = place.work("slow")
    await place.until_step(job)
    for child in trainers():
        child.kill()

    async def second() -> bool:
        return (await place.get(job)).attempts == 2

    await eventually(second)
    await ended(place, task)


async def test_a_file_that_is_there_is_never_overwritten(place: Place) -> None:
    assert place.settings.lora_dir is not None
    (place.settings.lora_dir / "mochi.safetensors").write_bytes(b"somebody's own")
    job = await place.order(photos(8))
    task = place.work()
    done = await place.until(job, JobState.DELIVERING)
    await ended(place, task)
    assert done.copied_to == "mochi_2.safetensors"
    assert (place.settings.lora_dir / "mochi.safetensors").read_bytes() == b"somebody's own"


async def test_a_lora_folder_that_is_gone_does_not_lose_the_job(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "COPY_PAUSE_S", 0.0)
    job = await place.order(photos(8))
    task = place.work(lora_dir=place.settings.data_dir / "nowhere")
    done = await place.until(job, JobState.DELIVERING)
    await ended(place, task)
    assert done.copied_to == ""
    assert done.artifact is not None


async def test_the_doorbell_wakes_a_worker_through_a_redis_that_was_killed(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "SWEEP_S", (600.0, 600.0))
    server = RedisServer(tmp_path / "redis.sock")
    socket = await server.start()
    assert socket is not None
    url = f"unix://{socket}"
    task = place.work(redis_url=type(place.settings).model_validate({"redis_url": url}).redis_url)
    bell = Doorbell(url)
    for kill in (False, True):
        if kill:
            assert server._process is not None
            server._process.kill()
            await eventually(bell.ring)
        job = await place.order(photos(8, first=9), name=f"mochi-{kill}")

        async def heard(job: Job = job) -> bool:
            await bell.ring()
            return (await place.get(job)).state is JobState.DELIVERING

        await eventually(heard)
    await bell.close()
    await ended(place, task)
    await server.stop()


async def test_without_redis_the_bell_is_silent_and_says_so(tmp_path: Path) -> None:
    bell = Doorbell(f"unix://{tmp_path / 'nobody.sock'}")
    began = time.monotonic()
    assert not await bell.ring()
    assert time.monotonic() - began < 5
    await bell.close()
    assert not await Doorbell(None).ring()


async def test_the_redis_of_ours_is_private(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "run" / "redis.sock")
    socket = await server.start()
    assert socket is not None
    assert socket.stat().st_mode & 0o777 == 0o600
    assert server._process is not None
    connections = psutil.Process(server._process.pid).net_connections("inet")
    assert connections == []
    await server.stop()
    assert not socket.exists()


async def test_the_trainer_sees_no_secret_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "secret")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    seen = crew.environment()
    assert "secret" not in seen.values()
    assert seen["CUDA_VISIBLE_DEVICES"] == "0"
    assert os.environ["TELEGRAM_BOT_TOKEN"] == "secret"
