"""Which workers are alive, and with which cards: each says so every few seconds."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage import job_lists
from storage.database import Tx
from storage.roster import Card, Computer
from storage.schema import workers

# Labels beside the ids of base models, which have no colon: what a worker sees on photos.
SEES_FACES = "sees:faces"
SEES_TAGS = "sees:tags"
TIGHT = "tight:"  # before the id of a base that is there, but too large for the card
KNOWS = "spec:"  # before the newest kind of job that it knows
_ALIVE = sa.select(workers.c.labels).where(workers.c.seen_at > sa.bindparam("since"))


async def beat(
    tx: Tx,
    name: str,
    host: str,
    labels: list[str],
    *,
    now: float,
    cards: Sequence[Card] = (),
) -> None:
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    known = json.dumps([asdict(card) for card in cards])
    row = {"host": host, "labels": json.dumps(labels), "seen_at": now, "cards": known}
    first = dialect.insert(workers).values(name=name, **row)
    await tx.execute(first.on_conflict_do_update(index_elements=["name"], set_=row))


async def gone(tx: Tx, name: str) -> None:
    await tx.execute(workers.delete().where(workers.c.name == name))


async def online(tx: Tx, *, now: float, within_s: float = 15) -> int:
    return (await present(tx, now=now, within_s=within_s))[0]


async def labels(tx: Tx, *, now: float, within_s: float = 15) -> frozenset[str]:
    """All that the living workers say they can do."""
    return (await present(tx, now=now, within_s=within_s))[1]


async def present(tx: Tx, *, now: float, within_s: float = 15) -> tuple[int, frozenset[str]]:
    """How many workers live, and all that they say they can do."""
    rows = (await tx.execute(_ALIVE, {"since": now - within_s})).all()
    return len(rows), frozenset(label for row in rows for label in json.loads(row.labels))


def trainable(labels: Collection[str]) -> frozenset[str]:
    """Base models that some worker with one of these labels can train, or at least try to."""
    ids = (one.removeprefix(TIGHT) for one in labels)
    return frozenset(one for one in ids if ":" not in one)


async def computers(tx: Tx, *, now: float, within_s: float = 15) -> list[Computer]:
    """The living ones, with their cards and what they work on."""
    alive = sa.select(workers).where(workers.c.seen_at > now - within_s).order_by(workers.c.name)
    busy = await job_lists.running_by_owner(tx)
    return [
        Computer(
            host=row.host,
            cards=tuple(Card(**card) for card in json.loads(row.cards)),
            job=busy[row.name].code if row.name in busy else "",
        )
        for row in (await tx.execute(alive)).all()
    ]
