"""Who of the admins did what to whom, and when. Rows are added, never changed."""

from typing import Any

import sqlalchemy as sa

from storage.access import Act
from storage.database import Tx
from storage.schema import audit


async def add(tx: Tx, act: Act) -> None:
    row = {
        "at": act.at,
        "who": act.who,
        "what": act.what,
        "whom": act.whom,
        "detail": act.detail,
    }
    await tx.execute(audit.insert().values(row))


async def page(tx: Tx, number: int, size: int) -> tuple[list[Act], int, int]:
    """Newest first; with the page's true number, from 0, and the count of all."""
    count = int((await tx.execute(sa.select(sa.func.count()).select_from(audit))).scalar_one())
    number = max(0, min(number, (count - 1) // size))
    newest = sa.select(audit).order_by(audit.c.seq.desc()).limit(size).offset(number * size)
    return [_act(row) for row in await tx.execute(newest)], number, count


async def latest(tx: Tx, *, limit: int = 20) -> list[Act]:
    """Newest first."""
    newest = sa.select(audit).order_by(audit.c.seq.desc()).limit(limit)
    return [_act(row) for row in await tx.execute(newest)]


def _act(row: sa.Row[Any]) -> Act:
    return Act(at=row.at, who=row.who, what=row.what, whom=row.whom, detail=row.detail)
