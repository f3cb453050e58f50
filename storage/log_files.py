"""Where what trainers said lies: whole, on the worker's own machine; cleaned, among the blobs."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from storage.blobs import Blobs
from storage.database import Tx
from storage.schema import jobs

PREFIX = "logs"
ID_LETTERS = 26
EVER = 1e12  # a time that never comes
AT_ONCE = 500  # ids in one statement


def log_prefix(job_id: str) -> str:
    return f"{PREFIX}/{job_id}"


def log_key(job_id: str, fence: int) -> str:
    """One for each attempt."""
    return f"{log_prefix(job_id)}/{fence}.txt"


async def newest(blobs: Blobs, job_id: str) -> str:
    """The cleaned lines of the latest attempt; empty where there are none."""
    names = await blobs.older(log_prefix(job_id), before=EVER)
    fences = [int(name.removesuffix(".txt")) for name in names if name[:-4].isdecimal()]
    if not fences:
        return ""
    with suppress(FileNotFoundError):
        return (await blobs.get(log_key(job_id, max(fences)))).decode("utf-8", "replace")
    return ""


def whole(folder: Path, job_id: str) -> Path:
    return folder / f"{job_id}.log"


def jobs_in(folder: Path, *, before: float = EVER) -> list[str]:
    """Jobs whose logs lie here and were written before then; other logs are not ours to count."""
    found = []
    for path in folder.glob("*.log"):
        with suppress(OSError):
            if len(path.stem) == ID_LETTERS and path.lstat().st_mtime < before:
                found.append(path.stem)
    return found


def remove(folder: Path, job_ids: Iterable[str]) -> None:
    for job_id in job_ids:
        whole(folder, job_id).unlink(missing_ok=True)


async def known(tx: Tx, job_ids: list[str]) -> set[str]:
    """Those of these jobs that still have a row."""
    found: set[str] = set()
    for at in range(0, len(job_ids), AT_ONCE):
        some = sa.select(jobs.c.id).where(jobs.c.id.in_(job_ids[at : at + AT_ONCE]))
        found |= {str(row.id) for row in await tx.execute(some)}
    return found
