"""Files by key: private, whole or not there, and never changed under the same key."""

import asyncio
import errno
import os
import time
from pathlib import Path

import obstore
import pytest

from storage.blob_store import LocalBlobs, artifact_key, photo_key
from storage.blobs import BlobExistsError, Blobs
from storage.remote_blobs import RemoteBlobs
from tests.s3 import S3

KEY = artifact_key("JOB", 2, "mochi.safetensors")
WEIGHTS = b"weights" * 500_000  # more than one chunk


@pytest.fixture(params=["folder", "bucket"])
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """Both kinds of store: what is promised of one holds for the other."""
    if request.param == "folder":
        return LocalBlobs(tmp_path / "blobs")
    server: S3 = request.getfixturevalue("s3")
    return server.blobs(tmp_path)


@pytest.fixture
def local(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "blobs")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "made"
    path.write_bytes(WEIGHTS)
    return path


async def names(blobs: Blobs) -> list[str]:
    if isinstance(blobs, RemoteBlobs):
        found = await obstore.list(blobs._store).collect_async()
        return sorted(one["path"] for one in found)
    assert isinstance(blobs, LocalBlobs)
    files = [path for path in blobs.root.rglob("*") if path.is_file()]
    return sorted(str(path.relative_to(blobs.root)) for path in files)


async def test_a_file_comes_back_as_it_was(blobs: Blobs, made: Path) -> None:
    await blobs.put_file(KEY, made)
    assert await blobs.get(KEY) == WEIGHTS
    assert await names(blobs) == [KEY]


async def test_a_file_is_read_from_any_byte_to_any_other(blobs: Blobs) -> None:
    await blobs.put(KEY, WEIGHTS)
    file = await blobs.open(KEY)
    assert file.size == await blobs.size(KEY) == len(WEIGHTS)
    for first, last in ((0, len(WEIGHTS) - 1), (5, 5), (3_000_000, 3_400_000)):
        assert b"".join([one async for one in file.read(first, last)]) == WEIGHTS[first : last + 1]
    await file.close()


async def test_an_empty_file_is_a_file(blobs: Blobs, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    await blobs.put_file("a", tmp_path / "empty")
    await blobs.put("a", b"")
    assert await blobs.get("a") == b""
    assert await blobs.size("a") == 0
    assert (await blobs.at_hand("a")).read_bytes() == b""


async def test_what_is_not_there_is_said_to_be_missing(blobs: Blobs) -> None:
    assert not await blobs.exists("photos/aa/none")
    for ask in (blobs.get, blobs.open, blobs.size, blobs.at_hand):
        with pytest.raises(FileNotFoundError):
            await ask("photos/aa/none")
    with pytest.raises(FileNotFoundError):
        async with blobs.local("photos/aa/none"):
            raise AssertionError("there is nothing")
    assert not await blobs.fault()


async def test_a_file_is_on_this_machine_for_who_needs_a_path(blobs: Blobs) -> None:
    await blobs.put(KEY, WEIGHTS)
    async with blobs.local(KEY) as path:
        assert path.name == "mochi.safetensors"
        assert path.read_bytes() == WEIGHTS
    path = await blobs.at_hand(KEY)
    assert path.name == "mochi.safetensors"
    assert path.read_bytes() == WEIGHTS
    await blobs.delete_prefix("artifacts/JOB")
    assert not path.exists()
    with pytest.raises(FileNotFoundError):
        await blobs.at_hand(KEY)


async def test_old_files_are_found_and_swept_and_new_ones_stay(blobs: Blobs) -> None:
    await blobs.put("photos/aa/one", b"1")
    await blobs.put("exports/ab/two.zip", b"2")
    now = time.time()
    assert await blobs.older("photos", before=now - 60) == []
    assert await blobs.older("photos", before=now + 60) == ["one"]
    await blobs.sweep("exports", before=now - 60)
    assert await names(blobs) == ["exports/ab/two.zip", "photos/aa/one"]
    await blobs.sweep("exports", before=now + 60)
    await blobs.sweep_half_written(before=now + 60)
    assert await names(blobs) == ["photos/aa/one"]


async def test_the_same_content_may_be_put_again(blobs: Blobs, made: Path) -> None:
    await blobs.put_file(KEY, made)
    await blobs.put_file(KEY, made)
    await blobs.put(KEY, WEIGHTS)
    assert await names(blobs) == [KEY]


async def test_another_content_is_refused_and_the_first_stays(blobs: Blobs) -> None:
    await blobs.put(KEY, b"first")
    with pytest.raises(BlobExistsError):
        await blobs.put(KEY, b"other")
    assert await blobs.get(KEY) == b"first"
    assert await names(blobs) == [KEY]


async def test_of_many_that_publish_at_once_one_wins(blobs: Blobs) -> None:
    puts = (blobs.put(KEY, str(number).encode()) for number in range(20))
    ended = await asyncio.gather(*puts, return_exceptions=True)
    assert sum(isinstance(one, BlobExistsError) for one in ended) == 19
    assert (await blobs.get(KEY)).decode() == str(ended.index(None))


async def test_files_and_folders_are_for_their_owner_alone(local: LocalBlobs) -> None:
    await local.put(photo_key("a" * 64), b"x")
    path = local.path(photo_key("a" * 64))
    modes = [one.stat().st_mode & 0o777 for one in (path, path.parent, path.parent.parent)]
    assert modes == [0o600, 0o700, 0o700]


@pytest.mark.parametrize("call", ["fsync", "link"])
async def test_a_full_disk_leaves_nothing_half_written(
    local: LocalBlobs, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    await local.put("other", b"makes the folder")
    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        patched.setattr(Path, "rename", full)
        with pytest.raises(OSError, match="no space"):
            await local.put("key", b"content")
    assert await names(local) == ["other"]
    await local.put("key", b"content")


async def test_the_folder_is_written_even_when_the_file_was_there(
    local: LocalBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await local.put("photos/aa/x", b"x")
    synced: list[Path] = []
    monkeypatch.setattr("storage.blob_store.fsync_folder", synced.append)
    await local.put("photos/aa/x", b"x")
    assert synced == [local.root / "photos" / "aa"]


async def test_a_folder_goes_as_a_whole_and_twice_is_fine(blobs: Blobs) -> None:
    await blobs.put("artifacts/A/1/f", b"x")
    await blobs.put("artifacts/B/1/f", b"x")
    for _ in range(2):
        await blobs.delete_prefix("artifacts/A")
        await blobs.delete("artifacts/B/2/f")
    assert await names(blobs) == ["artifacts/B/1/f"]
    assert not await blobs.exists("artifacts/A/1/f")


@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", ".", "a/./b", "a b", "ä", "a\n", "a\0"],
)
async def test_a_key_cannot_lead_out_of_the_folder(blobs: Blobs, key: str) -> None:
    with pytest.raises(ValueError, match="not a blob's key"):
        await blobs.put(key, b"x")
    with pytest.raises(ValueError, match="not a blob's key"):
        await blobs.delete_prefix(key)
