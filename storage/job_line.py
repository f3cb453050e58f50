"""The line of waiting jobs: priority first, then whoever has fewest jobs running, then age.

Whatever the length of the line, only its ends are looked at. Few people have jobs running: the
first job of everybody else stands at the front of an index, and each of the busy few has a first
job of their own. Merged, that is the order.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from storage.database import Tx
from storage.job import SPEC
from storage.schema import PUBLISHED, QUEUED, RUNS, jobs

ORDER = (jobs.c.priority.desc(), jobs.c.created_at, jobs.c.id)
TOGETHER = 50  # people in one statement
COLUMNS = (jobs.c.id, jobs.c.priority, jobs.c.created_at)
KNOWN = jobs.c.spec <= sa.bindparam("spec")
ABLE = jobs.c.base_model.in_(sa.bindparam("bases", expanding=True))
Some = sa.CompoundSelect[tuple[Any, ...]]
BUSY = sa.select(jobs.c.person).where(RUNS)

# Made once: to make a statement costs more than to run it.
_BUSY = sa.select(jobs.c.person, sa.func.count().label("running")).where(RUNS)
_BUSY = _BUSY.group_by(jobs.c.person)
_highest = sa.select(jobs.c.priority).where(QUEUED).order_by(*ORDER).limit(1).scalar_subquery()
_FREE = sa.select(*COLUMNS, _highest.label("highest")).where(
    QUEUED, jobs.c.person.not_in(BUSY), KNOWN
)
_FREE = _FREE.order_by(*ORDER).limit(sa.bindparam("most"))
_FREE_ABLE = _FREE.where(ABLE)
_PUBLISHED = sa.select(jobs.c.id).where(PUBLISHED, KNOWN).order_by(jobs.c.id)
_PUBLISHED = _PUBLISHED.limit(sa.bindparam("most"))
_OF_PERSON = sa.select(jobs.c.id).where(QUEUED, jobs.c.person == sa.bindparam("person"))
_OF_PERSON = _OF_PERSON.order_by(*ORDER).limit(sa.bindparam("most"))
_FRONT = sa.select(*COLUMNS).where(QUEUED).order_by(*ORDER).limit(sa.bindparam("most"))
_LEVEL = sa.bindparam("level", type_=sa.Integer)
_AT = sa.bindparam("at", type_=sa.Float)
_ID = sa.bindparam("id", type_=sa.String)
# Each a range of the index, which one comparison of all three would not be: they go up and down.
_BEHIND = (
    (jobs.c.priority == _LEVEL, jobs.c.created_at == _AT, jobs.c.id > _ID),
    (jobs.c.priority == _LEVEL, jobs.c.created_at > _AT),
    (jobs.c.priority < _LEVEL,),
)
_EACH = sa.union_all(*(sa.select(_FRONT.where(*one).subquery()) for one in _BEHIND)).subquery()
_AFTER = sa.select(_EACH).order_by(_EACH.c.priority.desc(), _EACH.c.created_at, _EACH.c.id)
_AFTER = _AFTER.limit(sa.bindparam("most"))


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


async def busy(tx: Tx) -> dict[str, int]:
    """How many jobs people have running; whoever has none is not in it."""
    return {row.person: row.running for row in await tx.execute(_BUSY)}


async def first(
    tx: Tx,
    *,
    limit: int,
    bases: Collection[str] | None = None,
    most_running: int = 0,
    running: Mapping[str, int] | None = None,
) -> list[Waits]:
    """The first ``limit`` jobs that a worker of this version with these bases (None: every base)
    may claim, in order. Who has ``most_running`` jobs running has to wait; 0: nobody has to.
    ``running`` is what `busy` says, where that is known already.
    """
    values: dict[str, Any] = {"spec": SPEC, "most": limit}
    if bases is not None:
        values["bases"] = sorted(bases)
    rows = (await tx.execute(_FREE if bases is None else _FREE_ABLE, values)).all()
    found = [Waits(row.id, row.priority, 0, row.created_at) for row in rows]
    if len(found) == limit and found[-1].priority >= rows[0].highest:
        return found  # nobody else can come before these
    running = await busy(tx) if running is None else running
    eligible = [one for one, count in running.items() if not most_running or count < most_running]
    for some in _batches(eligible, TOGETHER):
        people = {f"person_{number}": person for number, person in enumerate(some)}
        of_people = _first_of(len(some), bases is not None)
        found += [
            Waits(row.id, row.priority, running[row.person], row.created_at)
            for row in await tx.execute(of_people, values | people)
        ]
    return sorted(found, key=lambda one: one.key)[:limit]


@lru_cache(maxsize=2 * TOGETHER)
def _first_of(people: int, with_bases: bool) -> Some:  # noqa: FBT001
    """The first few of each of so many people."""
    which = (QUEUED, KNOWN, ABLE) if with_bases else (QUEUED, KNOWN)
    each = sa.select(*COLUMNS, jobs.c.person).where(*which).order_by(*ORDER)
    each = each.limit(sa.bindparam("most"))
    theirs = (each.where(jobs.c.person == sa.bindparam(f"person_{n}")) for n in range(people))
    return sa.union_all(*(sa.select(one.subquery()) for one in theirs))


def _batches(people: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    return (people[start : start + most] for start in range(0, len(people), most))


async def published(tx: Tx, *, limit: int) -> list[str]:
    """Jobs that only need their copy, which every worker can do, the longest waiting first."""
    found = await tx.execute(_PUBLISHED, {"spec": SPEC, "most": limit})
    return [str(row.id) for row in found]


async def of_person(tx: Tx, person: str, *, limit: int = 10) -> list[str]:
    """Those of this person that wait, the first ones first."""
    found = await tx.execute(_OF_PERSON, {"person": person, "most": limit})
    return [str(row.id) for row in found]


async def after(tx: Tx, one: Waits | None, *, limit: int) -> list[Waits]:
    """The next ``limit`` in the order of their priority and age alone; None: from the front."""
    if one is None:
        rows = (await tx.execute(_FRONT, {"most": limit})).all()
    else:
        values = {"level": one.priority, "at": one.created_at, "id": one.id, "most": limit}
        rows = (await tx.execute(_AFTER, values)).all()
    return [Waits(row.id, row.priority, 0, row.created_at) for row in rows]
