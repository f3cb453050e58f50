"""Codes that let somebody in: one person each, for some days; only their digests are kept."""

from collections.abc import Collection

import sqlalchemy as sa

from storage.access import digest
from storage.database import Tx
from storage.schema import invites

GOOD_S = 14 * 24 * 3600.0


async def add(tx: Tx, codes: Collection[str], *, by: str, now: float) -> None:
    rows = [
        {
            "digest": digest(code),
            "made_by": by,
            "made_at": now,
            "good_until": now + GOOD_S,
            "used_by": "",
        }
        for code in codes
    ]
    await tx.execute(sa.insert(invites), rows)


async def is_good(tx: Tx, code: str, *, now: float) -> bool:
    found = await tx.execute(sa.select(invites.c.digest).where(_good(code, now)))
    return found.first() is not None


async def use(tx: Tx, code: str, person: str, *, now: float) -> bool:
    """Once: False if somebody else was faster, or it is too old."""
    used = invites.update().where(_good(code, now)).values(used_by=person)
    return (await tx.execute(used)).rowcount == 1


def _good(code: str, now: float) -> sa.ColumnElement[bool]:
    ours = invites.c.digest == digest(code)
    return sa.and_(ours, invites.c.used_by == "", invites.c.good_until > now)
