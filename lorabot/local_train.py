"""``lorabot train``: the same pipeline without a chat, with a progress bar and an exit code."""

import asyncio
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from bot.naming import is_good_name
from bot.texts.catalog import Catalog
from lorabot.source import OrderError, Source
from pictures import limits
from pictures.look import Refused
from pictures.sandbox import Cells
from pipeline import worker
from storage import bases, job_store
from storage.blob_store import photo_key
from storage.blobs import StoreError
from storage.database import Database
from storage.job import CLASS_WORDS, FINAL, MAX_PHOTOS, MIN_PHOTOS, Job, JobState, Photo, new_id
from storage.settings import Settings
from storage.stores import blobs_of
from trainer.presets import params_for

PLATFORM = "cli"
LOOK_S = 0.25
EXIT_FAILED, EXIT_USAGE, EXIT_STOPPED = 1, 2, 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    source: Path
    name: str
    trigger: str
    kind: str
    base: str
    steps: int


async def train(settings: Settings, order: Order) -> int:
    screen = Console()
    database = await Database.open(settings.database)
    try:
        job = await _place(settings, order, database, screen)
        return await _follow(settings, job, database, screen)
    except (OrderError, StoreError, ValueError) as error:
        screen.print(str(error), markup=False)
        return EXIT_USAGE
    finally:
        await database.close()


async def _place(settings: Settings, order: Order, database: Database, screen: Console) -> Job:
    """Check the order, keep its photos, write its row."""
    known = bases.load(settings.data_dir, settings.bases_file)
    if not is_good_name(order.name):
        raise OrderError("The name needs 2-32 letters, digits, - or _, no spaces.")
    if order.kind not in CLASS_WORDS:
        raise OrderError(f"The kind is one of: {', '.join(CLASS_WORDS)}.")
    if order.base not in known or not known[order.base].installed:
        ready = ", ".join(base.id for base in known.values() if base.installed)
        raise OrderError(f"The base model {order.base!r} is not installed here; there is: {ready}.")
    photos = await _keep_photos(settings, order.source, screen)
    base = known[order.base]
    own = replace(base.overrides, steps=order.steps) if order.steps else base.overrides
    words = (order.trigger, CLASS_WORDS[order.kind])
    now = time.time()
    job = Job(
        id=new_id(now),
        chat=f"{PLATFORM}:local",
        person=f"{PLATFORM}:local",
        name=order.name,
        kind=order.kind,
        params=params_for(base.id, base.family, words, len(photos), own),
        photos=photos,
        created_at=now,
        # Somebody sits and waits before this one.
        priority=1,
    )
    async with database.write() as tx:
        await job_store.add(tx, job)
    return job


async def _keep_photos(settings: Settings, path: Path, screen: Console) -> tuple[Photo, ...]:
    catalog = Catalog.load("en")
    blobs = blobs_of(settings)
    source = await asyncio.to_thread(Source.open, path)
    photos = await asyncio.to_thread(source.photos, screen)
    kept: list[Photo] = []
    async with Cells(limits=limits.load(settings.data_dir)) as cells:
        for photo in photos:
            data = await asyncio.to_thread(source.data, photo.number)
            seen = await cells.look(data)
            if isinstance(seen, Refused):
                said = catalog.text(seen.code, {**seen.args, "number": photo.number})
                screen.print(said, markup=False)
                continue
            await blobs.put(photo_key(photo.sha256), data)
            kept.append(replace(photo, width=seen.width, height=seen.height))
    if not MIN_PHOTOS <= len(kept) <= MAX_PHOTOS:
        said = f"{len(kept)} different photos can be used; it takes {MIN_PHOTOS} to {MAX_PHOTOS}."
        raise OrderError(said)
    return tuple(kept)


async def _follow(settings: Settings, job: Job, database: Database, screen: Console) -> int:
    """Work on this one job in this process, and show its row until it ends."""
    stop = asyncio.Event()
    cancelled = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, cancelled.set)
    working = asyncio.create_task(worker.serve(settings, stop=stop, only_job=job.id))
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=screen) as bar:
            task = bar.add_task(JobState.QUEUED, total=None)
            while not _ended(job) and not working.done():
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await cancelled.wait()
                job = await _look(database, job.id, cancel=cancelled.is_set())
                _draw(bar, task, job)
    finally:
        stop.set()
        await working
    return await _say_end(settings, job, database, screen)


def _ended(job: Job) -> bool:
    return job.state in FINAL or job.state is JobState.DELIVERING


async def _look(database: Database, job_id: str, *, cancel: bool) -> Job:
    if cancel:
        async with database.write() as tx:
            await job_store.request_cancel(tx, job_id, now=time.time())
        await asyncio.sleep(LOOK_S)
    async with database.read() as tx:
        job = await job_store.get(tx, job_id)
    if job is None:
        raise OrderError("The job is gone: somebody deleted it.")
    return job


def _draw(bar: Progress, task: TaskID, job: Job) -> None:
    match job.state, job.progress:
        case JobState.PREPARING, _:
            bar.update(task, description=job.state, completed=job.prepared, total=len(job.photos))
        case JobState.TRAINING, progress if progress is not None and progress.total:
            said = f"{progress.phase} {progress.step}/{progress.total}"
            bar.update(task, description=said, completed=progress.step, total=progress.total)
        case _:
            bar.update(task, description=job.state, total=None)


async def _say_end(settings: Settings, job: Job, database: Database, screen: Console) -> int:
    catalog = Catalog.load("en")
    for one in job.rejections:
        said = catalog.text(one.code, {**one.args, "number": one.number})
        screen.print(said, markup=False)
    if job.state is JobState.CANCELLED:
        screen.print("Cancelled.")
        return EXIT_STOPPED
    if job.artifact is None or job.state is JobState.FAILED:
        failure = job.failure
        code, args = (failure.code, failure.args) if failure else ("fail.internal", {})
        screen.print(catalog.text(code, args), markup=False)
        return EXIT_FAILED
    async with database.write() as tx:
        await job_store.delivered(tx, job.id, now=time.time())
    place = blobs_of(settings).place(job.artifact.key)
    if job.copied_to and settings.lora_dir is not None:
        place = str(settings.lora_dir / job.copied_to)
    screen.print(f"Ready: {place}", markup=False, soft_wrap=True)
    screen.print(f"Trigger word: {job.params.trigger}", markup=False)
    return 0
