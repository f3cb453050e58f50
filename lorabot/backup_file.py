"""The file that a backup is: a plain tar without compression, its checksums at the end.

Only whole files under names that we know are written, and only those are read again: nothing in
such a file can become a link, a device, a path outside, or more bytes than it has itself.
"""

import hashlib
import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO

ABOUT, CHECKSUMS = "about.json", "checksums.txt"
DATABASE, ROWS = "lorabot.db", "rows.jsonl"
PLAIN = (ABOUT, CHECKSUMS, DATABASE, ROWS, "secret.key", "bases.toml", "prepare.toml")
NAMES = frozenset({*PLAIN, "blocklist.txt"})
BELOW = re.compile(r"(?:blobs|models)(?:/(?!\.+(?:/|$))[A-Za-z0-9._-]{1,120})+")
BLOCK = 512
CHUNK_BYTES = 1 << 20
MOST_ABOUT = 1 << 16
MOST_CHECKSUMS = 1 << 28
ENCODING = "ascii"


class BackupFileError(Exception):
    """Not a backup, or not a whole one; the message says which part is wrong."""


def is_ours(name: str) -> bool:
    return name in NAMES or BELOW.fullmatch(name) is not None


@dataclass(slots=True)
class Writer:
    """``file`` is written from its beginning to its end, once."""

    file: BinaryIO
    sums: dict[str, tuple[str, int]] = field(default_factory=dict)

    def add(self, name: str, source: Path) -> bool:
        """False: the file went away before it could be read."""
        try:
            opened = source.open("rb")
        except FileNotFoundError:
            return False
        with opened:
            self._write(name, opened, os.fstat(opened.fileno()).st_size)
        return True

    def add_bytes(self, name: str, data: bytes) -> None:
        self._head(name, len(data))
        self.file.write(data)
        self._pad(len(data))
        self.sums[name] = (hashlib.sha256(data).hexdigest(), len(data))

    def close(self) -> None:
        lines = (f"{sha256} {size} {name}\n" for name, (sha256, size) in self.sums.items())
        self.add_bytes(CHECKSUMS, "".join(lines).encode(ENCODING))
        self.file.write(bytes(2 * BLOCK))

    def _write(self, name: str, source: IO[bytes], size: int) -> None:
        """``size`` bytes, even if the file grows meanwhile; ours never change."""
        self._head(name, size)
        digest, left = hashlib.sha256(), size
        while left and (chunk := source.read(min(left, CHUNK_BYTES))):
            self.file.write(chunk)
            digest.update(chunk)
            left -= len(chunk)
        if left:
            raise BackupFileError(f"{name} became shorter while it was read")
        self._pad(size)
        self.sums[name] = (digest.hexdigest(), size)

    def _head(self, name: str, size: int) -> None:
        if not is_ours(name) or name in self.sums:
            raise BackupFileError(f"{name!r} is no name for a backup")
        info = tarfile.TarInfo(name)
        info.size, info.mode = size, 0o600
        try:
            self.file.write(info.tobuf(tarfile.USTAR_FORMAT, ENCODING))
        except ValueError as error:
            raise BackupFileError(f"{name}: {error}") from error

    def _pad(self, size: int) -> None:
        self.file.write(bytes(-size % BLOCK))


@dataclass(slots=True)
class Reader:
    """One pass over a backup; ``members`` checks as it goes, and everything at the end."""

    file: BinaryIO
    sums: dict[str, tuple[str, int]] = field(default_factory=dict)
    _left: int = 0
    _digest: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def members(self) -> Iterator[tuple[str, int]]:
        """Name and size of each; whoever wants one reads all its `chunks` before the next."""
        while (head := self._head()) is not None:
            name, size = head
            if name == CHECKSUMS:
                self._compare(self._small(size, MOST_CHECKSUMS))
                return
            self._left, self._digest = size, hashlib.sha256()
            yield name, size
            for _ in self.chunks():
                pass
            self._exactly(-size % BLOCK)
            self.sums[name] = (self._digest.hexdigest(), size)
        raise BackupFileError("it ends too early")

    def chunks(self) -> Iterator[bytes]:
        """The content of the present member."""
        while self._left:
            chunk = self._exactly(min(self._left, CHUNK_BYTES))
            self._left -= len(chunk)
            self._digest.update(chunk)
            yield chunk

    def _head(self) -> tuple[str, int] | None:
        block = self._exactly(BLOCK)
        if not any(block):
            return None
        try:
            info = tarfile.TarInfo.frombuf(block, ENCODING, "strict")
        except (tarfile.HeaderError, UnicodeDecodeError, ValueError) as error:
            raise BackupFileError("it is no backup, or it is damaged") from error
        # Only the header itself was read: whatever speaks of more, as links do, ends here.
        if info.type != tarfile.REGTYPE or not is_ours(info.name) or info.size < 0:
            raise BackupFileError(f"it holds something that no backup holds ({info.name[:80]!r})")
        if info.name in self.sums:
            raise BackupFileError(f"it holds {info.name} twice")
        return info.name, info.size

    def _compare(self, listed: bytes) -> None:
        expected: dict[str, tuple[str, int]] = {}
        for line in listed.decode(ENCODING, "replace").splitlines():
            sha256, _, rest = line.partition(" ")
            size, _, name = rest.partition(" ")
            expected[name] = (sha256, int(size) if size.isdecimal() else -1)
        wrong = sorted(set(self.sums.items()) ^ set(expected.items()))
        if wrong:
            raise BackupFileError(f"{wrong[0][0]} is not what was saved")

    def _small(self, size: int, most: int) -> bytes:
        if size > most:
            raise BackupFileError("its list is too long")
        return self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        data = self.file.read(size)
        if len(data) < size:
            raise BackupFileError("it ends too early")
        return data
