"""Who talks to the bot: a name for admins, a language for texts, the time of the last word."""

from collections.abc import Collection
from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import Tx
from storage.schema import people


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """``id`` is ``platform:id``; ``language`` is what the person chose, else what the client says,
    like ``en`` or ``pt-BR``.
    """

    id: str
    name: str
    language: str = ""


async def remember(tx: Tx, person: Person, *, now: float = 0.0) -> None:
    """``now``: this is the person's own word, and not only news about them."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    seen_at = {"seen_at": now} if now else {}
    row = dialect.insert(people).values(asdict(person) | {"seen_at": now})
    # Some updates do not tell the client's language.
    language = {"language": person.language} if person.language else {}
    changes = {"name": person.name, **language, **seen_at}
    await tx.execute(row.on_conflict_do_update(index_elements=["id"], set_=changes))


async def get(tx: Tx, ids: Collection[str]) -> dict[str, Person]:
    found = await tx.execute(sa.select(people).where(people.c.id.in_(list(ids))))
    return {
        row.id: Person(id=row.id, name=row.name, language=row.chosen or row.language)
        for row in found
    }


async def choose_language(tx: Tx, person: str, language: str) -> None:
    """What the client says counts no more; empty: it does again."""
    chosen = people.update().where(people.c.id == person)
    await tx.execute(chosen.values(chosen=language))


async def chosen_language(tx: Tx, person: str) -> str:
    """Empty where nothing was chosen."""
    chosen = sa.select(people.c.chosen).where(people.c.id == person)
    return str((await tx.execute(chosen)).scalar_one_or_none() or "")
