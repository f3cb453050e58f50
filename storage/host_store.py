"""Machines on which a bot or a worker runs. A machine is known by its boot: containers of one
machine have names of their own, and the same boot.
"""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import Tx
from storage.schema import hosts


@dataclass(frozen=True, slots=True)
class Seen:
    """``beats`` counts: a machine lives if it grows, whatever its clock says."""

    boot: str
    host: str
    beats: int
    seen_at: float


async def beat(tx: Tx, boot: str, host: str, *, now: float) -> None:
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    first = dialect.insert(hosts).values(boot=boot, host=host, beats=1, seen_at=now)
    again = {"host": host, "beats": hosts.c.beats + 1, "seen_at": now}
    await tx.execute(first.on_conflict_do_update(index_elements=["boot"], set_=again))


async def seen_at(tx: Tx, boot: str) -> float:
    """0 where it never was."""
    found = await tx.execute(sa.select(hosts.c.seen_at).where(hosts.c.boot == boot))
    return float(found.scalar() or 0.0)


async def others(tx: Tx, boot: str) -> list[Seen]:
    found = await tx.execute(sa.select(hosts).where(hosts.c.boot != boot))
    return [Seen(row.boot, row.host, row.beats, row.seen_at) for row in found]


async def forget_others(tx: Tx, boot: str) -> None:
    await tx.execute(hosts.delete().where(hosts.c.boot != boot))
