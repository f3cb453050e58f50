"""What has been kept for long enough: photos of ended jobs, drafts that nobody goes on with."""

import json
from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from storage.database import Tx
from storage.job import FINAL
from storage.job_store import values
from storage.schema import chat_log, conversations, jobs, looks

MANY = 200


@dataclass(frozen=True, slots=True)
class StaleDraft:
    chat: str
    text: str
    version: int


@dataclass(frozen=True, slots=True)
class SpentPhotos:
    """``keys`` are the photos' sha256 of ended jobs ``job_ids`` that nobody else names."""

    job_ids: tuple[str, ...]
    keys: tuple[str, ...]


async def stale_drafts(tx: Tx, *, before: float) -> list[StaleDraft]:
    """Drafts that nothing happened in since then, the longest untouched first."""
    quiet = sa.select(conversations).where(
        conversations.c.updated_at < before, conversations.c.text.not_like('%"state": "idle"%')
    )
    found = await tx.execute(quiet.order_by(conversations.c.updated_at).limit(MANY))
    return [StaleDraft(row.chat, row.text, row.version) for row in found]


async def end_draft(tx: Tx, draft: StaleDraft, text: str, *, now: float) -> bool:
    """Only if nothing has happened since it was read."""
    still = sa.and_(conversations.c.chat == draft.chat, conversations.c.version == draft.version)
    changed = conversations.update().where(still)
    done = await tx.execute(changed.values(text=text, updated_at=now, version=draft.version + 1))
    return done.rowcount == 1


async def spent_photos(tx: Tx, *, before: float) -> SpentPhotos:
    """Of jobs that ended before then and still have their photos."""
    ended = sa.and_(
        jobs.c.state.in_(values(FINAL)),
        jobs.c.finished_at < before,
        jobs.c.photos_gone.is_(False),
    )
    found = await tx.execute(sa.select(jobs.c.id, jobs.c.photos).where(ended).limit(MANY))
    rows = [(str(row.id), keys_in(row.photos)) for row in found]
    ids = tuple(name for name, _ in rows)
    keys = sorted({key for _, some in rows for key in some})
    return SpentPhotos(ids, tuple(await free_of(tx, keys, ids)))


async def free_of(tx: Tx, keys: Collection[str], job_ids: Collection[str]) -> list[str]:
    """Those photos that no draft names, and no job but these, or one whose photos are gone."""
    free = []
    for key in keys:
        drafts = sa.select(conversations.c.chat).where(conversations.c.text.contains(key))
        others = sa.select(jobs.c.id).where(
            jobs.c.photos.contains(key),
            jobs.c.id.not_in(list(job_ids)),
            jobs.c.photos_gone.is_(False),
        )
        named = sa.select(sa.or_(sa.exists(drafts), sa.exists(others)))
        if not (await tx.execute(named)).scalar_one():
            free.append(key)
    return free


async def photos_gone(tx: Tx, job_ids: Collection[str]) -> None:
    gone = jobs.update().where(jobs.c.id.in_(list(job_ids)))
    await tx.execute(gone.values(photos_gone=True))


async def forget_looks(tx: Tx, keys: Collection[str]) -> None:
    """What was seen on them, faces above all."""
    await tx.execute(looks.delete().where(looks.c.sha256.in_(list(keys))))


async def strays(tx: Tx, keys: Collection[str]) -> list[str]:
    """Photos on the disk that no row knows: every one that is wanted has its look."""
    wanted = sorted(keys)
    known: set[str] = set()
    for start in range(0, len(wanted), MANY):
        some = wanted[start : start + MANY]
        found = await tx.execute(sa.select(looks.c.sha256).where(looks.c.sha256.in_(some)))
        known.update(row.sha256 for row in found)
    return await free_of(tx, [key for key in wanted if key not in known], ())


async def forget_chat_log(tx: Tx, *, before: float) -> int:
    return (await tx.execute(chat_log.delete().where(chat_log.c.put_at < before))).rowcount


def keys_in(photos: str) -> tuple[str, ...]:
    """The sha256 of a job's photos, out of the row's JSON."""
    return tuple(str(one["sha256"]) for one in json.loads(photos))
