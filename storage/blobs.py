"""What a store of files must offer: a folder of this machine does, and so does a bucket elsewhere.

A key's content never changes: who puts another one under the same key is refused.
"""

import errno
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol


class BlobExistsError(Exception):
    """Another content already lies under this key."""


class StoreError(OSError):
    """The store did not do it. ``permanent``: it will not, before somebody mends the settings.

    Its text is for operators, and holds neither keys of files nor secrets.
    """

    def __init__(self, what: str, *, permanent: bool = False) -> None:
        super().__init__(errno.EIO, what)
        self.what = what
        self.permanent = permanent

    def __str__(self) -> str:
        return self.what


class Opened(Protocol):
    """One file that is being read; ``size`` in bytes."""

    size: int

    def read(self, first: int, last: int) -> AsyncIterator[bytes]:
        """Bytes ``first`` up to and with ``last``, piece by piece. Raises OSError in the middle if
        the rest does not come.
        """
        ...

    async def close(self) -> None: ...


class Blobs(Protocol):
    """Files by key. What was put survives whatever comes.

    Everything raises StoreError when the store is away, and FileNotFoundError where a file is
    asked for that is not there.
    """

    async def put(self, key: str, data: bytes) -> None:
        """Whole or not at all. Raises BlobExistsError where another content lies there."""
        ...

    async def put_file(self, key: str, source: Path) -> None: ...

    async def get(self, key: str) -> bytes: ...

    async def open(self, key: str) -> Opened: ...

    async def size(self, key: str) -> int: ...

    async def exists(self, key: str) -> bool: ...

    async def delete(self, key: str) -> None: ...

    async def delete_prefix(self, prefix: str) -> None: ...

    async def sweep(self, prefix: str, *, before: float) -> None:
        """Delete what lies below ``prefix`` and was written before then."""
        ...

    async def older(self, prefix: str, *, before: float) -> list[str]:
        """The names of the files below ``prefix`` that were written before then."""
        ...

    async def sweep_half_written(self, *, before: float) -> None:
        """What a process was writing when it was killed."""
        ...

    def local(self, key: str) -> AbstractAsyncContextManager[Path]:
        """The file on this machine, for as long as the block lasts."""
        ...

    async def at_hand(self, key: str) -> Path:
        """The file on this machine, for some minutes at least: long enough to send it."""
        ...

    def place(self, key: str) -> str:
        """Where it lies, in words for who runs the service."""
        ...

    async def fault(self, *, ask: bool = False) -> str:
        """Why it cannot be used now; empty when it can. Without ``ask`` the store itself is asked
        only after something went wrong.
        """
        ...
