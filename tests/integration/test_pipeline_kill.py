"""Kill -9 of a real worker at each place of a job: the next one makes one artifact and one file.

Run as a program this is the worker: it holds still at the named place until it is killed.
"""

import asyncio
import itertools
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from pictures.sandbox import Cells
from pipeline import artifact, dataset, prepare, worker
from storage import job_wishes
from storage.blob_store import LocalBlobs, fsync_folder
from storage.database import Database
from storage.job import Job, JobState
from storage.settings import Settings
from tests.conftest import eventually
from tests.drawn import photos
from tests.integration.test_worker import Place
from tests.patience import PATIENCE_S
from tests.stand_in_trainer import StandIn

LEASE_S = 2.0
HELD = "held"  # a file that says: this place is reached


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    settings = Settings(data_dir=tmp_path / "data", lora_dir=tmp_path / "loras", lease_s=LEASE_S)
    (tmp_path / "loras").mkdir()
    database = await Database.open(settings.database)
    yield Place(settings, database, asyncio.Event())
    await database.close()


class Killable:
    """Real worker processes on one place, all gone at the end."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.started: list[asyncio.subprocess.Process] = []

    async def start(
        self, hold: str = "nowhere", mode: str = "normal"
    ) -> asyncio.subprocess.Process:
        data, loras = self.place.settings.data_dir, self.place.settings.lora_dir
        one = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.integration.test_pipeline_kill"),
            *(str(data), str(loras), hold, mode),
            cwd=Path(__file__).parents[2],
        )
        self.started.append(one)
        return one

    async def kill(self, one: asyncio.subprocess.Process) -> None:
        below = psutil.Process(one.pid).children(recursive=True)
        one.kill()
        await one.wait()
        _, alive = await asyncio.to_thread(psutil.wait_procs, below, timeout=PATIENCE_S)
        assert not alive

    async def finish(self) -> None:
        for one in self.started:
            if one.returncode is None:
                one.send_signal(signal.SIGCONT)
                one.terminate()
                await one.wait()


@pytest.fixture
async def workers(place: Place) -> AsyncIterator[Killable]:
    one = Killable(place)
    yield one
    await one.finish()


async def until_held(place: Place) -> None:
    async def held() -> bool:
        return (place.settings.data_dir / HELD).exists()

    await eventually(held)


async def check_one_of_each(place: Place, job: Job) -> None:
    done = await place.until(job, JobState.DELIVERING)
    assert done.artifact is not None
    assert place.settings.lora_dir is not None
    inside = [path.name for path in place.settings.lora_dir.iterdir()]
    assert inside == [done.copied_to] == ["mochi.safetensors"]
    blob = LocalBlobs(place.settings.data_dir / "blobs").path(done.artifact.key)
    copied = place.settings.lora_dir / done.copied_to
    assert copied.read_bytes() == blob.read_bytes()
    assert done.attempts == 2


PLACES = (
    "preparing",
    "written",
    "prepared",
    "training",
    "made",
    "published",
    "saved",
    "half-copied",
    "copied",
)
AGAIN = ("written", "made", "saved")  # just before or after another one


@pytest.mark.parametrize(
    "hold",
    [pytest.param(one, marks=pytest.mark.long if one in AGAIN else ()) for one in PLACES],
)
async def test_a_worker_killed_anywhere_leaves_one_artifact_and_one_file(
    place: Place, workers: Killable, hold: str
) -> None:
    job = await place.order(photos(8))
    first = await workers.start(hold, "slow" if hold == "training" else "normal")
    if hold == "training":
        await place.until_step(job)
    else:
        await until_held(place)
    await workers.kill(first)
    await workers.start()
    await check_one_of_each(place, job)


async def test_a_job_that_kills_its_worker_each_time_ends(place: Place, workers: Killable) -> None:
    job = await place.order(photos(8))
    for _ in range(place.settings.max_attempts):
        (place.settings.data_dir / HELD).unlink(missing_ok=True)
        first = await workers.start("opening")
        await until_held(place)
        await workers.kill(first)
    await workers.start()
    failed = await place.until(job, JobState.FAILED)
    assert failed.failure is not None
    assert failed.failure.code == "fail.poison"


async def test_a_frozen_worker_finds_on_waking_that_its_job_is_another_s(
    place: Place, workers: Killable
) -> None:
    job = await place.order(photos(8))
    first = await workers.start(mode="slow")
    await place.until_step(job)
    (trainer,) = [
        one
        for one in psutil.Process(first.pid).children(recursive=True)
        if "stand_in_trainer" in " ".join(one.cmdline())
    ]
    first.send_signal(signal.SIGSTOP)
    await workers.start()
    # The lease runs out; but as long as the device is held, nobody else starts.
    await place.until(job, JobState.QUEUED)
    assert trainer.is_running()
    # It is to go as well, or it might be the one that takes the job again.
    first.terminate()
    first.send_signal(signal.SIGCONT)
    await check_one_of_each(place, job)
    assert not trainer.is_running()


async def test_samples_outlive_a_worker_that_was_killed_before_it_could_show_them(
    place: Place, workers: Killable
) -> None:
    job = await place.order(photos(8))
    first = await workers.start("drawn", "draw")
    await until_held(place)
    await workers.kill(first)
    assert (await place.get(job)).samples is None
    # This one's trainer draws nothing: what it shows was drawn before.
    await workers.start(mode="slow")

    async def shown() -> bool:
        return (await place.get(job)).samples is not None

    await eventually(shown)
    samples = (await place.get(job)).samples
    assert samples is not None
    blobs = LocalBlobs(place.settings.data_dir / "blobs")
    assert all(blobs.path(key).is_file() for key in samples.keys)


Work = Callable[..., Any]


@dataclass(frozen=True)
class Holding:
    """Whoever comes to the place stays there, and says so."""

    data: Path

    def stop(self) -> None:
        (self.data / HELD).touch()
        threading.Event().wait()

    def before(self, _: Work) -> Work:
        def held(*_: Any, **__: Any) -> None:
            self.stop()

        return held

    def after(self, work: Work) -> Work:
        def held(*args: Any) -> None:
            work(*args)
            self.stop()

        return held

    def after_await(self, work: Work) -> Work:
        async def held(*args: Any) -> None:
            await work(*args)
            self.stop()

        return held

    def at_call(self, count: int, work: Work) -> Work:
        calls = itertools.count(1)

        async def held(*args: Any) -> Any:
            if next(calls) == count:
                self.stop()
            return await work(*args)

        return held


def hold_at(hold: str, data: Path) -> None:
    """Change the worker so that it goes no further than there."""
    here = Holding(data)
    where: dict[str, tuple[object, str, object]] = {
        "opening": (Cells, "develop", here.at_call(1, Cells.develop)),
        "preparing": (Cells, "develop", here.at_call(5, Cells.develop)),
        "written": (dataset, "fsync_folder", here.before(fsync_folder)),
        "prepared": (prepare, "prepare", here.after_await(prepare.prepare)),
        "drawn": (job_wishes, "save_samples", here.before(job_wishes.save_samples)),
        "made": (artifact, "check", here.before(artifact.check)),
        "published": (LocalBlobs, "_put", here.after(LocalBlobs._put)),
        "saved": (artifact, "copy_beside", here.before(artifact.copy_beside)),
        "half-copied": (artifact, "_take_name", here.before(artifact._take_name)),
        "copied": (artifact, "copy_beside", here.after(artifact.copy_beside)),
    }
    if hold in where:
        setattr(*where[hold])


def main(data: str, loras: str, hold: str, mode: str) -> None:
    settings = Settings(data_dir=Path(data), lora_dir=Path(loras), lease_s=LEASE_S)
    hold_at(hold, settings.data_dir)

    async def serve() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await worker.serve(settings, stop=stop, backend=StandIn(mode))

    asyncio.run(serve())
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
