"""A file of 200 MB up to an S3 server and down again, by bucket and by link, in one event loop.

Expected before the first run: neither way holds up the event loop for more than 50 ms; going up
takes under 10 MB of memory of its own, because the pages of the file are sent as they are; coming
down takes a few pieces of 4 MB. Both are bound by the server, which is written in Python: some
50 to 100 MB/s on this machine, and its figures say nothing of a real store's speed.
"""

import asyncio
import hashlib
import os
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from bench.machine import write
from bot.links import Links
from bot.web.app import create_app
from bot.web.downloads import Downloads
from bot.web.feed import Feed
from bot.web.room import Room
from bot.web.visitors import Visitors
from pictures.sandbox import Cells
from storage import job_store
from storage.blob_store import artifact_key, file_digest
from storage.blobs import Blobs
from storage.database import Database
from storage.job import Artifact, JobState
from tests.http_server import serving
from tests.jobs import make_job
from tests.s3 import s3_server

FILE_BYTES = 200_000_000
TICK_S = 0.002
TURNS = 3


class Watch:
    """The longest stall of this loop, the longest time that it computed without a pause, and the
    most memory of this process beyond the beginning.

    On a busy machine the stalls are those of the machine: ``idle`` has them, too. What the loop
    computes itself is not. Anonymous memory alone: pages of a file that is read may be taken back
    at any time.
    """

    def __init__(self) -> None:
        self.stall_s = 0.0
        self.own_s = 0.0
        self.memory = 0
        self._before = anonymous()

    async def run(self) -> None:
        looked = last = time.perf_counter()
        computed = time.thread_time()
        while True:
            await asyncio.sleep(TICK_S)
            now = time.perf_counter()
            self.stall_s = max(self.stall_s, now - last - TICK_S)
            self.own_s = max(self.own_s, time.thread_time() - computed)
            last, computed = now, time.thread_time()
            if now - looked > 0.02:
                self.memory = max(self.memory, anonymous() - self._before)
                looked = last = time.perf_counter()
                computed = time.thread_time()


def anonymous() -> int:
    """Bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


async def watched(work: Callable[[], Awaitable[object]]) -> dict[str, float]:
    watch = Watch()
    watching = asyncio.create_task(watch.run())
    await asyncio.sleep(0.05)
    watch.stall_s = watch.own_s = 0.0
    began = time.perf_counter()
    await work()
    seconds = time.perf_counter() - began
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    return {
        "seconds": round(seconds, 2),
        "mb_per_s": round(FILE_BYTES / 1e6 / seconds, 1),
        "longest_stall_ms": round(1000 * watch.stall_s, 1),
        "longest_own_work_ms": round(1000 * watch.own_s, 1),
        "memory_mb": round(watch.memory / 1e6, 1),
    }


async def nothing() -> None:
    """About as long as an upload: what the machine itself does to an idle loop."""
    await asyncio.sleep(15)


async def by_link(database: Database, blobs: Blobs, key: str, sha256: str, folder: Path) -> Any:
    """As a person downloads it: our own page, HTTP, a reader that keeps nothing."""
    made = Artifact(key=key, sha256=sha256, file_bytes=FILE_BYTES, name="mochi.safetensors")
    job = make_job(chat="tg:1", person="tg:1", state=JobState.DONE, artifact=made)
    async with database.write() as tx:
        await job_store.add(tx, job)
    links = Links("secret", hours=1)

    async def receive(_: object) -> None:
        raise AssertionError

    async with Cells(1) as cells:
        room = Room(
            feed=Feed(database),
            blobs=blobs,
            cells=cells,
            visitors=Visitors(secret="secret"),
            receive=receive,
            spool=folder / "spool",
        )
        app = create_app(room, Downloads(db=database, blobs=blobs, links=links))
        async with serving(app) as address, httpx.AsyncClient(base_url=address) as http:

            async def work() -> None:
                digest = hashlib.sha256()
                async with http.stream("GET", links.path(job.id, job.person)) as answer:
                    answer.raise_for_status()
                    async for piece in answer.aiter_raw(1 << 16):
                        digest.update(piece)
                assert digest.hexdigest() == sha256

            return await watched(work)


async def turn(blobs: Blobs, source: Path, number: int, folder: Path) -> dict[str, Any]:
    key = artifact_key(f"J{number}", 1, "mochi.safetensors")
    sha256 = (await asyncio.to_thread(file_digest, source)).hex()
    database = await Database.open(f"sqlite+aiosqlite:///{folder / f'{number}.db'}")

    async def to_disk() -> None:
        async with blobs.local(key) as path:
            assert path.stat().st_size == FILE_BYTES

    found = {
        "idle": await watched(nothing),
        "up": await watched(lambda: blobs.put_file(key, source)),
        "same_again": await watched(lambda: blobs.put_file(key, source)),
        "down_to_disk": await watched(to_disk),
        "down_by_link": await by_link(database, blobs, key, sha256, folder),
    }
    await database.close()
    await blobs.delete(key)
    return found


async def main() -> None:
    with tempfile.TemporaryDirectory() as made, s3_server() as s3:
        folder = Path(made)
        source = folder / "mochi.safetensors"
        source.write_bytes(random.Random(1).randbytes(FILE_BYTES))
        blobs = s3.blobs(folder)
        turns = [await turn(blobs, source, number, folder) for number in range(TURNS)]
    load = os.getloadavg()[0]
    expected = {"longest_stall_ms": 50, "memory_up_mb": 10, "memory_down_mb": 20}
    write(
        "s3_artifact",
        {
            "file_mb": FILE_BYTES / 1e6,
            "server": "moto, one process in Python, on this machine",
            "load": round(load, 1),
            "expected_at_most": expected,
            "turns": turns,
        },
    )


if __name__ == "__main__":
    asyncio.run(main())
