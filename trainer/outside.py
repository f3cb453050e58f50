"""Scores that somebody else measures while the run goes on, with networks that are not ours.

Whoever watches a run looks at each grid of samples, and writes ``work/scores/000250.json``; an
empty object says that there was nothing to measure. Pure, but for its files and `wait`.
"""

import json
import math
import re
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainer.run import SAMPLES, SCORES

LOOK_S = 0.1
GRID = re.compile(r"(\d{6})\.png")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One step's samples. ``faces`` is the mean cosine of their faces to the middle of the photos'
    (0 for a sample without a face), ``among`` the same for the photos themselves, each without
    itself; ``obeys`` the share of what the prompts ask for that is in the samples.
    """

    faces: float | None = None
    among: float | None = None
    obeys: float | None = None


def write(work: Path, step: int, seen: Seen) -> None:
    """Whole or not at all."""
    path = _path(work, step)
    path.parent.mkdir(parents=True, exist_ok=True)
    making = path.with_suffix(".tmp")
    making.write_text(json.dumps(asdict(seen)), encoding="ascii")
    making.rename(path)


def forget(work: Path, step: int) -> None:
    """The samples are drawn anew: what was said of those before is void."""
    _path(work, step).unlink(missing_ok=True)


def read(work: Path) -> dict[int, Seen]:
    """By step. What is no score of ours counts as nothing measured."""
    found = {}
    for path in (work / SCORES).glob("*.json"):
        with suppress(ValueError, OSError):
            found[int(path.stem)] = _checked(json.loads(path.read_text(encoding="ascii")))
    return found


def wait(work: Path, within_s: float) -> None:
    """Until each grid was looked at; never longer than ``within_s``."""
    until = time.monotonic() + within_s
    while time.monotonic() < until and drawn(work) - read(work).keys():
        time.sleep(LOOK_S)


def drawn(work: Path) -> set[int]:
    """The steps that have a grid of samples."""
    names = (GRID.fullmatch(path.name) for path in (work / SAMPLES).glob("*.png"))
    return {int(name[1]) for name in names if name}


def _checked(raw: object) -> Seen:
    values: dict[str, Any] = raw if isinstance(raw, dict) else {}
    given: dict[str, Any] = {name: values.get(name) for name in Seen.__dataclass_fields__}
    return Seen(**{name: float(value) for name, value in given.items() if _is_number(value)})


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _path(work: Path, step: int) -> Path:
    return work / SCORES / f"{step:06}.json"
