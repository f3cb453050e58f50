"""Announcements: written, shown to their author, then sent as one letter to each person, once."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from storage.database import Tx
from storage.schema import announcements, letters


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """``sent_at`` is None until its author has confirmed it."""

    id: str
    text: str
    made_by: str
    made_at: float
    sent_at: float | None = None


@dataclass(frozen=True, slots=True)
class Letter:
    announcement: str
    person: str
    text: str


async def add(tx: Tx, one: Announcement) -> None:
    row = {"id": one.id, "text": one.text, "made_by": one.made_by, "made_at": one.made_at}
    await tx.execute(announcements.insert().values(row))


async def get(tx: Tx, announcement: str) -> Announcement | None:
    found = await tx.execute(sa.select(announcements).where(announcements.c.id == announcement))
    row = found.mappings().first()
    return None if row is None else Announcement(**row)


async def last_sent(tx: Tx) -> float | None:
    """When the latest one was confirmed."""
    found = (await tx.execute(sa.select(sa.func.max(announcements.c.sent_at)))).scalar()
    return None if found is None else float(found)


async def post(tx: Tx, announcement: str, people: Collection[str], *, now: float) -> bool:
    """Confirmed: from here on each of ``people`` gets it. False: it is sent, or gone, already."""
    unsent = sa.and_(announcements.c.id == announcement, announcements.c.sent_at.is_(None))
    posted = await tx.execute(announcements.update().where(unsent).values(sent_at=now))
    if posted.rowcount != 1:
        return False
    if people:
        rows = [{"announcement": announcement, "person": one} for one in people]
        await tx.execute(sa.insert(letters), rows)
    return True


async def drop(tx: Tx, announcement: str) -> None:
    unsent = sa.and_(announcements.c.id == announcement, announcements.c.sent_at.is_(None))
    await tx.execute(announcements.delete().where(unsent))


def _next(platforms: Collection[str]) -> sa.Select[tuple[str, str, str]]:
    named = (letters.c.person.startswith(f"{name}:", autoescape=True) for name in platforms)
    waiting = (
        sa.select(letters.c.announcement, letters.c.person, announcements.c.text)
        .join(announcements, announcements.c.id == letters.c.announcement)
        .where(letters.c.sent_at.is_(None), sa.or_(sa.false(), *named))
    )
    return waiting.order_by(letters.c.announcement, letters.c.person).limit(1)


async def waits(tx: Tx, platforms: Collection[str]) -> bool:
    """Something is to be sent on these networks."""
    return (await tx.execute(_next(platforms))).first() is not None


async def take(tx: Tx, platforms: Collection[str], *, now: float) -> Letter | None:
    """The next letter for these networks. From here on it counts as sent: a crash may lose one,
    and never makes a second.
    """
    row = (await tx.execute(_next(platforms))).first()
    if row is None:
        return None
    mine = sa.and_(
        letters.c.announcement == row.announcement,
        letters.c.person == row.person,
        letters.c.sent_at.is_(None),
    )
    taken = await tx.execute(letters.update().where(mine).values(sent_at=now))
    sent = Letter(row.announcement, row.person, row.text)
    return sent if taken.rowcount == 1 else None
