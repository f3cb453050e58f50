"""A backup with the files of a real store elsewhere, and back to where one wants them."""

import asyncio
import os
from pathlib import Path

import obstore
import pytest

from lorabot import backup, restore
from lorabot.backup import BackupError, Choice
from lorabot.backup_file import Writer
from lorabot.backup_store import add_store
from storage import job_store
from storage.blob_store import photo_key
from storage.database import Database
from storage.job import JobState, Photo
from storage.remote_blobs import RemoteBlobs
from storage.settings import Settings
from storage.stores import blobs_of
from tests.jobs import make_job
from tests.s3 import S3

DONE, WAITS = "d" * 64, "e" * 64
LORA = "artifacts/j/1/m.safetensors"
LARGE = os.urandom(9 << 20)  # more than one piece of a file that is read


@pytest.fixture
async def origin(s3: S3, tmp_path: Path) -> Settings:
    """A service with its files in a bucket: a job that has ended, and one that waits."""
    settings = s3.settings(tmp_path / "origin")
    (settings.data_dir / "run").mkdir(parents=True)
    database = await Database.open(settings.database)
    async with database.write() as tx:
        for state, sha256 in ((JobState.DONE, DONE), (JobState.QUEUED, WAITS)):
            photo = Photo(sha256=sha256, number=1, file_bytes=3)
            await job_store.add(tx, make_job(state=state, photos=(photo,)))
    await database.close()
    blobs = blobs_of(settings)
    for key in (photo_key(DONE), photo_key(WAITS), "exports/x/y.zip"):
        await blobs.put(key, key.encode())
    await blobs.put(LORA, LARGE)
    return settings


async def saved(settings: Settings, target: Path, choice: Choice, *, files: bool = True) -> str:
    """As a command of its own: it has an event loop for itself."""
    return await asyncio.to_thread(backup.make, settings, target, choice, files=files)


async def restored(settings: Settings, source: Path) -> str:
    (settings.data_dir / "run").mkdir(parents=True)
    return await asyncio.to_thread(restore.restore, settings, source)


def files_in(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


async def test_files_of_a_bucket_come_back_in_a_folder(origin: Settings, tmp_path: Path) -> None:
    said = await saved(origin, tmp_path / "one.backup", Choice())
    assert "BLOB_URL" not in said
    assert restore.check(tmp_path / "one.backup")
    there = Settings(data_dir=tmp_path / "there")
    said = await restored(there, tmp_path / "one.backup")
    assert "BLOB_URL" not in said
    photos = {key: key.encode() for key in (photo_key(DONE), photo_key(WAITS))}
    assert files_in(there.data_dir / "blobs") == photos | {LORA: LARGE}
    assert not files_in(origin.data_dir / "near"), "nothing of it stays on this machine"


async def test_and_in_another_bucket(origin: Settings, s3: S3, tmp_path: Path) -> None:
    await saved(origin, tmp_path / "one.backup", Choice())
    there = s3.settings(tmp_path / "there")
    await restored(there, tmp_path / "one.backup")
    blobs = blobs_of(there)
    assert isinstance(blobs, RemoteBlobs)
    assert await blobs.keys() == sorted([photo_key(DONE), photo_key(WAITS), LORA])
    assert await blobs.get(LORA) == LARGE


async def test_what_was_not_chosen_stays_there(origin: Settings, tmp_path: Path) -> None:
    choice = Choice(photos=False, artifacts=False)
    await saved(origin, tmp_path / "few.backup", choice)
    there = Settings(data_dir=tmp_path / "there")
    await restored(there, tmp_path / "few.backup")
    # Somebody still waits for this one.
    assert set(files_in(there.data_dir / "blobs")) == {photo_key(WAITS)}


async def test_without_being_asked_for_no_file_is_fetched(origin: Settings, tmp_path: Path) -> None:
    said = await saved(origin, tmp_path / "rows.backup", Choice(), files=False)
    assert "--files" in said
    assert (tmp_path / "rows.backup").stat().st_size < len(LARGE)


async def test_a_file_that_is_deleted_meanwhile_is_left_out(
    origin: Settings, tmp_path: Path
) -> None:
    blobs = blobs_of(origin)
    assert isinstance(blobs, RemoteBlobs)

    def deleted(key: str) -> bool:
        """Between the list and the file."""
        if key == LORA:
            obstore.delete(blobs._store, key)
        return True

    with (tmp_path / "made").open("wb") as file:
        writer = Writer(file)
        await add_store(origin, writer, deleted)
    assert f"blobs/{LORA}" not in writer.sums
    assert f"blobs/{photo_key(DONE)}" in writer.sums


async def test_a_store_that_is_away_makes_no_half_a_backup(
    origin: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lorabot.backup_store.PATIENCE_S", 0.5)
    away = origin.model_copy(update={"aws_endpoint_url": "http://127.0.0.1:9"})
    with pytest.raises(BackupError, match="the backup was not made"):
        await saved(away, tmp_path / "none.backup", Choice())
    assert [one.name for one in tmp_path.iterdir() if "backup" in one.name] == []
