"""Faults in the middle of a job, in one process: each is held at its place, then let go."""

import asyncio
import fcntl
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from pipeline import artifact, train, training
from pipeline.lease import Halt, Lease
from storage import host, job_store
from storage.blob_store import LocalBlobs
from storage.database import Database
from storage.job import JobState
from storage.settings import Settings
from tests.conftest import eventually
from tests.drawn import photos
from tests.integration.test_worker import Place, ended
from tests.patience import PATIENCE_S


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    settings = Settings(data_dir=tmp_path / "data", lora_dir=tmp_path / "loras", lease_s=2.0)
    (tmp_path / "loras").mkdir()
    database = await Database.open(settings.database)
    yield Place(settings, database, asyncio.Event())
    await database.close()


class Gate:
    """Whoever comes waits here, in a thread, until it is opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()

    def before(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def held(*args: Any) -> Any:
            self.reached.set()
            self.open.wait(30)
            return work(*args)

        return held

    def before_await(self, work: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def held(*args: Any) -> Any:
            self.reached.set()
            await asyncio.to_thread(self.open.wait, 30)
            return await work(*args)

        return held

    def after(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def held(*args: Any) -> Any:
            done = work(*args)
            self.reached.set()
            self.open.wait(30)
            return done

        return held


@pytest.fixture
def gate() -> Iterator[Gate]:
    one = Gate()
    yield one
    one.open.set()


def trainers() -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for one in psutil.Process().children(recursive=True):
        try:
            if "stand_in_trainer" in " ".join(one.cmdline()):
                found.append(one)
        except psutil.Error:
            continue
    return found


@contextmanager
def busy(place: Place) -> Iterator[None]:
    """Somebody else's trainer holds the device."""
    lock = place.settings.data_dir / "run" / "gpu-0.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as taken:
        fcntl.flock(taken, fcntl.LOCK_EX)
        yield


@contextmanager
def locked(place: Place) -> Iterator[None]:
    """Somebody else writes into the database, and takes their time."""
    other = sqlite3.connect(place.settings.data_dir / "lorabot.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.close()


async def cancel(place: Place, job_id: str) -> None:
    async with place.database.write() as tx:
        await job_store.request_cancel(tx, job_id, now=time.time())


async def halted(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set as soon as a lease has heard that it has to stop."""
    heard = asyncio.Event()
    real = Lease.stop

    def stop(lease: Lease, why: Halt) -> None:
        real(lease, why)
        heard.set()

    monkeypatch.setattr(Lease, "stop", stop)
    return heard


async def test_a_job_waits_in_the_queue_while_the_device_is_taken(place: Place) -> None:
    job = await place.order(photos(8))
    with busy(place):
        task = place.work()
        async with asyncio.timeout(PATIENCE_S):
            await eventually(lambda: _online(place))
        waiting = await place.get(job)
        assert (waiting.state, waiting.fence) == (JobState.QUEUED, 0)
    await place.until(job, JobState.DELIVERING)
    await ended(place, task)


async def _online(place: Place) -> bool:
    async with place.database.read() as tx:
        return bool((await tx.exec_driver_sql("SELECT count(*) FROM workers")).scalar_one())


async def test_a_device_taken_meanwhile_is_not_the_job_s_fault(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "BUSY_S", 0.05)
    monkeypatch.setattr(train, "device_is_free", lambda _: True)
    job = await place.order(photos(8))
    with busy(place):
        task = place.work()

        async def tried_often() -> bool:
            return (await place.get(job)).fence > place.settings.max_attempts

        await eventually(tried_often)
    await place.until(job, JobState.DELIVERING)
    await ended(place, task)


async def test_a_deploy_while_waiting_for_the_device_is_uncounted(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "device_is_free", lambda _: True)
    job = await place.order(photos(8))
    with busy(place):
        task = place.work()
        await place.until(job, JobState.TRAINING)
        await ended(place, task)
    waiting = await place.get(job)
    assert (waiting.state, waiting.attempts) == (JobState.QUEUED, 0)


async def test_a_cancel_while_preparing_ends_the_job(
    place: Place, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocalBlobs, "get", gate.before_await(LocalBlobs.get))
    heard = await halted(monkeypatch)
    job = await place.order(photos(8))
    task = place.work()
    await place.until(job, JobState.PREPARING)
    await cancel(place, job.id)
    await heard.wait()
    gate.open.set()
    await place.until(job, JobState.CANCELLED)
    await ended(place, task)
    assert not (place.settings.data_dir / "work" / job.id).exists()


async def test_a_cancel_before_the_copy_leaves_no_file(
    place: Place, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact, "check", gate.before(artifact.check))
    heard = await halted(monkeypatch)
    job = await place.order(photos(8))
    task = place.work()
    await place.until(job, JobState.COPYING)
    await cancel(place, job.id)
    await heard.wait()
    gate.open.set()
    await place.until(job, JobState.CANCELLED)
    await ended(place, task)
    assert place.loras == []


async def test_a_cancel_after_the_copy_comes_too_late(
    place: Place, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact, "copy_beside", gate.after(artifact.copy_beside))
    heard = await halted(monkeypatch)
    job = await place.order(photos(8))
    task = place.work()
    await asyncio.to_thread(gate.reached.wait, 20)
    await cancel(place, job.id)
    await heard.wait()
    gate.open.set()
    done = await place.until(job, JobState.DELIVERING)
    await ended(place, task)
    assert place.loras == [done.copied_to]


async def test_a_database_locked_past_the_lease_costs_an_attempt_and_nothing_else(
    place: Place,
) -> None:
    job = await place.order(photos(8))
    task = place.work("slow")
    await place.until_step(job)
    (first,) = trainers()
    with locked(place):
        # It stops by itself, before anybody else could take the job.
        _, alive = await asyncio.to_thread(psutil.wait_procs, [first], timeout=PATIENCE_S)
        assert not alive

    async def trains_again() -> bool:
        found = await place.get(job)
        return found.fence == 2 and found.progress is not None

    await eventually(trains_again)
    await cancel(place, job.id)
    await place.until(job, JobState.CANCELLED)
    await ended(place, task)


async def test_a_lost_job_s_trainer_gets_no_grace(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Halt | None] = []
    real = training._patience

    def patience(why: Halt | None, drain_s: float) -> float:
        seen.append(why)
        return real(why, drain_s)

    monkeypatch.setattr(training, "_patience", patience)
    job = await place.order(photos(8))
    task = place.work("stubborn")
    await place.until_step(job)
    (trainer,) = trainers()
    async with place.database.write() as tx:
        await tx.exec_driver_sql(
            "UPDATE jobs SET fence = fence + 1, lease_until = lease_until + 99"
        )
    gone, _ = await asyncio.to_thread(psutil.wait_procs, [trainer], timeout=PATIENCE_S)
    assert gone == [trainer]
    await ended(place, task)
    assert seen == [Halt.LOST]
    assert place.loras == []


@pytest.mark.parametrize(
    ("why", "grace_s"), [(Halt.LOST, 0.0), (Halt.DRAIN, 8.0), (Halt.CANCELLED, train.GRACE_S)]
)
def test_how_long_a_checkpoint_may_take(why: Halt, grace_s: float) -> None:
    assert training._patience(why, drain_s=10.0) == grace_s


async def test_a_deploy_keeps_to_its_time_whatever_the_trainer_does(place: Place) -> None:
    job = await place.order(photos(8))
    task = place.work("stubborn", drain_s=0.5)
    await place.until_step(job)
    began = time.monotonic()
    await ended(place, task)
    assert time.monotonic() - began < train.GRACE_S / 2
    waiting = await place.get(job)
    assert (waiting.state, waiting.attempts) == (JobState.QUEUED, 0)


async def test_a_worker_starts_only_when_the_database_answers(place: Place) -> None:
    job = await place.order(photos(8))
    with locked(place):
        task = place.work()
        await asyncio.wait((task,), timeout=0.5)
        assert not task.done()
    await place.until(job, JobState.DELIVERING)
    await ended(place, task)


@pytest.mark.parametrize("state", ["waiting", "gone", "running"])
async def test_a_stray_trainer_of_a_dead_worker_is_ended(place: Place, state: str) -> None:
    job = await place.order(photos(8), name="other")
    if state == "running":
        # By a worker that lives: this very process.
        async with place.database.write() as tx:
            await job_store.claim(tx, host.this_process(), lease_s=99, now=time.time())
    home = place.settings.data_dir / "work" / (job.id if state != "gone" else "gone")
    home.mkdir(parents=True)
    stray = await asyncio.create_subprocess_exec("sleep", "600", start_new_session=True)
    train._note(home, stray.pid)
    task = place.work()
    mine = await place.order(photos(8, first=20))
    await place.until(mine, JobState.DELIVERING)
    await ended(place, task)
    if state == "running":
        assert stray.returncode is None
        stray.kill()
    assert await stray.wait() == -9


async def test_without_redis_a_job_only_starts_a_little_later(place: Place) -> None:
    url = f"unix://{place.settings.data_dir / 'nobody.sock'}"
    redis_url = Settings.model_validate({"redis_url": url}).redis_url
    task = place.work(redis_url=redis_url)
    job = await place.order(photos(8))
    await place.until(job, JobState.DELIVERING)
    await ended(place, task)
