"""Small disks for the tests of this folder."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.disk import Disk, Mount, disk_at


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mounts disks of so many bytes; they go with the test."""
    with ExitStack() as disks:

        def made(root: Path, file_bytes: int) -> Disk:
            return disks.enter_context(disk_at(root, file_bytes))

        yield made
