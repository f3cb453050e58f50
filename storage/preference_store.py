"""What people set once and for all."""

from dataclasses import asdict

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import Tx
from storage.preferences import Pings, Preferences
from storage.schema import preferences


async def get(tx: Tx, person: str) -> Preferences:
    found = await tx.execute(sa.select(preferences).where(preferences.c.person == person))
    row = found.first()
    if row is None:
        return Preferences()
    return Preferences(
        base_model=row.base_model,
        quality=row.quality,
        tool=row.tool,
        pings=Pings(row.pings) if row.pings in set(Pings) else Pings.ALL,
        samples=row.samples,
    )


async def put(tx: Tx, person: str, wanted: Preferences) -> None:
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    row = asdict(wanted) | {"pings": wanted.pings.value}
    first = dialect.insert(preferences).values(person=person, **row)
    await tx.execute(first.on_conflict_do_update(index_elements=["person"], set_=row))


async def forget(tx: Tx, person: str) -> None:
    await tx.execute(preferences.delete().where(preferences.c.person == person))
