"""Who of the admins did what to whom, and when. Rows are added, never changed."""

from dataclasses import dataclass

import sqlalchemy as sa

from storage.database import Tx
from storage.schema import audit


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """``who`` and ``whom`` are people's or jobs' ids; ``what`` is a word like "ban"."""

    at: float
    who: str
    what: str
    whom: str = ""
    detail: str = ""


async def add(tx: Tx, act: Act) -> None:
    row = {
        "at": act.at,
        "who": act.who,
        "what": act.what,
        "whom": act.whom,
        "detail": act.detail,
    }
    await tx.execute(audit.insert().values(row))


async def latest(tx: Tx, *, limit: int = 20) -> list[Act]:
    """Newest first."""
    newest = sa.select(audit).order_by(audit.c.seq.desc()).limit(limit)
    return [
        Act(at=row.at, who=row.who, what=row.what, whom=row.whom, detail=row.detail)
        for row in await tx.execute(newest)
    ]
