"""Files that are there whole or not at all."""

import os
from collections.abc import Iterable
from pathlib import Path


def write_whole(target: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Beside its place first, on the disk for sure, then under its name."""
    making = target.with_name(f".{target.name}.tmp")
    try:
        with making.open("wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        making.rename(target)
    finally:
        making.unlink(missing_ok=True)
