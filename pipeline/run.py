"""prepare, train, copy: one claimed job from the photos to the published artifact.

Every change of the row goes through the fence, and every stage can be repeated: what is finished
is found again.
"""

import asyncio
import errno
import logging
import shutil
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from pictures.seen import from_texts
from pipeline import artifact, prepare, tally, versions
from pipeline.cabinet import Cabinet
from pipeline.lease import Halt, HaltedError, Lease
from pipeline.recipe import recipe_of
from pipeline.shop import AgainError, FailedError, Shop
from pipeline.training import train_job
from storage import clock, job_store, look_store, meter_store
from storage.blob_store import artifact_key, photo_key, samples_prefix
from storage.blobs import StoreError
from storage.database import Tx
from storage.job import FINAL, MIN_PHOTOS, Artifact, Failure, Job, JobState, Taken

log = logging.getLogger(__name__)

COPY_TRIES = 3
COPY_PAUSE_S = 1.0
FULL = (errno.ENOSPC, errno.EDQUOT)

Result = TypeVar("Result")


async def run_job(job: Job, shop: Shop, lease: Lease) -> None:
    """Until the job is delivering, ended, back in the queue, or somebody else's."""
    try:
        await _stages(job, shop, lease)
    except HaltedError:
        await _after_halt(job, shop, lease)
    except FailedError as error:
        await _end(job, shop, lease, JobState.FAILED, failure=error.failure)
    except AgainError as error:
        log.warning("job %s: again later (%s)", job.id, error)
        await _requeue(job, lease, counted=error.counted)
    except StoreError as error:
        # The world's. What is trained stays here; this worker claims nothing until it is over.
        log.error("job %s: back in the queue, because %s", job.id, error)  # noqa: TRY400
        await _requeue(job, lease, counted=False)
    except Exception as error:
        # Ours: loud in the log, plain in the chat.
        log.exception("job %s failed", job.id)
        full = isinstance(error, OSError) and error.errno in FULL
        code = "fail.disk" if full else "fail.internal"
        failure = Failure(code=code, detail=f"{type(error).__name__}: {error}"[:500])
        await _end(job, shop, lease, JobState.FAILED, failure=failure)


async def _stages(job: Job, shop: Shop, lease: Lease) -> None:
    made = job.artifact
    if made is None:
        await _prepare(job, shop, lease)
        taken = await train_job(job, shop, lease)
        await _enter(job, lease, JobState.COPYING, taken=taken)
        made = await _publish(job, shop, lease, taken)
    copied_to = await _copy(job, shop, made)
    if not copied_to:
        # With the file in the folder it is too late for a cancel: it is there to be used.
        lease.check()
    await _end(job, shop, lease, JobState.DELIVERING, copied_to=copied_to)


async def _prepare(job: Job, shop: Shop, lease: Lease) -> None:
    """Photos to a dataset, in children and threads: the lease must go on being renewed."""

    def tell(count: int) -> None:
        lease.check()
        lease.tell_prepared(count)

    home = shop.home(job)
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    shas = [photo.sha256 for photo in job.photos]
    rows = await lease.read(lambda tx: look_store.get(tx, shas))
    tools = prepare.Tools(
        read=lambda photo: _while_ours(lease, shop.blobs.get(photo_key(photo.sha256))),
        tell=tell,
        cells=shop.cells,
        cabinet=Cabinet(home / "cabinet"),
        eyes=shop.eyes if shop.eyes.labels else None,
        describe=shop.describe,
        known={key: from_texts(row.look, row.faces, row.described) for key, row in rows.items()},
    )
    base = shop.bases.get(job.params.base_model)
    recipe = recipe_of(job, base, shop.limits, MIN_PHOTOS)
    report = await prepare.prepare(job.photos, recipe, home / "dataset", tools)
    if len(report.kept) < MIN_PHOTOS:
        failure = Failure(
            code="fail.too_few", args={"kept": len(report.kept), "needed": MIN_PHOTOS}
        )
        await _enter(job, lease, JobState.FAILED, failure=failure, rejections=report.rejections)
        raise HaltedError(None)
    await _enter(job, lease, JobState.TRAINING, rejections=report.rejections)


async def _publish(job: Job, shop: Shop, lease: Lease, taken: Taken) -> Artifact:
    """Check, write under the fence, and only then say so: a zombie litters its own folder."""
    name = f"{job.name}.safetensors"
    output = shop.home(job) / "out" / name
    try:
        checked = await asyncio.to_thread(artifact.check, output, job.params.trigger)
    except artifact.BadArtifactError as error:
        raise FailedError(Failure(code="fail.artifact", detail=str(error))) from error
    key = artifact_key(job.id, job.fence, name)
    await _while_ours(lease, shop.blobs.put_file(key, output))
    made = Artifact(key=key, sha256=checked.sha256, file_bytes=checked.file_bytes, name=name)
    saved = await versions.publish(job, shop.home(job) / "run", shop.blobs, taken)
    if not await lease.write(
        lambda tx: job_store.save_artifact(tx, job.id, job.fence, made, saved)
    ):
        lease.stop(Halt.LOST)
    lease.check()
    return made


async def _copy(job: Job, shop: Shop, made: Artifact) -> str:
    """Into the LoRA folder, if there is one. The chat gets the file even if that fails."""
    folder = shop.settings.lora_dir
    if folder is None:
        return ""
    for left in reversed(range(COPY_TRIES)):
        try:
            async with shop.blobs.local(made.key) as path:
                return await asyncio.to_thread(artifact.copy_beside, path, folder, job.name)
        except OSError as error:
            log.error("job %s: not copied to LORA_DIR (%s)", job.id, error.strerror)  # noqa: TRY400
            if left:
                await asyncio.sleep(COPY_PAUSE_S)
    return ""


async def _after_halt(job: Job, shop: Shop, lease: Lease) -> None:
    match lease.why:
        case Halt.CANCELLED:
            await _end(job, shop, lease, JobState.CANCELLED)
        case Halt.DRAIN:
            await _requeue(job, lease, counted=False)
        case Halt.LOST:
            log.warning("job %s: the lease was lost; another worker has it", job.id)
        case None:
            # It ended by itself.
            await _clean(shop.home(job))


async def _enter(job: Job, lease: Lease, state: JobState, **changes: Any) -> None:
    """A change of state; a row that does not take it belongs to somebody else by now."""
    lease.check()
    if not await lease.write(lambda tx: _move(tx, job, lease, state, changes)):
        lease.stop(Halt.LOST)
    lease.check()
    lease.stage.go(state, time.monotonic())
    log.info("job %s: %s", job.id, state)


async def _move(tx: Tx, job: Job, lease: Lease, state: JobState, changes: dict[str, Any]) -> bool:
    """The change and what is counted of it: both or neither."""
    now = await clock.now(tx)
    if not await job_store.enter(tx, job.id, job.fence, state, now=now, **changes):
        # Unless an earlier try was committed, and the server died before it could say so.
        found = await job_store.get(tx, job.id)
        return found is not None and (found.fence, found.state) == (job.fence, state)
    known = {key: value for key, value in changes.items() if key in tally.COUNTED}
    change = tally.Change(state, **known)
    await meter_store.add(tx, *tally.counted(job, lease.stage, change, time.monotonic()))
    return True


async def _end(job: Job, shop: Shop, lease: Lease, state: JobState, **changes: Any) -> None:
    """The last change: it is allowed while halted, and the job's folder goes with it."""
    try:
        kept = await lease.write(lambda tx: _move(tx, job, lease, state, changes))
    except HaltedError:
        return
    log.info("job %s: %s%s", job.id, state, "" if kept else " came too late")
    if kept and state in FINAL:
        # Nobody gets a file: what was drawn of it goes, too.
        try:
            await shop.blobs.delete_prefix(samples_prefix(job.id))
        except StoreError as error:
            log.warning("job %s: its samples stay for now (%s)", job.id, error)
    if kept:
        await _clean(shop.home(job))


async def _requeue(job: Job, lease: Lease, *, counted: bool) -> None:
    async def back(tx: Tx) -> None:
        now = await clock.now(tx)
        await job_store.requeue(tx, job.id, job.fence, now=now, counted=counted)

    try:
        await lease.write(back)
    except HaltedError:
        return
    log.info("job %s: back in the queue", job.id)


async def _while_ours(lease: Lease, work: Coroutine[Any, Any, Result]) -> Result:
    """A store that is away is waited for, but not longer than somebody wants the job from us."""
    doing = asyncio.ensure_future(work)
    halted = asyncio.ensure_future(lease.halt.wait())
    try:
        await asyncio.wait({doing, halted}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            lease.check()
        return await doing
    finally:
        doing.cancel()
        halted.cancel()
        await asyncio.gather(doing, halted, return_exceptions=True)


async def _clean(home: Path) -> None:
    """In a thread: to remove gigabytes takes a while."""
    await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)
