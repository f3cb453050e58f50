"""The line of waiting jobs: priority first, then whoever has fewest jobs running, then age.

Whatever the length of the line, only its ends are looked at. Few people have jobs running: the
first job of everybody else stands at the front of an index, and each of the busy few has a first
job of their own. Merged, that is the order.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from storage.database import Tx
from storage.job import SPEC
from storage.schema import PUBLISHED, QUEUED, RUNS, jobs

ORDER = (jobs.c.priority.desc(), jobs.c.created_at, jobs.c.id)
TOGETHER = 50  # people in one statement
BUSY = sa.select(jobs.c.person).where(RUNS)


@dataclass(frozen=True, slots=True)
class Waits:
    """One waiting job and what its place follows from; ``running`` counts its person's others."""

    id: str
    priority: int
    running: int
    created_at: float

    @property
    def key(self) -> tuple[int, int, float, str]:
        return -self.priority, self.running, self.created_at, self.id


def can_do(bases: Collection[str] | None) -> tuple[sa.ColumnElement[bool], ...]:
    """Jobs that a worker of this version with these bases knows how to do; None: every base."""
    known = jobs.c.spec <= SPEC
    return (known,) if bases is None else (known, jobs.c.base_model.in_(sorted(bases)))


async def busy(tx: Tx) -> dict[str, int]:
    """How many jobs people have running; whoever has none is not in it."""
    counted = sa.select(jobs.c.person, sa.func.count().label("running"))
    found = await tx.execute(counted.where(RUNS).group_by(jobs.c.person))
    return {row.person: row.running for row in found}


async def first(
    tx: Tx, *, limit: int, bases: Collection[str] | None = None, most_running: int = 0
) -> list[Waits]:
    """The first ``limit`` jobs that such a worker may claim, in order. Who has ``most_running``
    jobs running has to wait; 0: nobody has to.
    """
    which = can_do(bases)
    columns = (jobs.c.id, jobs.c.priority, jobs.c.created_at)
    free = sa.select(*columns).where(QUEUED, jobs.c.person.not_in(BUSY), *which)
    rows = (await tx.execute(free.order_by(*ORDER).limit(limit))).all()
    found = [Waits(row.id, row.priority, 0, row.created_at) for row in rows]
    highest = await _highest(tx)
    if highest is None or (len(found) == limit and found[-1].priority >= highest):
        return found  # nobody else can come before these
    running = await busy(tx)
    eligible = [one for one, count in running.items() if not most_running or count < most_running]
    for start in range(0, len(eligible), TOGETHER):
        each = [
            sa.select(*columns, jobs.c.person)
            .where(QUEUED, jobs.c.person == person, *which)
            .order_by(*ORDER)
            .limit(limit)
            .subquery()
            for person in eligible[start : start + TOGETHER]
        ]
        rows = (await tx.execute(sa.union_all(*map(sa.select, each)))).all()
        found += [Waits(row.id, row.priority, running[row.person], row.created_at) for row in rows]
    return sorted(found, key=lambda one: one.key)[:limit]


async def _highest(tx: Tx) -> int | None:
    """The highest priority that anybody in the line has; None: the line is empty."""
    found = await tx.execute(sa.select(jobs.c.priority).where(QUEUED).order_by(*ORDER).limit(1))
    return found.scalar()


async def published(tx: Tx, *, limit: int) -> list[str]:
    """Jobs that only need their copy, which every worker can do, the longest waiting first."""
    found = await tx.execute(
        sa.select(jobs.c.id).where(PUBLISHED, *can_do(None)).order_by(jobs.c.id).limit(limit)
    )
    return [str(row.id) for row in found]


async def of_person(tx: Tx, person: str, *, limit: int = 10) -> list[str]:
    """Those of this person that wait, the first ones first."""
    theirs = sa.select(jobs.c.id).where(QUEUED, jobs.c.person == person)
    return [str(row.id) for row in await tx.execute(theirs.order_by(*ORDER).limit(limit))]


async def count(tx: Tx) -> int:
    waiting = sa.select(sa.func.count()).select_from(jobs).where(QUEUED)
    return int((await tx.execute(waiting)).scalar_one())


async def places(tx: Tx, ids: Collection[str]) -> dict[str, int]:
    """The places of these jobs, from 1; those that do not wait have none."""
    if not ids:
        return {}
    columns = (jobs.c.id, jobs.c.person, jobs.c.priority, jobs.c.created_at)
    found = (await tx.execute(sa.select(*columns).where(QUEUED, jobs.c.id.in_(list(ids))))).all()
    running = await busy(tx) if found else {}
    places: dict[str, int] = {}
    before: Waits | None = None
    # Many of one person's stand one behind the other: from one to the next is less to count.
    for row in sorted(found, key=lambda row: (row.person, -row.priority, row.created_at, row.id)):
        one = Waits(row.id, row.priority, running.get(row.person, 0), row.created_at)
        where = {"p": one.priority, "n": one.running, "at": one.created_at, "id": one.id}
        if before is not None and (before.priority, before.running) == (one.priority, one.running):
            where |= {"from_at": before.created_at, "from_id": before.id}
            ahead = places[before.id] + await _counted(tx, BETWEEN, one, where)
        else:
            ahead = await _counted(tx, AHEAD, one, where)
        places[one.id] = ahead + 1
        before = one
    return places


async def _counted(
    tx: Tx, by: tuple[sa.TextClause, sa.TextClause], one: Waits, where: Mapping[str, object]
) -> int:
    counts = by[1 if one.running else 0]
    names = counts._bindparams  # noqa: SLF001  Postgres refuses what a statement does not use
    used = {name: value for name, value in where.items() if name in names}
    return int((await tx.execute(counts, used)).scalar_one())


def _sum(*counts: str) -> sa.TextClause:
    """One number of several counts of waiting jobs; a minus before a condition takes it off."""
    parts = [(one.removeprefix("-"), "-" if one.startswith("-") else "+") for one in counts]
    waiting = f"SELECT count(*) FROM jobs WHERE {QUEUED.text} AND"  # noqa: S608
    said = sa.text("SELECT 0 " + " ".join(f"{sign} ({waiting} {one})" for one, sign in parts))
    types = {"p": sa.Integer, "n": sa.Integer, "at": sa.Float, "from_at": sa.Float}
    return said.bindparams(
        *(
            sa.bindparam(name, type_=types.get(name, sa.String))
            for name in said._bindparams  # noqa: SLF001
        )
    )


# Whoever has jobs running is counted apart: they are few, and an index begins with the person.
_RUNS = f"SELECT person FROM jobs WHERE {RUNS.text}"  # noqa: S608
_BUSY = f"person IN ({_RUNS})"
_EQUAL = f"person IN ({_RUNS} GROUP BY person HAVING count(*) = :n)"
_LATER = f"person IN ({_RUNS} GROUP BY person HAVING count(*) >= :n)"
# Plain ranges of the index are faster than one comparison of pairs. What compares two values alone
# says so: written with the column it led the database along half the line.
_OLDER = ("priority = :p AND created_at < :at", "priority = :p AND created_at = :at AND id < :id")
_NEWER = (
    "priority = :p AND created_at > :from_at AND created_at < :at",
    "priority = :p AND created_at = :from_at AND id > :from_id AND :from_at < :at",
    "priority = :p AND created_at = :at AND id < :id AND :from_at < :at",
    "priority = :p AND created_at = :at AND id < :id AND id > :from_id AND :from_at = :at",
)
# How many come before a job of somebody who has none running, and of somebody who has ``n``.
AHEAD = (
    _sum("priority > :p", *_OLDER, *(f"-{one} AND {_BUSY}" for one in _OLDER)),
    _sum(
        "priority > :p",
        "priority = :p",
        f"-priority = :p AND {_LATER}",
        *(f"{one} AND {_EQUAL}" for one in _OLDER),
    ),
)
# How many come between two that differ in their age alone.
BETWEEN = (
    _sum(*_NEWER, *(f"-{one} AND {_BUSY}" for one in _NEWER)),
    _sum(*(f"{one} AND {_EQUAL}" for one in _NEWER)),
)
