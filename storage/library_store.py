"""A person's finished models: pages of them, another name, an end that leaves nothing behind."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import sqlalchemy as sa

from storage import twin_store
from storage.database import Tx
from storage.job import Job, JobState
from storage.job_store import get, many
from storage.schema import doomed, jobs
from storage.shelf import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """A deleted model whose files have yet to go. ``copied_to`` names its copy in the LoRA folder,
    which goes only if it has this ``sha256``; empty: it stays.
    """

    job_id: str
    sha256: str
    copied_to: str = ""


def _mine(person: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        jobs.c.person == person,
        jobs.c.state == JobState.DONE.value,
        jobs.c.artifact.is_not(None),
    )


async def page(tx: Tx, person: str, number: int, size: int) -> Page:
    """Newest first. A page that does not exist any more is the last one."""
    counted = sa.select(sa.func.count()).select_from(jobs).where(_mine(person))
    count = int((await tx.execute(counted)).scalar_one())
    number = max(0, min(number, (count - 1) // size))
    newest = sa.select(jobs).where(_mine(person)).order_by(jobs.c.id.desc())
    found = await many(tx, newest.limit(size).offset(number * size))
    return Page(models=tuple(found), number=number, count=count)


async def rename(tx: Tx, job_id: str, name: str) -> None:
    """The model, and the file as chats and downloads call it. Its twins get the name when they are
    made again.
    """
    job = await get(tx, job_id)
    if job is None or job.artifact is None:
        return
    artifact = replace(job.artifact, name=f"{name}.safetensors")
    named = jobs.update().where(jobs.c.id == job_id)
    await tx.execute(named.values(name=name, artifact=json.dumps(asdict(artifact))))
    await twin_store.forget(tx, job_id)


async def doom(tx: Tx, job: Job, *, with_copy: bool) -> None:
    """From here on nobody has this model; its files go as soon as they can, and for sure."""
    if job.artifact is None:
        return
    copied_to = job.copied_to if with_copy else ""
    await tx.execute(
        doomed.insert().values(job_id=job.id, sha256=job.artifact.sha256, copied_to=copied_to)
    )
    ended = jobs.update().where(jobs.c.id == job.id)
    await tx.execute(ended.values(artifact=None, samples=None, chart="", saved="[]"))
    await twin_store.forget(tx, job.id)


async def all_doomed(tx: Tx) -> Sequence[Doomed]:
    return [Doomed(**row) for row in (await tx.execute(sa.select(doomed))).mappings()]


async def gone(tx: Tx, job_id: str) -> None:
    await tx.execute(doomed.delete().where(doomed.c.job_id == job_id))
