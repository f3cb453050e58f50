"""Files by key: private, whole or not there, and never changed under the same key."""

import asyncio
import errno
import os
from pathlib import Path

import pytest

from storage.blob_store import BlobExistsError, LocalBlobs, artifact_key, photo_key

KEY = artifact_key("JOB", 2, "mochi.safetensors")
WEIGHTS = b"weights" * 500_000  # more than one chunk


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "blobs")


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "made"
    path.write_bytes(WEIGHTS)
    return path


def names(blobs: LocalBlobs) -> list[str]:
    found = blobs.root.rglob("*")
    return sorted(str(path.relative_to(blobs.root)) for path in found if path.is_file())


async def test_a_file_comes_back_as_it_was(blobs: LocalBlobs, made: Path) -> None:
    await blobs.put_file(KEY, made)
    assert await blobs.get(KEY) == WEIGHTS
    assert names(blobs) == [KEY]


async def test_the_same_content_may_be_put_again(blobs: LocalBlobs, made: Path) -> None:
    await blobs.put_file(KEY, made)
    await blobs.put_file(KEY, made)
    await blobs.put(KEY, WEIGHTS)
    assert names(blobs) == [KEY]


async def test_another_content_is_refused_and_the_first_stays(blobs: LocalBlobs) -> None:
    await blobs.put(KEY, b"first")
    with pytest.raises(BlobExistsError):
        await blobs.put(KEY, b"other")
    assert await blobs.get(KEY) == b"first"
    assert names(blobs) == [KEY]


async def test_of_many_that_publish_at_once_one_wins(blobs: LocalBlobs) -> None:
    puts = (blobs.put(KEY, str(number).encode()) for number in range(20))
    ended = await asyncio.gather(*puts, return_exceptions=True)
    assert sum(isinstance(one, BlobExistsError) for one in ended) == 19
    assert (await blobs.get(KEY)).decode() == str(ended.index(None))


async def test_files_and_folders_are_for_their_owner_alone(blobs: LocalBlobs) -> None:
    await blobs.put(photo_key("a" * 64), b"x")
    path = blobs.path(photo_key("a" * 64))
    modes = [one.stat().st_mode & 0o777 for one in (path, path.parent, path.parent.parent)]
    assert modes == [0o600, 0o700, 0o700]


@pytest.mark.parametrize("call", ["fsync", "link"])
async def test_a_full_disk_leaves_nothing_half_written(
    blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    await blobs.put("other", b"makes the folder")
    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        patched.setattr(Path, "rename", full)
        with pytest.raises(OSError, match="no space"):
            await blobs.put("key", b"content")
    assert names(blobs) == ["other"]
    await blobs.put("key", b"content")


async def test_the_folder_is_written_even_when_the_file_was_there(
    blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    await blobs.put("photos/aa/x", b"x")
    synced: list[Path] = []
    monkeypatch.setattr("storage.blob_store.fsync_folder", synced.append)
    await blobs.put("photos/aa/x", b"x")
    assert synced == [blobs.root / "photos" / "aa"]


async def test_a_folder_goes_as_a_whole_and_twice_is_fine(blobs: LocalBlobs) -> None:
    await blobs.put("artifacts/A/1/f", b"x")
    await blobs.put("artifacts/B/1/f", b"x")
    for _ in range(2):
        await blobs.delete_prefix("artifacts/A")
        await blobs.delete("artifacts/B/2/f")
    assert names(blobs) == ["artifacts/B/1/f"]
    assert not await blobs.exists("artifacts/A/1/f")


@pytest.mark.parametrize(
    "key",
    ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", ".", "a/./b", "a b", "ä", "a\n", "a\0"],
)
async def test_a_key_cannot_lead_out_of_the_folder(blobs: LocalBlobs, key: str) -> None:
    with pytest.raises(ValueError, match="not a blob's key"):
        await blobs.put(key, b"x")
    with pytest.raises(ValueError, match="not a blob's key"):
        await blobs.delete_prefix(key)
