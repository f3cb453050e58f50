"""A real small disk that can be filled, and emptied again."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

REQUIRED = "LORABOT_REQUIRE_TMPFS"
FILLER = "filler"
PIECES = (1 << 16, 1 << 12, 1 << 8, 1)


class Disk:
    """A file system of its own at ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def fill(self, leave: int = 0) -> None:
        """Until not one byte goes on it any more; ``leave`` bytes are given back at the end."""
        with (self.root / FILLER).open("ab", buffering=0) as file:
            for piece in PIECES:
                try:
                    while file.write(bytes(piece)) == piece:
                        pass
                except OSError:
                    continue
            if leave:
                file.truncate(max(0, file.tell() - leave))
        assert shutil.disk_usage(self.root).free <= leave + (1 << 12)

    def free(self) -> None:
        (self.root / FILLER).unlink()

    def read_only(self) -> None:
        _call("mount", "-o", "remount,ro", str(self.root))


@contextmanager
def disk_at(root: Path, file_bytes: int) -> Iterator[Disk]:
    """Mounted at ``root``, and gone at the end. Skips where nobody may mount."""
    root.mkdir(parents=True, exist_ok=True)
    try:
        _call("mount", "-t", "tmpfs", "-o", f"size={file_bytes},mode=700", "tmpfs", str(root))
    except (OSError, subprocess.CalledProcessError) as error:
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{REQUIRED}=1, but no disk can be mounted here: {error}")
        pytest.skip("no small disk: only root may mount one, and not in every container")
    try:
        yield Disk(root)
    finally:
        # Lazily: a process that is ending may still have a file open there.
        _call("umount", "--lazy", str(root))


def _call(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)


Mount = Callable[[Path, int], Disk]
