"""One job's training: the trainer's process, and beside it what it draws and is asked for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from pictures.sandbox import Cells
from pictures.verdict import PERSON
from pipeline import grants, job_logs, train
from pipeline.backends import chosen
from pipeline.critic import Critic
from pipeline.errands import Errands
from pipeline.gallery import Gallery, taken_of
from pipeline.lease import Halt, Lease
from pipeline.shop import AgainError, FailedError, Shop
from storage import log_files
from storage.bases import Base
from storage.job import Failure, Job, Taken
from trainer import drawing
from trainer.presets import prompts_for
from trainer.run import Failed, Finished, RunSpec
from trainer.run import Failure as Cause

SCORES_WAIT_S = 60.0  # for the last samples' scores: four pictures on a busy CPU
DRAIN_SHARE = 0.8  # of the time a deploy leaves; the rest is for giving the job back


async def train_job(job: Job, shop: Shop, lease: Lease) -> Taken:
    """The step that became the file. Raises FailedError, AgainError, HaltedError."""
    base = shop.bases.get(job.params.base_model)
    if base is None:
        raise FailedError(Failure(code="fail.base", detail="not in this worker's list of bases"))
    # What our own trainer draws may be smaller than what a person may send.
    async with Cells(size=1, limits=replace(shop.limits, smallest=1)) as cells:
        return await _train(job, shop, lease, base, _gallery(job, shop, lease, cells))


async def _train(job: Job, shop: Shop, lease: Lease, base: Base, gallery: Gallery) -> Taken:
    home, use = shop.home(job), chosen(base, shop)
    reach = grants.of_bases(shop.settings, [base])
    spec = RunSpec(
        params=job.params,
        base=base.path.absolute(),
        dataset=home / "dataset",
        output=home / "out" / f"{job.name}.safetensors",
        work=gallery.work,
        prompts=gallery.prompts,
        sample_at=drawing.shares(job.params),
        scores_wait_s=SCORES_WAIT_S if gallery.critic.sees else 0.0,
        extra=use.extra,
    )
    logs = shop.settings.data_dir / "logs"
    order = train.Order(
        spec=spec,
        home=home,
        lock=shop.lock,
        log=log_files.whole(logs, job.id),
        halt=lease.halt,
        crew=use.crew,
        drawn=gallery.drawn,
        network=shop.settings.trainer_network,
        reach=None if reach is None else grants.with_extra(reach, use.extra),
        patience=lambda: _patience(lease.why, shop.settings.drain_s),
    )
    async with _shown(gallery):
        lease.listen(Errands(home, gallery.work).pass_on)
        try:
            outcome = await train.train(use.backend, order, lease.tell)
        except train.DeviceBusyError as error:
            lease.check()
            raise AgainError(f"the device is busy: {error}", counted=False) from error
        finally:
            lease.listen(None)
            await job_logs.keep(job, shop, order.log)
    lease.check()
    match outcome:
        case Finished(steps=steps, taken=taken):
            await gallery.close(taken or steps)
            return await asyncio.to_thread(taken_of, gallery.work, taken or steps, steps)
        case Failed(code=Cause.KILLED):
            raise AgainError(outcome.detail)
        case Failed(code=cause, detail=detail):
            raise FailedError(Failure(code=f"fail.{cause}", detail=detail))
        case train.Stopped():
            raise AgainError("the trainer was stopped from outside")


def _gallery(job: Job, shop: Shop, lease: Lease, cells: Cells) -> Gallery:
    home = shop.home(job)
    person = job.kind == PERSON
    return Gallery(
        job=job,
        lease=lease,
        blobs=shop.blobs,
        cells=cells,
        critic=Critic(shop.eyes, cells, home / "dataset", job.params, person=person),
        work=home / "run",
        prompts=prompts_for(job.params),
    )


@asynccontextmanager
async def _shown(gallery: Gallery) -> AsyncIterator[None]:
    """Samples are shown while the training goes on."""
    showing = asyncio.create_task(gallery.run())
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)


def _patience(why: Halt | None, drain_s: float) -> float:
    """What a checkpoint is worth: nothing for a job that somebody else has."""
    match why:
        case Halt.LOST:
            return 0.0
        case Halt.DRAIN:
            return DRAIN_SHARE * drain_s
    return train.GRACE_S
