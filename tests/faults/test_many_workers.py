"""Many workers on one SQLite file, which takes one writer at a time."""

import asyncio
import sqlite3
import time
from pathlib import Path
from typing import Any

from pipeline.shop import Shop
from pipeline.worker import Bench
from storage import host, job_store
from storage.blob_store import LocalBlobs
from storage.database import Database
from storage.settings import Settings
from tests.jobs import make_job

MANY = 32
LEASE_S = 30.0
SOON_S = 5.0  # a sixth of what whoever wants to write waits for the lock


def bench(database: Database, folder: Path) -> Bench:
    parts: dict[str, Any] = dict.fromkeys(("backend", "cells", "eyes", "limits"))
    settings = Settings(data_dir=folder)
    shop = Shop(settings=settings, database=database, blobs=LocalBlobs(folder), bases={}, **parts)
    return Bench(shop, asyncio.Event(), None)


async def test_workers_without_work_do_not_wait_for_the_right_to_write(
    database: Database, tmp_path: Path
) -> None:
    idle = bench(database, tmp_path)
    async with database.write() as tx:
        await job_store.add(tx, make_job())
        taken = await job_store.claim(
            tx, host.this_process(), lease_s=LEASE_S, now=time.time(), bases=frozenset({"demo"})
        )
    assert taken is not None
    other = sqlite3.connect(tmp_path / "test.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        async with asyncio.timeout(SOON_S):
            found = await asyncio.gather(*(idle.claim() for _ in range(MANY)))
    finally:
        other.close()
    assert found == [None] * MANY
