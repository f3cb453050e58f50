"""What a trainer said at its end, put where the chat side finds it whatever machine that is."""

import asyncio
import logging
import time
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from pipeline.shop import Shop
from storage import log_files
from storage.blobs import BlobExistsError
from storage.job import Job
from storage.log_lines import clean

log = logging.getLogger(__name__)

DAY_S = 86_400.0
KEEP_S = 10.0  # no store of files holds up the end of a training for longer


async def keep(job: Job, shop: Shop, whole: Path) -> None:
    """Cleaned, and by attempt. Before the job's state changes, so that whoever deletes the job
    deletes this, too. A log that is lost is no reason for a job to fail.
    """
    try:
        async with asyncio.timeout(KEEP_S):
            tail = await asyncio.to_thread(_read, whole)
            if lines := clean(tail, job):
                key = log_files.log_key(job.id, job.fence)
                await shop.blobs.put(key, "\n".join(lines).encode())
            await _sweep(shop, whole.parent)
    except (OSError, BlobExistsError, DBAPIError) as error:
        log.warning("job %s: its log was not kept (%s)", job.id, type(error).__name__)


async def _sweep(shop: Shop, folder: Path) -> None:
    """The whole logs of this machine: after the days of photos, and with their jobs."""
    before = time.time() - shop.settings.retention_days * DAY_S
    old = await asyncio.to_thread(log_files.jobs_in, folder, before=before)
    there = await asyncio.to_thread(log_files.jobs_in, folder)
    async with shop.database.read() as tx:
        known = await log_files.known(tx, there)
    await asyncio.to_thread(log_files.remove, folder, {*old, *there} - (known - set(old)))


def _read(whole: Path) -> str:
    try:
        return whole.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
