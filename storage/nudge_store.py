"""Small letters that go out once: a draft that waits, a model that is asked about."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import Tx
from storage.job import Job, JobState
from storage.job_store import many
from storage.schema import conversations, jobs, nudges

DRAFT, RATE = "draft", "rate"
MANY = 200


@dataclass(frozen=True, slots=True)
class QuietDraft:
    """A conversation's text, and when something happened in it last."""

    chat: str
    text: str
    updated_at: float


async def first(tx: Tx, what: str, about: str, chat: str, *, now: float) -> bool:
    """Claim this letter for the transaction at hand; False: it went out before."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    row = {"what": what, "about": about, "chat": chat, "sent_at": now, "answer": ""}
    added = await tx.execute(dialect.insert(nudges).values(row).on_conflict_do_nothing())
    return added.rowcount == 1


async def answer(tx: Tx, what: str, about: str, said: str) -> None:
    asked = sa.and_(nudges.c.what == what, nudges.c.about == about)
    await tx.execute(nudges.update().where(asked).values(answer=said))


async def answers(tx: Tx, about: Collection[str]) -> dict[str, str]:
    """What was said of these jobs, by id."""
    said = sa.select(nudges.c.about, nudges.c.answer).where(
        nudges.c.what == RATE, nudges.c.about.in_(list(about)), nudges.c.answer != ""
    )
    return {row.about: row.answer for row in await tx.execute(said)}


async def quiet_drafts(
    tx: Tx, platforms: Collection[str], *, since: float, before: float
) -> list[QuietDraft]:
    """Drafts of these networks that were touched last in between, and not written about since, the
    longest untouched first.
    """
    told = sa.exists().where(
        nudges.c.what == DRAFT,
        nudges.c.chat == conversations.c.chat,
        nudges.c.sent_at >= conversations.c.updated_at,
    )
    named = (conversations.c.chat.startswith(f"{one}:", autoescape=True) for one in platforms)
    quiet = sa.select(conversations).where(
        conversations.c.updated_at >= since,
        conversations.c.updated_at < before,
        conversations.c.text.not_like('%"state": "idle"%'),
        ~told,
        sa.or_(sa.false(), *named),
    )
    found = await tx.execute(quiet.order_by(conversations.c.updated_at).limit(MANY))
    return [QuietDraft(row.chat, row.text, row.updated_at) for row in found]


async def unrated(tx: Tx, platforms: Collection[str], *, since: float, before: float) -> list[Job]:
    """Models that were delivered in between, still there, and not asked about; newest first."""
    asked = sa.select(nudges.c.about).where(nudges.c.what == RATE)
    named = (jobs.c.chat.startswith(f"{one}:", autoescape=True) for one in platforms)
    ready = sa.select(jobs).where(
        jobs.c.state == JobState.DONE.value,
        jobs.c.artifact.is_not(None),
        jobs.c.finished_at >= since,
        jobs.c.finished_at < before,
        jobs.c.id.not_in(asked),
        sa.or_(sa.false(), *named),
    )
    return await many(tx, ready.order_by(jobs.c.finished_at.desc()).limit(MANY))


async def forget(tx: Tx, chats: Collection[str]) -> None:
    await tx.execute(nudges.delete().where(nudges.c.chat.in_(list(chats))))


async def forget_old(tx: Tx, what: str, *, before: float) -> None:
    await tx.execute(nudges.delete().where(nudges.c.what == what, nudges.c.sent_at < before))
