"""Smaller twins of finished files: the chat side asks for one of at most so many bytes, a worker
claims the wish and answers it. What is asked twice is made once.
"""

import json
from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import Tx
from storage.schema import twins
from storage.shelf import Twin

MOST_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """``ended`` without a twin: none can be made that small."""

    asked_at: float
    ended: bool
    twin: Twin | None = None


async def ask(tx: Tx, job_id: str, max_bytes: int, *, now: float) -> None:
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    wish = dialect.insert(twins).values(
        job_id=job_id, max_bytes=max_bytes, asked_at=now, held_until=0.0, tries=0
    )
    await tx.execute(wish.on_conflict_do_nothing())


async def get(tx: Tx, job_id: str, max_bytes: int) -> Wish | None:
    asked = sa.select(twins).where(twins.c.job_id == job_id, twins.c.max_bytes == max_bytes)
    row = (await tx.execute(asked)).first()
    if row is None:
        return None
    return Wish(
        asked_at=row.asked_at,
        ended=row.made_at is not None or row.tries > MOST_TRIES,
        twin=Twin(**json.loads(row.twin)) if row.twin else None,
    )


async def anybody_waits(tx: Tx, *, now: float) -> bool:
    """A look before the claim: reading holds up nobody."""
    waiting = sa.select(twins.c.job_id).where(*_waiting(now)).limit(1)
    return (await tx.execute(waiting)).first() is not None


def _waiting(now: float) -> tuple[sa.ColumnElement[bool], ...]:
    return twins.c.made_at.is_(None), twins.c.held_until < now, twins.c.tries <= MOST_TRIES


async def claim(tx: Tx, *, now: float, hold_s: float) -> tuple[str, int] | None:
    """The oldest wish: job and bytes. Nobody else gets it for ``hold_s`` seconds."""
    waiting = (
        sa.select(twins.c.job_id, twins.c.max_bytes)
        .where(*_waiting(now))
        .order_by(twins.c.asked_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    row = (await tx.execute(waiting)).first()
    if row is None:
        return None
    held = twins.update().where(twins.c.job_id == row.job_id, twins.c.max_bytes == row.max_bytes)
    await tx.execute(held.values(held_until=now + hold_s, tries=twins.c.tries + 1))
    return str(row.job_id), int(row.max_bytes)


async def answer(tx: Tx, job_id: str, max_bytes: int, twin: Twin | None, *, now: float) -> bool:
    """False: nobody wants it any more, because the model was deleted meanwhile."""
    asked = twins.update().where(twins.c.job_id == job_id, twins.c.max_bytes == max_bytes)
    text = json.dumps(asdict(twin)) if twin else None
    return (await tx.execute(asked.values(made_at=now, twin=text))).rowcount == 1


async def forget(tx: Tx, job_id: str) -> None:
    await tx.execute(twins.delete().where(twins.c.job_id == job_id))
