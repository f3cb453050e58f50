"""What is kept of one person, counted."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from storage.database import Tx
from storage.job import Job, Photo
from storage.job_store import many
from storage.schema import jobs


@dataclass(frozen=True, slots=True)
class Kept:
    """``photos`` by sha256, each once; ``jobs`` are all of this person's, oldest first."""

    photos: dict[str, Photo]
    jobs: tuple[Job, ...]
    with_photos: frozenset[str]


async def of_person(tx: Tx, person: str, drafted: Collection[Photo] = ()) -> Kept:
    """``drafted`` are the photos of their open draft."""
    theirs = sa.select(jobs).where(jobs.c.person == person).order_by(jobs.c.id)
    found = await many(tx, theirs)
    here = sa.select(jobs.c.id).where(jobs.c.person == person, jobs.c.photos_gone.is_(False))
    with_photos = frozenset(str(row.id) for row in await tx.execute(here))
    photos = {one.sha256: one for one in drafted}
    for job in found:
        if job.id in with_photos:
            photos |= {one.sha256: one for one in job.photos}
    return Kept(photos, tuple(found), with_photos)
