"""A disk that is full, really: each kind of file in turn lies on a small one of its own."""

import asyncio
import io
import json
import signal
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from PIL import Image
from pydantic import SecretStr
from safetensors import safe_open
from sqlalchemy.exc import DBAPIError

from bench import random_base
from bot.events import Command, Text
from pictures.sandbox import Cells
from storage import job_lists
from storage.blob_store import LocalBlobs
from storage.database import Database
from storage.job import Job, JobState
from storage.settings import Settings
from tests.chatting import ME, Chat, opener
from tests.conftest import eventually
from tests.drawn import photos
from tests.e2e.test_trainer import spec_of, start
from tests.fakes import FakeFrontend
from tests.families import train_here
from tests.faults.disk import Mount
from tests.integration.test_worker import Place, ended, trainers
from trainer import checkpoint, loop
from trainer.run import (
    EXIT_FAILED,
    Failed,
    Failure,
    Phase,
    Progress,
    from_line,
)

MB = 1 << 20


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    """Its database is opened by the test: what lies on the small disk differs."""
    settings = Settings(data_dir=tmp_path / "data", lora_dir=tmp_path / "loras", lease_s=2.0)
    (tmp_path / "loras").mkdir()
    database = await Database.open(settings.database)
    yield Place(settings, database, asyncio.Event())
    await database.close()


async def failed(place: Place, job: Job, mode: str = "normal") -> Job:
    task = place.work(mode)
    found = await place.until(job, JobState.FAILED, JobState.DELIVERING)
    await ended(place, task)
    return found


async def test_a_database_on_a_full_disk_takes_an_update_when_there_is_room(
    tmp_path: Path, cells: Cells, mount: Mount
) -> None:
    disk = mount(tmp_path / "disk", 4 * MB)
    settings = Settings(
        data_dir=tmp_path / "data",
        database_url=SecretStr(f"sqlite+aiosqlite:///{disk.root / 'lorabot.db'}"),
        consent="never",
    )
    settings.data_dir.mkdir()
    database = await Database.open(settings.database)
    async with opener(settings, database, FakeFrontend(), cells)() as chat:
        await chat.do(Command("train"))
        await chat.reads("What should it learn?")
        disk.fill()
        # What was not committed is not acknowledged: the network brings it once more.
        with pytest.raises(DBAPIError, match="full"):
            await talk(chat)
        disk.free()
        await chat.do(Text("person"), update_id="again")
        await chat.reads("short name")
    await database.close()


async def talk(chat: Chat) -> None:
    """For a while: the part of the log that is there already is written over first."""
    for number in range(400):
        await chat.do(Command("queue"), update_id=f"full-{number}")


async def test_a_database_that_is_full_while_a_job_runs_loses_nothing(
    tmp_path: Path, mount: Mount
) -> None:
    disk = mount(tmp_path / "disk", 4 * MB)
    settings = Settings(
        data_dir=tmp_path / "data",
        lora_dir=tmp_path,
        database_url=SecretStr(f"sqlite+aiosqlite:///{disk.root / 'lorabot.db'}"),
        lease_s=1.0,
    )
    settings.data_dir.mkdir()
    place = Place(settings, await Database.open(settings.database), asyncio.Event())
    job = await place.order(photos(8))
    task = place.work("slow")
    await place.until_step(job)
    disk.fill()
    first = (await place.get(job)).fence
    work = settings.data_dir / "work" / job.id
    starts = work / "run" / "starts"

    async def stopped() -> bool:
        return task.done() or not trainers()

    await eventually(stopped)
    assert not task.done()
    assert starts.exists()
    disk.free()

    async def claimed_again() -> bool:
        return (await place.get(job)).fence > first

    await eventually(claimed_again)
    await ended(place, task)
    task = place.work()
    await place.until(job, JobState.DELIVERING)
    await ended(place, task)
    await place.database.close()


async def test_no_room_for_a_dataset_is_told_and_the_photos_stay(
    place: Place, mount: Mount
) -> None:
    disk = mount(place.settings.data_dir / "work", MB)
    disk.fill(leave=1 << 13)
    job = await place.order(photos(8))
    found = await failed(place, job)
    assert found.failure is not None
    assert found.failure.code == "fail.disk"
    blobs = LocalBlobs(place.settings.data_dir / "blobs")
    kept = [f"photos/{one.sha256[:2]}/{one.sha256}" for one in job.photos]
    assert all([await blobs.exists(key) for key in kept])
    disk.free()
    again = await place.order(photos(8), name="again")
    assert (await failed(place, again)).state is JobState.DELIVERING


async def test_no_room_for_the_artifact_is_told_and_leaves_no_half_file(
    place: Place, mount: Mount
) -> None:
    disk = mount(place.settings.data_dir / "blobs" / "artifacts", MB)
    disk.fill()
    job = await place.order(photos(8))
    found = await failed(place, job)
    assert found.failure is not None
    assert found.failure.code == "fail.disk"
    assert found.artifact is None
    assert place.loras == []
    disk.free()
    assert not [one for one in disk.root.rglob("*") if one.is_file()]


async def test_no_room_for_samples_costs_the_samples_alone(place: Place, mount: Mount) -> None:
    disk = mount(place.settings.data_dir / "blobs" / "samples", MB)
    disk.fill()
    job = await place.order(photos(8))
    task = place.work("draw")
    await place.until_step(job)
    async with place.database.write() as tx:
        await tx.exec_driver_sql("UPDATE jobs SET asked_finish = 1")
    done = await place.until(job, JobState.DELIVERING, JobState.FAILED)
    await ended(place, task)
    assert done.state is JobState.DELIVERING
    assert done.samples is None
    assert place.loras == ["mochi.safetensors"]


def test_no_room_for_a_checkpoint_is_told_and_the_run_goes_on_from_the_last_one(
    tmp_path: Path, mount: Mount
) -> None:
    """The real trainer, stopped by SIGTERM: that is when it has to write one."""
    base, pictures = tmp_path / "base", tmp_path / "pictures"
    random_base.make(base)
    lay_pictures(pictures)
    disk = mount(tmp_path / "disk", 8 * MB)
    spec = spec_of(base, pictures, disk.root / "job", max_steps=20_000)
    spec.work.mkdir()
    with pytest.raises(loop.StoppedError):
        train_here(spec, stop_at=3)
    saved = step_of(spec.work / checkpoint.NAME)
    process = start(spec)
    assert process.stdout is not None
    until_step(process.stdout, more_than=saved)
    disk.fill()
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    last = from_line(out.splitlines()[-1])
    assert isinstance(last, Failed)
    assert (process.returncode, last.code) == (EXIT_FAILED, Failure.DISK)
    disk.free()
    # A torn one never takes the place of the whole one.
    assert step_of(spec.work / checkpoint.NAME) == saved


def step_of(path: Path) -> int:
    with safe_open(path, framework="pt") as file:
        return int(json.loads(file.metadata()["numbers"])["step"])


def until_step(lines: Iterable[str], more_than: int) -> None:
    for line in lines:
        told = from_line(line)
        if isinstance(told, Progress) and told.phase is Phase.TRAINING and told.step > more_than:
            return
    raise AssertionError("it ended before its first step")


def lay_pictures(folder: Path) -> None:
    folder.mkdir()
    for number, data in enumerate(photos(4), start=1):
        picture = Image.open(io.BytesIO(data)).convert("RGB").resize((64, 64))
        picture.save(folder / f"{number:04}.png")
        (folder / f"{number:04}.txt").write_text("mochix person")


async def test_no_room_for_a_photo_is_said_and_it_can_be_sent_again(
    tmp_path: Path, database: Database, cells: Cells, mount: Mount
) -> None:
    disk = mount(tmp_path / "blobs" / "photos", MB)
    settings = Settings(data_dir=tmp_path, consent="never")
    async with opener(settings, database, FakeFrontend(), cells)() as chat:
        await chat.draft()
        await chat.reads("Now send me")
        disk.fill()
        await chat.send(*photos(1))
        await chat.reads("didn't arrive")
        disk.free()
        await chat.send(*photos(1))
        await chat.reads("1 photo")
        async with database.read() as tx:
            assert await job_lists.of_person(tx, ME) == []
