"""Everything hostile, for as long as you like, through the cells that open strangers' pictures.

``python -m bench.hostile [mutants] [seeds]``: all planned files and ZIPs of each seed, then so many
made by chance.
"""

import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any

from bench.machine import write
from tests.hostile import fuzz, pictures, unzip
from tests.hostile.case import Case
from tests.hostile.trial import Trial, merged, trial
from tests.hostile.unzip import Unzipped

FUZZ_SEED = 1000
MB = 1_000_000
COLUMNS = ("cases", "opened", "refused", "wrong", "died", "max s", "max MB", "written")


def tried(uploads: Iterable[Case]) -> Trial:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(trial(uploads, Path(folder)))


def mutants(count: int) -> Iterator[Case]:
    for number, data in enumerate(fuzz.mutants(FUZZ_SEED, count)):
        yield Case(f"fuzz.{FUZZ_SEED}.{number}", data, None)


def figures(done: Trial, seconds: float) -> dict[str, Any]:
    return {
        "cases": done.cases,
        "opened": done.opened,
        "refused": dict(done.refused.most_common()),
        "against_expectation": done.wrong,
        "cells_died": done.died,
        "slowest_s": round(done.slowest[0], 2),
        "slowest": done.slowest[1],
        "max_rss_mb": done.peak_bytes // MB,
        "good_photo_afterwards": done.good_after,
        "files_written": len(done.written),
        "seconds": round(seconds, 1),
    }


def zip_figures(found: list[Unzipped]) -> dict[str, Any]:
    slowest = max(found, key=lambda one: one.seconds)
    largest = max(found, key=lambda one: one.peak_bytes)
    return {
        "cases": len(found),
        "said": dict(Counter(one.said or "read" for one in found).most_common()),
        "against_expectation": [f"{one.name}: {one.said or 'read'}" for one in found if one.wrong],
        "slowest_s": slowest.seconds,
        "slowest": slowest.name,
        "max_more_rss_mb": largest.peak_bytes // MB,
        "largest": largest.name,
    }


def table(results: dict[str, dict[str, Any]]) -> None:
    print(f"{'':10}" + "".join(f"{name:>9}" for name in COLUMNS))
    for name, one in results.items():
        refused = sum(one["refused"].values())
        wrong = len(one["against_expectation"])
        first = (one["cases"], one["opened"], refused, wrong, one["cells_died"])
        values = (*first, one["slowest_s"], one["max_rss_mb"], one["files_written"])
        print(f"{name:10}" + "".join(f"{value:9}" for value in values))


def main(count: int, seeds: int) -> None:
    results: dict[str, dict[str, Any]] = {}
    began = time.perf_counter()
    planned = reduce(merged, (tried(list(pictures.cases(seed))) for seed in range(1, seeds + 1)))
    results["planned"] = figures(planned, time.perf_counter() - began)
    began = time.perf_counter()
    results["by chance"] = figures(tried(mutants(count)), time.perf_counter() - began)
    table(results)
    zips = [one for seed in range(1, seeds + 1) for one in unzip.unzipped(seed)]
    write("hostile", {"seeds": seeds, **results, "zips": zip_figures(zips)})


if __name__ == "__main__":
    given = [int(one) for one in sys.argv[1:]]
    main(given[0] if given else 3000, given[1] if len(given) > 1 else 3)
