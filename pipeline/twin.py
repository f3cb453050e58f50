"""Smaller twins of finished files, made when a chat takes less than the whole one has.

It runs beside the jobs in each worker: whoever waits for a file waits for seconds, whatever is
trained. A twin that is lost with its worker is made again by another after a while.
"""

import asyncio
import logging
import tempfile
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from pipeline import artifact
from storage import clock, job_store, twin_store
from storage.blob_store import artifact_prefix
from storage.blobs import Blobs
from storage.database import Database
from storage.job import Artifact, Job
from storage.shelf import Twin
from trainer import resize

log = logging.getLogger(__name__)

LOOK_S = 0.5
TROUBLE_S = 5.0
HOLD_S = 300.0  # what one twin may take; then another worker tries


class TwinMaker:
    """``work`` is where files lie until they are published; it is made when it is needed."""

    def __init__(self, database: Database, blobs: Blobs, work: Path) -> None:
        self._database = database
        self._blobs = blobs
        self._work = work

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                if not await self.make_one():
                    await asyncio.sleep(LOOK_S)
            except DBAPIError as error:
                log.warning("the database does not answer (%s)", error.orig)
                await asyncio.sleep(TROUBLE_S)
            except OSError as error:
                # A full disk, or a file that was removed under our hands: held, so tried later.
                log.warning("a smaller file could not be made (%s)", error.strerror)
                await asyncio.sleep(TROUBLE_S)

    async def make_one(self) -> bool:
        """False when nobody waits."""
        async with self._database.read() as tx:
            if not await twin_store.anybody_waits(tx, now=await clock.now(tx)):
                return False
        async with self._database.write() as tx:
            wish = await twin_store.claim(tx, now=await clock.now(tx), hold_s=HOLD_S)
            job = await job_store.get(tx, wish[0]) if wish else None
        if wish is None:
            return False
        twin = await self._make(job, job.artifact, wish[1]) if job and job.artifact else None
        async with self._database.write() as tx:
            wanted = await twin_store.answer(tx, *wish, twin, now=await clock.now(tx))
        if twin is not None and not wanted:
            await self._blobs.delete(twin.key)
        return True

    async def _make(self, job: Job, whole: Artifact, max_bytes: int) -> Twin | None:
        """Publish a twin of at most so many bytes; None where there can be none."""
        if not await self._blobs.exists(whole.key):
            return None
        self._work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._work, prefix="twin-") as folder:
            target = Path(folder) / "twin.safetensors"
            try:
                async with self._blobs.local(whole.key) as source:
                    # numpy lets the event loop go on while it computes.
                    made = await asyncio.to_thread(resize.fit, source, target, max_bytes)
                if made is None:
                    return None
                checked = await asyncio.to_thread(artifact.check, target, job.params.trigger)
            except (resize.ResizeError, artifact.BadArtifactError) as error:
                log.warning("job %s: it has no smaller twin (%s)", job.id, error)
                return None
            name = f"{Path(whole.name).stem}_r{made.rank}.safetensors"
            key = f"{artifact_prefix(job.id)}/twin-{checked.sha256[:16]}/{name}"
            await self._blobs.put_file(key, target)
        log.info("job %s: a smaller twin, rank %d", job.id, made.rank)
        return Twin(
            key=key,
            sha256=checked.sha256,
            file_bytes=checked.file_bytes,
            name=name,
            rank=made.rank,
            lost=made.error,
        )
