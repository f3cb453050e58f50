"""Files by key in a folder. What was put survives a power cut: file and folder are fsynced."""

import asyncio
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from storage.blobs import BlobExistsError

KEY = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*")
CHUNK_BYTES = 1 << 20
READ_BYTES = 1 << 18
MAKING = ".new-"


def photo_key(sha256: str) -> str:
    return f"photos/{sha256[:2]}/{sha256}"


def artifact_prefix(job_id: str) -> str:
    """Everything that a job published: the file, its twins, its card."""
    return f"artifacts/{job_id}"


def artifact_key(job_id: str, fence: int, name: str) -> str:
    return f"{artifact_prefix(job_id)}/{fence}/{name}"


def samples_prefix(job_id: str) -> str:
    """Everything that a training drew, and its chart."""
    return f"samples/{job_id}"


def checked_key(key: str) -> str:
    """Raises ValueError for what could lead anywhere else."""
    if not KEY.fullmatch(key) or any(set(part) == {"."} for part in key.split("/")):
        raise ValueError(f"{key!r} is not a blob's key")
    return key


class LocalFile:
    """A file that is held: whoever deletes it does not cut off who reads it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = file.seek(0, 2)

    async def read(self, first: int, last: int) -> AsyncIterator[bytes]:
        """In threads: a slow reader costs one piece of memory."""
        at = first
        while at <= last:
            size = min(READ_BYTES, last + 1 - at)
            piece = await asyncio.to_thread(self._piece, at, size)
            if not piece:
                raise OSError("the file has become shorter")
            at += len(piece)
            yield piece

    async def close(self) -> None:
        self._file.close()

    def _piece(self, at: int, size: int) -> bytes:
        self._file.seek(at)
        return self._file.read(size)


class LocalBlobs:
    """``root`` is made when the first blob comes; files are for this user alone."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        return self.root / checked_key(key)

    async def put(self, key: str, data: bytes) -> None:
        await asyncio.to_thread(self._put, key, data)

    async def put_file(self, key: str, source: Path) -> None:
        await asyncio.to_thread(self._put, key, source)

    async def get(self, key: str) -> bytes:
        return await asyncio.to_thread(self.path(key).read_bytes)

    async def open(self, key: str) -> LocalFile:
        path = self.path(key)
        return await asyncio.to_thread(lambda: LocalFile(path.open("rb")))

    async def size(self, key: str) -> int:
        return (await asyncio.to_thread(self.path(key).stat)).st_size

    async def exists(self, key: str) -> bool:
        return await asyncio.to_thread(self.path(key).is_file)

    @asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path]:
        """Its own place: nothing is copied."""
        yield await self.at_hand(key)

    async def at_hand(self, key: str) -> Path:
        path = self.path(key)
        await asyncio.to_thread(path.stat)
        return path

    def place(self, key: str) -> str:
        return str(self.path(key))

    async def fault(self, *, ask: bool = False) -> str:  # noqa: ARG002  a folder need not be asked
        """A folder is there, or the whole service is not."""
        return ""

    async def delete(self, key: str) -> None:
        await asyncio.to_thread(self.path(key).unlink, missing_ok=True)

    async def delete_prefix(self, prefix: str) -> None:
        await asyncio.to_thread(shutil.rmtree, self.path(prefix), ignore_errors=True)

    async def sweep(self, prefix: str, *, before: float) -> None:
        """Delete what lies below ``prefix`` and was written before then."""
        await asyncio.to_thread(_sweep, self.path(prefix), "*", before)

    async def older(self, prefix: str, *, before: float) -> list[str]:
        """The names of the files below ``prefix`` that were written before then."""
        return await asyncio.to_thread(_older, self.path(prefix), before)

    async def sweep_half_written(self, *, before: float) -> None:
        """What a process was writing when it was killed."""
        await asyncio.to_thread(_sweep, self.root, f"{MAKING}*", before)

    def _put(self, key: str, content: bytes | Path) -> None:
        target = self.path(key)
        if target.exists():
            _same_or_raise(target, content, key)
            # Whoever put it first may have been killed before this.
            fsync_folder(target.parent)
            return
        _make_folders(target.parent, self.root)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=MAKING)
        try:
            with open(handle, "wb") as file:  # noqa: PTH123  a descriptor has no path
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    with content.open("rb") as source:
                        shutil.copyfileobj(source, file, CHUNK_BYTES)
                file.flush()
                os.fsync(file.fileno())
            _link(Path(name), target, content, key)
        finally:
            Path(name).unlink(missing_ok=True)
        fsync_folder(target.parent)


def _older(folder: Path, before: float) -> list[str]:
    found = []
    for path in folder.rglob("*"):
        with suppress(OSError):
            if path.is_file() and path.lstat().st_mtime < before:
                found.append(path.name)
    return found


def _sweep(folder: Path, pattern: str, before: float) -> None:
    """Files, and folders that were empty by then: a new one waits for its first file."""
    for path in sorted(folder.rglob(pattern), reverse=True):
        with suppress(OSError):
            if path.lstat().st_mtime >= before:
                continue
            if path.is_dir():
                path.rmdir()
            else:
                path.unlink()


def _link(made: Path, target: Path, content: bytes | Path, key: str) -> None:
    """A link refuses where a rename would overwrite: whoever comes second looks what is there."""
    try:
        os.link(made, target)
    except FileExistsError:
        _same_or_raise(target, content, key)
    except OSError:
        if target.exists():
            _same_or_raise(target, content, key)
        else:
            # A file system without hard links.
            made.rename(target)


def _same_or_raise(target: Path, content: bytes | Path, key: str) -> None:
    wanted = (
        hashlib.sha256(content).digest() if isinstance(content, bytes) else file_digest(content)
    )
    if file_digest(target) != wanted:
        raise BlobExistsError(key)


def file_digest(path: Path) -> bytes:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _make_folders(folder: Path, root: Path) -> None:
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for one in missing:
        if one == root or root in one.parents:
            one.chmod(0o700)
        fsync_folder(one.parent)


def fsync_folder(folder: Path) -> None:
    """A new name in a folder is only safe when the folder itself is written."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
