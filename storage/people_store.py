"""Who talks to the bot: a name for admins, a language for texts, the time of the last word."""

from collections.abc import Collection
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from storage.database import Tx
from storage.schema import people

_NAMES = sa.select(people.c.id, people.c.name)
_NAMES = _NAMES.where(people.c.id.in_(sa.bindparam("ids", expanding=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """``id`` is ``platform:id``; ``language`` is what the person chose, else what the client says,
    like ``en`` or ``pt-BR``.
    """

    id: str
    name: str
    language: str = ""


async def remember(tx: Tx, person: Person, *, now: float = 0.0) -> str:
    """``now``: this is the person's own word, and not only news about them. The language to speak
    with them, as in `get`.
    """
    row = asdict(person) | {"seen_at": now}
    known = (await tx.execute(_remember(tx.dialect.name), row)).one()
    return str(known.chosen or known.language)


@cache
def _remember(dialect: str) -> ReturningInsert[tuple[str, str]]:
    """Some updates do not tell the client's language: then it stays as it was."""
    row = (postgresql if dialect == "postgresql" else sqlite).insert(people)
    changes = {
        "name": row.excluded.name,
        "language": _unless(row.excluded.language, "", people.c.language),
        "seen_at": _unless(row.excluded.seen_at, 0.0, people.c.seen_at),
    }
    known = row.on_conflict_do_update(index_elements=["id"], set_=changes)
    found: ReturningInsert[tuple[str, str]] = known.returning(people.c.chosen, people.c.language)
    return found


def _unless(said: Any, nothing: str | float, before: Any) -> sa.Case[Any]:
    return sa.case((said == nothing, before), else_=said)


async def get(tx: Tx, ids: Collection[str]) -> dict[str, Person]:
    found = await tx.execute(sa.select(people).where(people.c.id.in_(list(ids))))
    return {
        row.id: Person(id=row.id, name=row.name, language=row.chosen or row.language)
        for row in found
    }


async def language(tx: Tx, person: str) -> str:
    """The one to speak with them; empty: nobody knows."""
    known = await get(tx, [person])
    return known[person].language if person in known else ""


async def names(tx: Tx, ids: Collection[str]) -> dict[str, str]:
    found = await tx.execute(_NAMES, {"ids": list(ids)}) if ids else ()
    return {row.id: row.name for row in found}


async def choose_language(tx: Tx, person: str, language: str) -> None:
    """What the client says counts no more; empty: it does again."""
    chosen = people.update().where(people.c.id == person)
    await tx.execute(chosen.values(chosen=language))


async def chosen_language(tx: Tx, person: str) -> str:
    """Empty where nothing was chosen."""
    chosen = sa.select(people.c.chosen).where(people.c.id == person)
    return str((await tx.execute(chosen)).scalar_one_or_none() or "")
