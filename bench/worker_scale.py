"""Jobs an hour with 1 to 32 workers whose trainer only sleeps: what everything but training costs.

    python -m bench.worker_scale [--seconds 20] [--workers 1 2 4 8 16 32] [--database URL]

Each worker is a whole process with a device of its own; all share one database. The ideal is
workers / seconds of a training: what is missing is claim, preparing eight photos, checking and
publishing. Foreseen: nearly ideal to 8 workers, then the two cores that prepare photos are the
limit, not the database.
"""

import argparse
import asyncio
import hashlib
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from bench.machine import RESULTS, write
from storage import job_store
from storage.blob_store import LocalBlobs, photo_key
from storage.database import Database
from storage.job import Photo
from storage.schema import jobs, workers
from tests.drawn import photos
from tests.jobs import make_job
from tests.torture import troop, worker_process

ROOT = Path(__file__).parents[1]
ENOUGH = 1.5  # as many jobs as could be done, and half of that again
START_S = 300.0


async def lay_out(folder: Path, database: Database, count: int) -> None:
    """The same eight photos for all: each job cuts and captions them anew."""
    blobs = LocalBlobs(folder / "data" / "blobs")
    kept = []
    for number, data in enumerate(photos(8), start=1):
        sha256 = hashlib.sha256(data).hexdigest()
        await blobs.put(photo_key(sha256), data)
        kept.append(Photo(sha256=sha256, number=number, file_bytes=len(data)))
    async with database.write() as tx:
        for number in range(count):
            own = {"chat": f"tg:{number}", "person": f"tg:{number}", "name": f"lora{number}"}
            await job_store.add(tx, make_job(photos=tuple(kept), created_at=time.time(), **own))


async def count_of(database: Database, table: sa.Table, *where: Any) -> int:
    async with database.read() as tx:
        found = await tx.execute(sa.select(sa.func.count()).select_from(table).where(*where))
    return int(found.scalar_one())


async def until_ready(database: Database, number: int) -> None:
    async with asyncio.timeout(START_S):
        while await count_of(database, workers) < number:  # noqa: ASYNC110  rows tell nobody
            await asyncio.sleep(0.2)


def cpu_s(members: list[troop.Member]) -> float:
    """Of the workers themselves; their cells come and go."""
    total = 0.0
    for one in members:
        times = psutil.Process(one.pid).cpu_times()
        total += times.user + times.system
    return float(total)


async def measure(number: int, words: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="scale-") as name:
        folder = Path(name)
        (folder / "data").mkdir()
        (folder / "loras").mkdir()
        url = words.database or f"sqlite+aiosqlite:///{folder / 'data' / 'lorabot.db'}"
        database = await Database.open(url)
        window_s = words.window
        await lay_out(folder, database, int(ENOUGH * number * (window_s / words.seconds + 3)))
        environment = troop.marked(folder, ROOT) | {
            "DATA_DIR": str(folder / "data"),
            "LORA_DIR": str(folder / "loras"),
            **({"DATABASE_URL": words.database} if words.database else {}),
        }
        members = []
        for device in range(number):
            own = (worker_process.__name__, str(device), str(words.seconds))
            argv = [sys.executable, "-m", *own]
            members.append(troop.Member(f"worker-{device}", argv, environment, folder, device))
            members[-1].start()
        await until_ready(database, number)
        await asyncio.sleep(2 * words.seconds)  # all have begun, and not at the same moment
        made = jobs.c.artifact.is_not(None)
        before, spent, began = (
            await count_of(database, jobs, made),
            cpu_s(members),
            time.monotonic(),
        )
        await asyncio.sleep(window_s)
        after, took = await count_of(database, jobs, made), time.monotonic() - began
        spent = cpu_s(members) - spent
        await asyncio.gather(*(one.close() for one in members))
        await database.close()
    done = after - before
    return {
        "workers": number,
        "jobs": done,
        "jobs_per_hour": round(3600 * done / took),
        "share_of_ideal": round(done / took * words.seconds / number, 3),
        "worker_cpu_share": round(spent / took / number, 4),
        "load": round(psutil.getloadavg()[0], 1),
    }


def plot(rows: list[dict[str, Any]], seconds: float) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    counts = [row["workers"] for row in rows]
    figure, axes = plt.subplots(figsize=(6, 4))
    axes.plot(counts, [3600 / seconds * count for count in counts], "--", label="ideal")
    axes.plot(counts, [row["jobs_per_hour"] for row in rows], "o-", label="measured")
    axes.set(xscale="log", yscale="log", xlabel="workers on one host of two cores")
    axes.set(ylabel=f"jobs an hour (trainer sleeps {seconds:g} s)")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.legend()
    figure.tight_layout()
    figure.savefig(RESULTS / "worker_scale.png", dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=20.0, help="how long a trainer sleeps")
    parser.add_argument("--window", type=float, default=60.0, help="seconds that are counted")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--database", default="", help="a URL of an empty one; else SQLite")
    words = parser.parse_args()
    rows = []
    for number in words.workers:
        rows.append(asyncio.run(measure(number, words)))
        print(json.dumps(rows[-1]), flush=True)
    write("worker_scale", {"trainer_s": words.seconds, "window_s": words.window, "rows": rows})
    plot(rows, words.seconds)


if __name__ == "__main__":
    main()
