"""Everything of one person: what there is, and its end. Nothing here decides, it only obeys."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage import (
    access_store,
    chat_log,
    clock,
    exhibit_store,
    library_store,
    mark_store,
    nudge_store,
    preference_store,
    retention_store,
    twin_store,
)
from storage.database import Tx
from storage.job import RUNNING, JobState
from storage.job_store import many, values
from storage.schema import (
    chat_limits,
    consents,
    conversations,
    inbox,
    jobs,
    leaving,
    looks,
    people,
)


@dataclass(frozen=True, slots=True)
class Leaving:
    """``language`` is what the last word is said in: by then nothing is known of the person."""

    person: str
    chat: str
    language: str


@dataclass(frozen=True, slots=True)
class Erased:
    """What has to go from the disk: photos by sha256, and folders by job or draft."""

    photos: tuple[str, ...]
    job_ids: tuple[str, ...]


async def ask(tx: Tx, person: str, chat: str, *, now: float) -> None:
    """From here on it is certain, whatever dies in between."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    spoken = (
        await tx.execute(sa.select(people.c.language).where(people.c.id == person))
    ).scalar_one_or_none()
    row = {"person": person, "chat": chat, "language": spoken or "", "asked_at": now}
    await tx.execute(dialect.insert(leaving).values(row).on_conflict_do_nothing())


async def asked(tx: Tx) -> list[Leaving]:
    found = await tx.execute(sa.select(leaving).order_by(leaving.c.asked_at))
    return [Leaving(row.person, row.chat, row.language) for row in found]


async def still_running(tx: Tx, person: str) -> list[str]:
    """Their jobs that a worker holds: it has to let go before they can be forgotten."""
    held = sa.select(jobs.c.id).where(
        jobs.c.person == person,
        jobs.c.state.in_(values({*RUNNING, JobState.QUEUED, JobState.HELD})),
    )
    return [str(row.id) for row in await tx.execute(held)]


async def erase(tx: Tx, one: Leaving, drafts: Collection[str], photos: Collection[str]) -> Erased:
    """All rows of this person; ``drafts`` and ``photos`` are those of their open drafts."""
    theirs = await many(tx, sa.select(jobs).where(jobs.c.person == one.person))
    ids = [job.id for job in theirs]
    chats = sorted({one.person, one.chat, *(job.chat for job in theirs)})
    for job in theirs:
        await library_store.doom(tx, job, with_copy=True)
        await twin_store.forget(tx, job.id)
    keys = {photo.sha256 for job in theirs for photo in job.photos} | set(photos)
    await tx.execute(conversations.delete().where(conversations.c.chat.in_(chats)))
    await tx.execute(jobs.delete().where(jobs.c.id.in_(ids)))
    free = await retention_store.free_of(tx, sorted(keys), ids)
    await tx.execute(looks.delete().where(looks.c.sha256.in_(free)))
    await tx.execute(chat_limits.delete().where(chat_limits.c.chat.in_(chats)))
    now = await clock.now(tx)
    for chat in chats:
        await chat_log.begin_anew(tx, chat, now=now)
    await tx.execute(inbox.delete().where(inbox.c.done.is_(True), _about(one.person)))
    await tx.execute(consents.delete().where(consents.c.person == one.person))
    await preference_store.forget(tx, one.person)
    await mark_store.forget(tx, chats)
    await nudge_store.forget(tx, chats)
    await access_store.forget(tx, one.person)
    await exhibit_store.take_down_all(tx, one.person)
    await tx.execute(people.delete().where(people.c.id == one.person))
    await tx.execute(leaving.delete().where(leaving.c.person == one.person))
    return Erased(tuple(free), (*ids, *drafts))


def _about(person: str) -> sa.ColumnElement[bool]:
    """Raw updates that name them; those that are handled have lost their words already."""
    number = person.partition(":")[2]
    return inbox.c.body.contains(number) if number else sa.false()
