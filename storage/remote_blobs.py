"""Files by key in a bucket. Each is put by one request that creates it whole or not at all, so that
nothing half-written can lie there, and nobody overwrites anybody.
"""

import asyncio
import hashlib
import mmap
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError
from obstore.store import ObjectStore

from storage.blob_store import checked_key, file_digest
from storage.blobs import BlobExistsError, StoreError
from storage.near import Near
from storage.patience import patiently

PIECE_BYTES = 4 << 20  # of a file that is read; a slow reader holds one, and no connection
TRY_S = 15.0  # for a small request
SLOWEST_BYTES_S = 250_000  # a line slower than this counts as broken
PROBE = "probe"
PUTS = 3
SHA256 = "sha256"  # kept beside the file, so that nobody need read it to compare

Answer = TypeVar("Answer")


class RemoteFile:
    """Read by ranges: each is asked for by itself, and again where it breaks off."""

    def __init__(self, blobs: "RemoteBlobs", key: str, size: int) -> None:
        self._blobs = blobs
        self._key = key
        self.size = size

    async def read(self, first: int, last: int) -> AsyncIterator[bytes]:
        for at in range(first, last + 1, PIECE_BYTES):
            end = min(at + PIECE_BYTES, last + 1)
            piece = await self._blobs.range(self._key, at, end)
            if len(piece) != end - at:
                raise StoreError("the file in the store is shorter than it was")
            yield piece

    async def close(self) -> None:
        """Nothing is held between two ranges."""


class RemoteBlobs:
    """``url`` names the bucket for people; ``patience_s`` is how long a store may be away before
    StoreError is raised. Local copies lie in ``near``.
    """

    def __init__(self, store: ObjectStore, url: str, near: Near, patience_s: float = 20.0) -> None:
        self._store = store
        self._url = url
        self._near = near
        self._patience_s = patience_s
        self._fault = ""

    async def put(self, key: str, data: bytes) -> None:
        digest = await asyncio.to_thread(hashlib.sha256, data)
        await self._put(checked_key(key), data, digest.hexdigest())

    async def put_file(self, key: str, source: Path) -> None:
        digest = (await asyncio.to_thread(file_digest, source)).hex()
        pages = await asyncio.to_thread(_pages, source)
        if pages is None:
            return await self._put(checked_key(key), b"", digest)
        try:
            with memoryview(pages) as content:
                return await self._put(checked_key(key), content, digest)
        finally:
            with suppress(BufferError):
                # A request that was just cancelled may hold them for another moment.
                pages.close()

    async def get(self, key: str) -> bytes:
        size = await self.size(key)

        async def ask() -> bytes:
            found = await obstore.get_async(self._store, key)
            return bytes(await found.bytes_async())

        return await self._ask(ask, size)

    async def open(self, key: str) -> RemoteFile:
        return RemoteFile(self, key, await self.size(key))

    async def size(self, key: str) -> int:
        key = checked_key(key)
        try:
            return int((await self._ask(lambda: obstore.head_async(self._store, key)))["size"])
        except FileNotFoundError:
            # The answer to HEAD has no words: a bucket that is missing looks the same.
            found = await self._ask(
                lambda: obstore.get_async(self._store, key, options={"range": (0, 1)})
            )
            return int(found.meta["size"])

    async def exists(self, key: str) -> bool:
        try:
            await self.size(key)
        except FileNotFoundError:
            return False
        return True

    async def range(self, key: str, start: int, end: int) -> bytes:
        """Bytes ``start`` up to and without ``end``."""

        async def ask() -> bytes:
            return bytes(await obstore.get_range_async(self._store, key, start=start, end=end))

        return await self._ask(ask, end - start)

    async def delete(self, key: str) -> None:
        await self._near.forget(checked_key(key))
        await self._delete([key])

    async def delete_prefix(self, prefix: str) -> None:
        await self._near.forget(checked_key(prefix))
        await self._delete([path for path, _ in await self._below(prefix)])

    async def sweep(self, prefix: str, *, before: float) -> None:
        await self._delete([path for path, at in await self._below(prefix) if at < before])

    async def older(self, prefix: str, *, before: float) -> list[str]:
        found = await self._below(prefix)
        return [path.rpartition("/")[2] for path, at in found if at < before]

    async def sweep_half_written(self, *, before: float) -> None:
        """Of our own copies: the store itself holds whole files only."""
        await self._near.sweep(half_written_before=before)

    @asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path]:
        file = await self.open(key)
        name = key.rpartition("/")[2]
        async with self._near.passing(name, file.read(0, file.size - 1)) as path:
            yield path

    async def at_hand(self, key: str) -> Path:
        try:
            file = await self.open(key)
        except FileNotFoundError:
            await self._near.forget(key)
            raise
        return await self._near.take(key, file.size, file.read(0, file.size - 1))

    def place(self, key: str) -> str:
        return f"{self._url}/{checked_key(key)}"

    async def fault(self, *, ask: bool = False) -> str:
        if self._fault or ask:
            # For a file that is not there: the answer says so, or says what is wrong.
            with suppress(StoreError, FileNotFoundError):
                await self._ask(
                    lambda: obstore.get_range_async(self._store, PROBE, start=0, end=1),
                    patience_s=0.0,
                )
        return self._fault

    async def _put(self, key: str, content: bytes | memoryview, sha256: str) -> None:
        def ask() -> Awaitable[object]:
            return obstore.put_async(
                self._store,
                key,
                content,
                attributes={SHA256: sha256},
                mode="create",
                use_multipart=False,
            )

        for _ in range(PUTS):
            try:
                await self._ask(ask, len(content))
            except AlreadyExistsError:
                # Somebody was first, or we were: the answer to a try before this one was lost.
                with suppress(FileNotFoundError):
                    return await self._same_or_raise(key, sha256)
                continue
            return None
        raise StoreError("the store says that a file is there, and that it is not")

    async def _same_or_raise(self, key: str, sha256: str) -> None:
        found = await self._ask(lambda: obstore.get_async(self._store, key, options={"head": True}))
        there = found.attributes.get(SHA256)
        if there is None:
            # Brought here by another program, perhaps.
            digest = hashlib.sha256()
            file = RemoteFile(self, key, found.meta["size"])
            async for piece in file.read(0, file.size - 1):
                await asyncio.to_thread(digest.update, piece)
            there = digest.hexdigest()
        if there != sha256:
            raise BlobExistsError(key)

    async def keys(self) -> list[str]:
        """Of all files that are there now."""

        async def ask() -> list[str]:
            found = await obstore.list(self._store).collect_async()
            return sorted(one["path"] for one in found)

        return await self._ask(ask)

    async def _below(self, prefix: str) -> list[tuple[str, float]]:
        """Each file's key, and when it was written."""
        checked_key(prefix)

        async def ask() -> list[tuple[str, float]]:
            found = await obstore.list(self._store, prefix=prefix).collect_async()
            return [(one["path"], one["last_modified"].timestamp()) for one in found]

        return await self._ask(ask)

    async def _delete(self, keys: list[str]) -> None:
        """One by one: not every store takes many at once."""
        for key in keys:
            with suppress(FileNotFoundError):
                await self._ask(lambda key=key: obstore.delete_async(self._store, key))  # type: ignore[misc]

    async def _ask(
        self,
        ask: Callable[[], Awaitable[Answer]],
        size: int = 0,
        *,
        patience_s: float | None = None,
    ) -> Answer:
        """One request for ``size`` bytes; remember whether the store is there."""
        patience = self._patience_s if patience_s is None else patience_s
        each = TRY_S + size / SLOWEST_BYTES_S
        try:
            answer = await patiently(ask, each_s=each, patience_s=patience)
        except StoreError as error:
            self._fault = str(error)
            raise
        except (FileNotFoundError, AlreadyExistsError):
            self._fault = ""
            raise
        self._fault = ""
        return answer


def _pages(path: Path) -> mmap.mmap | None:
    """Those of the file itself: however large it is, no copy of it comes into memory. None: it is
    empty.
    """
    with path.open("rb") as file:
        if not file.seek(0, 2):
            return None
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
