"""All uploads of a list through real cells: what came back, how long it took, what it cost."""

import asyncio
import contextlib
import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from pictures.child import ChildLostError
from pictures.limits import DEFAULT, Limits
from pictures.look import Look, Refused
from pictures.sandbox import Cells
from tests.drawn import photo
from tests.hostile.case import Case

AT_ONCE = 2
SAMPLE_S = 0.02
# What the files themselves try to write, if anybody lets them.
TARGETS = (Path("/tmp/hostile.txt"), Path("/tmp/hostile.jpg"))


@dataclass(slots=True, kw_only=True)
class Trial:
    """``wrong`` has what was opened against expectation, or refused. Sizes in bytes."""

    cases: int = 0
    opened: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    died: int = 0  # children
    slowest: tuple[float, str] = (0.0, "")
    peak_bytes: int = 0
    good_after: bool = False
    written: list[str] = field(default_factory=list)


async def trial(uploads: Iterable[Case], folder: Path, limits: Limits = DEFAULT) -> Trial:
    """``folder`` is empty; whatever is found in it afterwards somebody wrote."""
    trial, waiting = Trial(), iter(uploads)
    with _only_in(folder), _deaths(trial):
        async with Cells(AT_ONCE, limits) as cells:
            sampling = asyncio.create_task(_sample(trial))
            await asyncio.gather(*(_look_at(waiting, cells, trial) for _ in range(AT_ONCE)))
            after = [await cells.look(photo(seed, form="JPEG")) for seed in range(AT_ONCE)]
            trial.good_after = all(isinstance(one, Look) for one in after)
            sampling.cancel()
    left = [*folder.rglob("*"), *(path for path in TARGETS if path.exists())]
    trial.written = [str(path) for path in left if path.is_file()]
    return trial


async def _look_at(waiting: Iterator[Case], cells: Cells, trial: Trial) -> None:
    for case in waiting:
        began = time.perf_counter()
        seen = await cells.look(case.data)
        trial.slowest = max(trial.slowest, (time.perf_counter() - began, case.name))
        trial.cases += 1
        if isinstance(seen, Refused):
            trial.refused[seen.code] += 1
        else:
            trial.opened += 1
        if case.opens is not None and case.opens != isinstance(seen, Look):
            said = seen.code if isinstance(seen, Refused) else "opened"
            trial.wrong.append(f"{case.name}: {said}")
        _note_peak(trial)


async def _sample(trial: Trial) -> None:
    """Children that are ended because they are slow are seen only while they live."""
    while True:
        _note_peak(trial)
        await asyncio.sleep(SAMPLE_S)


def _note_peak(trial: Trial) -> None:
    trial.peak_bytes = max([trial.peak_bytes, *_peaks()])


def _peaks() -> Iterator[int]:
    """The most memory that each cell of this process has had so far."""
    for path in Path("/proc/self/task").glob("*/children"):
        for pid in path.read_text().split():
            with contextlib.suppress(OSError, StopIteration):
                # Between fork and exec a child is still its parent, and as large.
                if b"pictures.cell" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
                    peak = next(line for line in lines if line.startswith("VmHWM:"))
                    yield int(peak.split()[1]) * 1024


@contextlib.contextmanager
def _only_in(folder: Path) -> Iterator[None]:
    """Relative paths and temporary files of the children end up in ``folder``."""
    before, here = os.environ.get("TMPDIR"), Path.cwd()
    os.environ["TMPDIR"] = str(folder)
    os.chdir(folder)
    tempfile.tempdir = None
    try:
        yield
    finally:
        os.chdir(here)
        tempfile.tempdir = None
        if before is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = before


@contextlib.contextmanager
def _deaths(trial: Trial) -> Iterator[None]:
    class Counting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lost = record.args[0] if isinstance(record.args, tuple) and record.args else None
            trial.died += isinstance(lost, ChildLostError) and not lost.slow

    handler, log = Counting(), logging.getLogger("pictures.sandbox")
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def merged(first: Trial, second: Trial) -> Trial:
    return replace(
        first,
        cases=first.cases + second.cases,
        opened=first.opened + second.opened,
        refused=first.refused + second.refused,
        wrong=first.wrong + second.wrong,
        died=first.died + second.died,
        slowest=max(first.slowest, second.slowest),
        peak_bytes=max(first.peak_bytes, second.peak_bytes),
        good_after=first.good_after and second.good_after,
        written=first.written + second.written,
    )
