"""The worker: it hears the doorbell, looks by itself too, claims a job, and runs it.

One job at a time, because there is one trainer to a device. The event loop never does the work
itself, so that leases are renewed whatever happens.
"""

import asyncio
import logging
import os
import random
import signal
from contextlib import suppress
from typing import Any

from sqlalchemy.exc import DBAPIError

from pictures import limits
from pictures.sandbox import Cells
from pipeline import crew, ear, grants, leftovers, tally, train
from pipeline.ability import Ability
from pipeline.captions.describe import describer
from pipeline.cards import Cards
from pipeline.crew import Crew, Place
from pipeline.eyes import Eyes, config_of
from pipeline.inspector import Inspector
from pipeline.lease import Halt, Lease
from pipeline.reach import Reach
from pipeline.run import run_job
from pipeline.shop import Shop
from pipeline.train import Backend
from pipeline.twin import TwinMaker
from storage import (
    bases,
    clock,
    host,
    job_release,
    job_store,
    meter_store,
    one_host,
    worker_store,
)
from storage.database import Database
from storage.job import Job
from storage.log_context import about
from storage.settings import Settings
from storage.stores import blobs_of
from trainer.backends import native

log = logging.getLogger(__name__)

BEAT_S = 3.0
SWEEP_S = (1.0, 2.0)  # jittered, so that many workers do not look at the same moment
SWEEPS = 10  # in one lease, if that is more often
DATABASE_PAUSE_S = 1.0
STORE_PATIENCE_S = 120.0  # longer than a store takes to start again


class Bench:
    """One worker's place: what it claims, and whether it still may."""

    def __init__(self, shop: Shop, stop: asyncio.Event, only_job: str | None) -> None:
        self.shop = shop
        self.stop = stop
        self.only_job = only_job
        self.rung = asyncio.Event()
        self.inspector = Inspector(shop.database, shop.blobs, shop.cells, shop.eyes, shop.describe)
        self.cards = Cards()
        self.ability = Ability(shop.bases, shop.settings.gpu)
        self.owner = host.this_process()
        self._fault = ""
        self.pause_scale = min(1.0, shop.settings.lease_s / SWEEPS)

    async def work(self) -> None:
        """Claim and run until stopped; between jobs wait for the bell or the next look."""
        while not self.stop.is_set():
            self.rung.clear()
            job = await self.claim() if await self._store_is_there() else None
            if job is not None:
                with about(job.id):
                    await self._run(job)
                continue
            pause = random.uniform(*SWEEP_S) * self.pause_scale
            await _first_of(self.rung.wait(), self.stop.wait(), within_s=pause)

    async def _store_is_there(self) -> bool:
        """Without its files a job would only be claimed to be given back."""
        fault = await self.shop.blobs.fault()
        if fault and fault != self._fault:
            log.error("no job is claimed, because %s: see `lorabot doctor`", fault)
        elif self._fault and not fault:
            log.info("the store of files is there again")
        self._fault = fault
        return not fault

    async def claim(self) -> Job | None:
        """Free what silent workers held; then the next job, if there is a device for it: one that
        cannot be trained now had better wait where others can take it.
        """
        settings = self.shop.settings
        try:
            async with self.shop.database.read() as tx:
                # SQLite has one writer: many who wait for work must not hold up those who have it.
                if await job_release.is_quiet(tx, now=await clock.now(tx)):
                    return None
            async with self.shop.database.write() as tx:
                now = await clock.now(tx)
                await job_release.release_expired(tx, now=now, max_attempts=settings.max_attempts)
                if not train.device_is_free(self.shop.lock):
                    return None
                job = await job_store.claim(
                    tx,
                    self.owner,
                    lease_s=settings.lease_s,
                    now=now,
                    bases=self.ability.claims(await worker_store.labels(tx, now=now)),
                    job_id=self.only_job,
                    most_running=settings.max_running_per_user,
                )
                if job is not None:
                    await meter_store.add(tx, *tally.claimed(job))
                return job
        except DBAPIError as error:
            log.warning("the database does not answer (%s)", error.orig)
            return None

    async def tidy_up(self) -> None:
        """Once, as soon as the database answers."""
        while not self.stop.is_set():
            try:
                return await leftovers.tidy_up(self.shop, self.owner)
            except DBAPIError as error:
                log.warning("the database does not answer (%s)", error.orig)
                await _first_of(self.stop.wait(), within_s=DATABASE_PAUSE_S)
        return None

    async def _run(self, job: Job) -> None:
        log.info("job %s: claimed, attempt %d", job.id, job.attempts)
        async with Lease(job, self.shop.database, self.shop.settings.lease_s) as lease:
            draining = asyncio.create_task(self._drain(lease))
            try:
                await run_job(job, self.shop, lease)
            finally:
                draining.cancel()
        if self.only_job is not None:
            self.stop.set()

    async def _drain(self, lease: Lease) -> None:
        await self.stop.wait()
        lease.stop(Halt.DRAIN)

    async def beat(self) -> None:
        """Say that this worker is alive, for the people who wait."""
        while True:
            with suppress(DBAPIError):
                gpu = self.shop.settings.gpu
                cards = [one for one in self.cards.known if gpu is None or one.number == gpu]
                await self.ability.measure(cards)
                async with self.shop.database.write() as tx:
                    await worker_store.beat(
                        tx,
                        self.owner.name,
                        self.owner.host,
                        [*self.ability.labels, *self.inspector.labels],
                        now=await clock.now(tx),
                        cards=cards,
                    )
            await asyncio.sleep(BEAT_S)

    def hear(self) -> None:
        """The bell."""
        self.rung.set()
        self.inspector.rung.set()


async def serve(
    settings: Settings,
    *,
    stop: asyncio.Event,
    only_job: str | None = None,
    backend: Backend = native,
) -> None:
    """Work until ``stop``; with ``only_job`` until that one has been tried."""
    database = await one_host.open_here(settings.database, settings.database_patience_s)
    own_limits = limits.load(settings.data_dir)
    known = bases.load(settings.data_dir, settings.bases_file)
    reach = grants.of_worker(settings, known.values())
    shop = Shop(
        settings=settings,
        database=database,
        blobs=blobs_of(settings, patience_s=STORE_PATIENCE_S),
        bases=known,
        backend=backend,
        cells=Cells(limits=own_limits),
        eyes=Eyes(config_of(settings, own_limits.face_score)),
        limits=own_limits,
        describe=describer(settings),
        device=settings.gpu or 0,
        crew=_crew(settings, backend, reach) if only_job is None else None,
    )
    bench = Bench(shop, stop, only_job)
    staying = asyncio.create_task(_stay(database, stop))
    beside = [asyncio.create_task(one) for one in (bench.beat(), bench.cards.run())]
    if only_job is None:
        beside.append(asyncio.create_task(bench.inspector.run()))
    if settings.redis_url is not None and only_job is None:
        url = settings.redis_url.get_secret_value()
        beside.append(asyncio.create_task(ear.listen(url, bench.hear)))
    try:
        await bench.tidy_up()
        if only_job is None:
            twins = TwinMaker(database, shop.blobs, settings.data_dir / "work")
            beside.append(asyncio.create_task(twins.run()))
        log.info("worker %s is ready", bench.owner.name)
        await bench.work()
        if staying.done():
            staying.result()
    finally:
        beside.append(staying)
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await asyncio.gather(shop.cells.close(), shop.eyes.close())
        if shop.crew is not None:
            await shop.crew.close()
        with suppress(DBAPIError):
            async with database.write() as tx:
                await worker_store.gone(tx, bench.owner.name)
        await database.close()


async def _stay(database: Database, stop: asyncio.Event) -> None:
    """Without its database a worker lets go of everything, and ends."""
    try:
        await one_host.stay(database)
    except one_host.FileGoneError:
        stop.set()
        raise


def _crew(settings: Settings, backend: Backend, reach: Reach | None) -> Crew | None:
    """A trainer that stays, where the backend has one and the operator wants it."""
    if backend is not native or not settings.warm_minutes:
        return None
    folder = settings.data_dir / "work"
    place = Place(folder=folder, network=settings.trainer_network, reach=reach)
    return Crew(native.resident(60 * settings.warm_minutes), place)


async def _first_of(*waits: Any, within_s: float) -> None:
    tasks = [asyncio.ensure_future(one) for one in waits]
    await asyncio.wait(tasks, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


async def _until_signal(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await serve(settings, stop=stop)


def main(settings: Settings) -> None:
    if settings.gpu is not None:
        os.environ.update(crew.one_card(settings.gpu, os.environ))
    asyncio.run(_until_signal(settings))
