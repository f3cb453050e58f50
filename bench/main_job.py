"""The main job as a person meets it: start, first reply, `/train` to the file, and where time goes.

``python -m bench.main_job [runs]`` starts the real service each time on an empty data folder.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from bench.machine import RESULTS, write
from storage import job_store
from storage.database import Database
from storage.doorbell import Doorbell
from storage.job import JobState
from tests.drawn import photos
from tests.jobs import make_job
from tests.service import Service
from tests.web_client import WebPerson

BELLS = 40
GOALS = {"enqueue_to_start_ms": 50, "bot_rss_mb": 150, "train_to_file_s": 180}
PHASES = (
    "queued",
    "preparing",
    "loading",
    "encoding",
    "training",
    "saving",
    "copying",
    "delivering",
)


async def conversation(person: WebPerson) -> None:
    await person.say("/train")
    await person.press("A character")
    await person.until(lambda: person.said("short name"))
    await person.say("mochi")
    await person.press("mochix")
    await person.until(lambda: person.said("Now send me"))
    await person.upload(photos(12))
    await person.press("✅ Done")
    await person.press("🚀 Start")


async def watch(database: Database, seconds: dict[str, float]) -> None:
    """Add up how long the row stays in each phase."""
    before, phase = time.perf_counter(), ""
    while True:
        async with database.read() as tx:
            rows = await tx.exec_driver_sql("SELECT id FROM jobs ORDER BY id DESC LIMIT 1")
            row = rows.first()
            job = await job_store.get(tx, row[0]) if row else None
        now = time.perf_counter()
        if phase:
            seconds[phase] = seconds.get(phase, 0.0) + now - before
        before = now
        if job is not None:
            phase = job.state.value
            if job.state is JobState.TRAINING:
                phase = job.progress.phase.value if job.progress else "loading"
            if job.state is JobState.DONE:
                return
        await asyncio.sleep(0.01)


async def bells(service: Service, database: Database) -> list[float]:
    """Milliseconds from the order's commit to the claim, on an idle worker."""
    url = f"unix://{service.data / 'run' / 'redis.sock'}"
    bell = Doorbell(url)
    took = []
    for _ in range(BELLS):
        # A job without photos fails as soon as it is claimed; only its start matters here.
        job = make_job(photos=(), chat="none:bench", created_at=time.time())
        async with database.write() as tx:
            await job_store.add(tx, job)
        await bell.ring()
        while True:
            async with database.read() as tx:
                found = await job_store.get(tx, job.id)
            if found is not None and found.state is JobState.FAILED and found.started_at:
                took.append(1000 * (found.started_at - found.created_at))
                break
            await asyncio.sleep(0.005)
    await bell.close()
    return took


async def once(folder: Path) -> dict[str, Any]:
    began = time.perf_counter()
    service = await Service(folder).start()
    async with WebPerson(service.address) as person:
        await person.say("/start")
        await person.until(lambda: person.said("Hi!"))
        first_reply = time.perf_counter() - began
        database = await Database.open(f"sqlite+aiosqlite:///{service.data / 'lorabot.db'}")
        seconds: dict[str, float] = {}
        watching = asyncio.create_task(watch(database, seconds))
        began = time.perf_counter()
        await conversation(person)
        await person.download("⬇")
        whole = time.perf_counter() - began
        await watching
        bot = service.child("-m lorabot bot")
        assert bot is not None
        rss = bot.memory_info().rss / 1e6
        maps = " ".join(one.path for one in bot.memory_maps()) if psutil.LINUX else ""
        took = await bells(service, database)
        await database.close()
    await service.stop()
    return {
        "start_to_first_reply_s": first_reply,
        "train_to_file_s": whole,
        "not_training_s": whole - seconds.get("training", 0.0),
        "bot_rss_mb": rss,
        "bot_has_torch": "libtorch" in maps,
        "enqueue_to_start_ms": statistics.median(took),
        "phases_s": {name: seconds.get(name, 0.0) for name in PHASES},
    }


def median_of(runs: list[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name, value in runs[0].items():
        values = [one[name] for one in runs]
        if isinstance(value, dict):
            merged[name] = median_of(values)
        elif isinstance(value, bool):
            merged[name] = any(values)
        else:
            merged[name] = round(statistics.median(values), 3)
    return merged


def plot(figures: dict[str, Any]) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    _, axes = plt.subplots(figsize=(9, 2.2), layout="constrained")
    left = 0.0
    for name, seconds in figures["phases_s"].items():
        axes.barh([""], [seconds], left=left, label=f"{name} {seconds:.1f} s")
        left += seconds
    axes.set_xlabel("seconds from the order to the file in the chat")
    axes.set_title("Where a demo job's time goes (12 photos, 150 steps, CPU)")
    axes.legend(ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.4), frameon=False)
    plt.savefig(RESULTS / "main_job.png", dpi=110)


async def main(count: int) -> None:
    runs = []
    for _ in range(count):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(await once(Path(folder)))
    figures = median_of(runs)
    with suppress(ImportError):
        plot(figures)
    write("main_job", {"runs": count, "goals_at_most": GOALS, "median": figures})


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
