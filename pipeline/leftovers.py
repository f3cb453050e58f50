"""What a worker finds of a killed predecessor when it starts, and puts in order."""

import asyncio
import logging
import shutil
import time
from pathlib import Path

from pipeline import artifact, train
from pipeline.shop import Shop
from storage import clock, host, job_release, job_store
from storage.job import FINAL, RUNNING
from storage.job_store import Owner

log = logging.getLogger(__name__)

HALF_WRITTEN_S = 86_400.0


async def tidy_up(shop: Shop, owner: Owner) -> None:
    """What a killed predecessor left: its leases now, its trainer, folders of jobs that have ended,
    and half a copy.
    """
    async with shop.database.write() as tx:
        freed = await job_release.release_dead(
            tx,
            owner.host,
            owner.boot_id,
            host.alive,
            now=await clock.now(tx),
            max_attempts=shop.settings.max_attempts,
        )
    for job_id in freed:
        log.warning("job %s: its worker is gone; free again", job_id)
    homes = shop.settings.data_dir / "work"
    for home in await asyncio.to_thread(_folders, homes):
        async with shop.database.read() as tx:
            state = await job_store.state_of(tx, home.name)
        # A running job's worker lives, perhaps beside us.
        if state not in RUNNING and train.end_stray(home):
            log.warning("job %s: its trainer was still there; ended", home.name)
        if state is None or state in FINAL:
            await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)
    await shop.blobs.sweep_half_written(before=time.time() - HALF_WRITTEN_S)
    if shop.settings.lora_dir is not None:
        await asyncio.to_thread(artifact.sweep, shop.settings.lora_dir)


def _folders(parent: Path) -> list[Path]:
    return [one for one in parent.iterdir() if one.is_dir()] if parent.is_dir() else []
