"""What is known of uploads, by sha256. Texts in here are their writers' own business.

The chat side writes the first look; a worker claims what no network has seen yet, and answers.
Whoever deletes a photo deletes its row: the embeddings of faces live nowhere else.
"""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import Tx
from storage.schema import conversations, jobs, looks

MOST_TRIES = 3
HELD = 1e12  # a time that never comes


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """``faces`` and ``described`` are None where no network has looked; ``seen``: none will."""

    look: str
    faces: str | None
    described: str | None
    seen: bool


async def put(tx: Tx, sha256: str, look: str, chat: str, *, now: float, held: bool = False) -> None:
    """A first look, and the wish for a second one, which ``held`` puts off until it is released.
    An upload that was seen before stays seen.
    """
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    row = {"look": look, "chat": chat}
    first = dialect.insert(looks).values(
        sha256=sha256, **row, asked_at=now, tries=0, held_until=HELD if held else 0.0
    )
    await tx.execute(first.on_conflict_do_update(index_elements=["sha256"], set_=row))


async def get(tx: Tx, keys: Collection[str]) -> dict[str, Known]:
    found = await tx.execute(sa.select(looks).where(looks.c.sha256.in_(list(keys))))
    return {
        row.sha256: Known(
            look=row.look,
            faces=row.faces,
            described=row.described,
            seen=row.seen_at is not None or row.tries >= MOST_TRIES,
        )
        for row in found
    }


async def anybody_waits(tx: Tx, *, now: float) -> bool:
    """A look before the claim: reading holds up nobody."""
    waiting = sa.select(looks.c.sha256).where(*_waiting(now)).limit(1)
    return (await tx.execute(waiting)).first() is not None


def _waiting(now: float) -> tuple[sa.ColumnElement[bool], ...]:
    return looks.c.seen_at.is_(None), looks.c.held_until < now, looks.c.tries < MOST_TRIES


async def claim(tx: Tx, *, now: float, hold_s: float) -> str | None:
    """The upload that has waited longest; nobody else gets it for ``hold_s`` seconds."""
    waiting = (
        sa.select(looks.c.sha256)
        .where(*_waiting(now))
        .order_by(looks.c.asked_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    held = (
        looks.update()
        .where(looks.c.sha256 == waiting.scalar_subquery())
        .values(held_until=now + hold_s, tries=looks.c.tries + 1)
        .returning(looks.c.sha256)
    )
    row = (await tx.execute(held)).first()
    return None if row is None else str(row.sha256)


async def answer(
    tx: Tx, sha256: str, *, faces: str | None, described: str | None, now: float
) -> None:
    """What the networks saw; the chat that asked has something new to show."""
    seen = looks.update().where(looks.c.sha256 == sha256).returning(looks.c.chat)
    row = (await tx.execute(seen.values(faces=faces, described=described, seen_at=now))).first()
    if row is not None:
        news = conversations.update().where(conversations.c.chat == row.chat)
        await tx.execute(news.values(version=conversations.c.version + 1))


async def release(tx: Tx, keys: Collection[str]) -> None:
    """Those that were held until their owner agreed may be looked at now."""
    held = looks.update().where(looks.c.sha256.in_(list(keys)), looks.c.held_until >= HELD)
    await tx.execute(held.values(held_until=0.0))


async def look_again(tx: Tx, keys: Collection[str]) -> None:
    """Other networks than those that saw these are in use by now."""
    again = looks.update().where(looks.c.sha256.in_(list(keys)))
    await tx.execute(again.values(seen_at=None, tries=0, held_until=0.0))


async def unused(tx: Tx, keys: Collection[str]) -> list[str]:
    """Those that no draft and no job names any more."""
    found = []
    for key in keys:
        drafts = sa.select(conversations.c.chat).where(conversations.c.text.contains(key))
        orders = sa.select(jobs.c.id).where(
            jobs.c.photos.contains(key), jobs.c.photos_gone.is_(False)
        )
        named = sa.select(sa.exists(drafts).__or__(sa.exists(orders)))
        if not (await tx.execute(named)).scalar_one():
            found.append(key)
    return found


async def delete(tx: Tx, keys: Collection[str]) -> None:
    await tx.execute(looks.delete().where(looks.c.sha256.in_(list(keys))))
