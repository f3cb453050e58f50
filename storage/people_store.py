"""Who talks to the bot: a name for admins, a language for texts."""

from collections.abc import Collection
from dataclasses import asdict, dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import Tx
from storage.schema import people


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """``id`` is ``platform:id``; ``language`` is what the client says, like ``en`` or ``pt-BR``."""

    id: str
    name: str
    language: str = ""


async def remember(tx: Tx, person: Person) -> None:
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    row = dialect.insert(people).values(asdict(person))
    changes = {"name": person.name, "language": person.language}
    await tx.execute(row.on_conflict_do_update(index_elements=["id"], set_=changes))


async def get(tx: Tx, ids: Collection[str]) -> dict[str, Person]:
    found = await tx.execute(sa.select(people).where(people.c.id.in_(list(ids))))
    return {row.id: Person(id=row.id, name=row.name, language=row.language) for row in found}
