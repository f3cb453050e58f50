"""A dataset's folder is whole or not there: written beside, synced, and renamed."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.report import Report, summary_of
from storage.blob_store import fsync_folder

REPORT, SHEET = "report.json", "contact-sheet.jpg"


@dataclass(frozen=True, slots=True)
class Making:
    """The folder while it is written."""

    folder: Path

    def add(self, index: int, picture: Path, caption: str) -> str:
        """``0001.png`` and ``0001.txt``; the picture's name."""
        path = self.folder / f"{index:04}.png"
        shutil.copyfile(picture, path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        self.write(f"{index:04}.txt", caption.encode())
        return path.name

    def write(self, name: str, data: bytes) -> None:
        with (self.folder / name).open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def made_beside(folder: Path) -> Iterator[Making]:
    """Takes the place of what was there only when all is written."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own: a worker that lost this job may still be writing beside us.
    making = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        yield Making(making)
        fsync_folder(making)
        shutil.rmtree(folder, ignore_errors=True)
        making.rename(folder)
        fsync_folder(folder.parent)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def finished(folder: Path) -> Report | None:
    """What is told of a dataset that is there."""
    try:
        return summary_of((folder / REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
