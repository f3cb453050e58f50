"""Copies of files that lie in a store elsewhere, on this machine for a while: to be sent, to be
read by who needs a path. Never the only copy; a folder that may be deleted at any time.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

KEEP_S = 300.0  # a copy so young may be on its way to somebody
FORGET_S = 3600.0
MAKING = ".new-"


class Near:
    """At most ``most_bytes`` in ``root``, as far as the copies of the last minutes allow it."""

    def __init__(self, root: Path, most_bytes: int) -> None:
        self.root = root
        self.most_bytes = most_bytes

    async def take(self, key: str, size: int, pieces: AsyncIterator[bytes]) -> Path:
        """A copy under the key's own name; ``pieces`` are read only where there is none."""
        target = self.root / key
        if await asyncio.to_thread(_touch, target, size):
            return target
        async with self.passing(target.name, pieces) as made:
            await asyncio.to_thread(_move, made, target)
        await asyncio.to_thread(self._trim)
        return target

    @asynccontextmanager
    async def passing(self, name: str, pieces: AsyncIterator[bytes]) -> AsyncIterator[Path]:
        """A copy of its own, gone with the block."""
        await asyncio.to_thread(self.root.mkdir, mode=0o700, parents=True, exist_ok=True)
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, dir=self.root, prefix=MAKING))
        try:
            with (folder / name).open("wb") as file:
                async for piece in pieces:
                    await asyncio.to_thread(file.write, piece)
            yield folder / name
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def forget(self, key: str) -> None:
        """One file, or all that lies below."""
        await asyncio.to_thread(_remove, self.root / key)

    async def sweep(self, *, half_written_before: float) -> None:
        await asyncio.to_thread(self._sweep, half_written_before)

    def _sweep(self, half_written_before: float) -> None:
        for path in self.root.glob(f"{MAKING}*"):
            with suppress(OSError):
                if path.stat().st_mtime < half_written_before:
                    shutil.rmtree(path, ignore_errors=True)
        before = time.time() - FORGET_S
        for used_at, _, path in self._copies():
            if used_at < before:
                path.unlink(missing_ok=True)

    def _trim(self) -> None:
        """The longest unused go first."""
        copies = sorted(self._copies())
        total = sum(size for _, size, _ in copies)
        before = time.time() - KEEP_S
        for used_at, size, path in copies:
            if total <= self.most_bytes or used_at >= before:
                return
            path.unlink(missing_ok=True)
            total -= size

    def _copies(self) -> list[tuple[float, int, Path]]:
        """When each was used last, and its size in bytes."""
        found = []
        for path in self.root.rglob("*"):
            with suppress(OSError):
                stat = path.stat()
                if path.is_file() and not path.relative_to(self.root).parts[0].startswith(MAKING):
                    found.append((stat.st_mtime, stat.st_size, path))
        return found


def _touch(path: Path, size: int) -> bool:
    """Whether it is there whole; it counts as used now."""
    try:
        if path.stat().st_size != size:
            return False
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _move(made: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made.replace(target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
