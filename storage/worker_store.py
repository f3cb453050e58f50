"""Which workers are alive: each says so every few seconds."""

import json

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import Tx
from storage.schema import workers

# Labels beside the ids of base models, which have no colon: what a worker sees on photos.
SEES_FACES = "sees:faces"
SEES_TAGS = "sees:tags"


async def beat(tx: Tx, name: str, host: str, labels: list[str], *, now: float) -> None:
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    row = {"host": host, "labels": json.dumps(labels), "seen_at": now}
    first = dialect.insert(workers).values(name=name, **row)
    await tx.execute(first.on_conflict_do_update(index_elements=["name"], set_=row))


async def gone(tx: Tx, name: str) -> None:
    await tx.execute(workers.delete().where(workers.c.name == name))


async def online(tx: Tx, *, now: float, within_s: float = 15) -> int:
    seen = sa.select(sa.func.count()).where(workers.c.seen_at > now - within_s)
    return int((await tx.execute(seen)).scalar_one())


async def labels(tx: Tx, *, now: float, within_s: float = 15) -> frozenset[str]:
    """All that the living workers say they can do."""
    alive = sa.select(workers.c.labels).where(workers.c.seen_at > now - within_s)
    return frozenset(label for row in await tx.execute(alive) for label in json.loads(row.labels))
