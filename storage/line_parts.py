"""How many wait, by priority and age: so that a place far down the line need not be counted out.

Triggers of the database note each job that comes into the line or leaves it, in the transaction
that moves it: one more row of ``line_parts``, so that nobody waits for anybody else. Now and then
the rows of one part are folded into one. A sum over the rows is right at any time.
"""

from collections.abc import Collection

import sqlalchemy as sa

from storage.database import Tx
from storage.schema import QUEUED, RUNS, line_parts

SLOT_S = 300  # of the time of ordering: as the triggers have it, and thus for ever
MANY = 500  # rows more than parts
# The number of such a slot. To make it an integer rounds in one database, and not in the other.
SLOT = {"sqlite": f"CAST(%s / {SLOT_S} AS INTEGER)", "postgresql": f"floor(%s / {SLOT_S})"}

_PART = (line_parts.c.priority, line_parts.c.slot)
_TOTAL = sa.select(sa.func.coalesce(sa.func.sum(line_parts.c.waiting), 0))
_ROWS = sa.select(sa.func.count()).select_from(line_parts).scalar_subquery()
_PARTS = sa.select(*_PART).distinct().subquery()
_PARTS_COUNT = sa.select(sa.func.count()).select_from(_PARTS).scalar_subquery()


async def count(tx: Tx) -> int:
    """How many wait in all."""
    return int((await tx.execute(_TOTAL)).scalar_one())


async def places(tx: Tx, ids: Collection[str]) -> dict[str, int]:
    """The places of these jobs, from 1; those that do not wait have none."""
    if not ids:
        return {}
    found = await tx.execute(_PLACES[tx.dialect.name], {"ids": list(ids)})
    return {row.id: int(row.place) for row in found}


async def want_folding(tx: Tx) -> bool:
    rows, parts = (await tx.execute(sa.select(_ROWS, _PARTS_COUNT))).one()
    return bool(rows > parts + MANY)


async def fold(tx: Tx) -> None:
    """One row for each part that has several, and none where nobody waits. In one statement they
    are read and go, so that what others add meanwhile stays.
    """
    several = sa.select(*_PART).group_by(*_PART).having(sa.func.count() > 1)
    gone = line_parts.delete().where(sa.tuple_(*_PART).in_(several)).returning(line_parts)
    sums: dict[tuple[int, int], int] = {}
    for priority, slot, waiting in await tx.execute(gone):
        sums[priority, slot] = sums.get((priority, slot), 0) + waiting
    left = [
        {"priority": priority, "slot": slot, "waiting": waiting}
        for (priority, slot), waiting in sums.items()
        if waiting
    ]
    if left:
        await tx.execute(line_parts.insert(), left)


def _places(slot: str) -> sa.TextClause:
    """Few people have jobs running; theirs are counted apart, by an index that begins with the
    person. Who has none comes before them, and who has few before who has many.
    """
    running = f"(SELECT count(*) FROM jobs mine WHERE {RUNS.text} AND mine.person = %s.person)"  # noqa: S608
    parts = "(SELECT coalesce(sum(waiting), 0) FROM line_parts WHERE priority %s)"
    level = f"SELECT count(*) FROM jobs WHERE {QUEUED.text} AND priority = j.priority"  # noqa: S608
    older = f"{level} AND created_at < j.created_at"
    people = f"person IN (SELECT person FROM jobs WHERE {RUNS.text} GROUP BY person"  # noqa: S608
    tied = (
        "SELECT count(*) FROM jobs other "  # noqa: S608
        f"WHERE {QUEUED.text} AND other.priority = j.priority AND other.created_at = j.created_at "
        f"AND other.id < j.id AND {running % 'other'} = j.running"
    )
    free = (
        f"{parts % '= j.priority AND slot < j.slot'} "
        f"+ ({older} AND created_at >= j.slot * {SLOT_S}) - ({older} AND {people}))"
    )
    busy = (
        f"{parts % '= j.priority'} - ({level} AND {people} HAVING count(*) >= j.running)) "
        f"+ ({older} AND {people} HAVING count(*) = j.running))"
    )
    asked = (
        f"SELECT id, priority, created_at, {slot % 'created_at'} AS slot, "  # noqa: S608
        f"{running % 'jobs'} AS running FROM jobs WHERE {QUEUED.text} AND id IN :ids "
        f"LIMIT {1 << 40}"  # which keeps it apart: else both would be worked out again and again
    )
    ahead = f"CASE WHEN j.running = 0 THEN {free} ELSE {busy} END + ({tied})"
    said = f"SELECT j.id, 1 + {parts % '> j.priority'} + {ahead} AS place FROM ({asked}) j"  # noqa: S608
    return sa.text(said).bindparams(sa.bindparam("ids", expanding=True))


_PLACES = {name: _places(slot) for name, slot in SLOT.items()}
