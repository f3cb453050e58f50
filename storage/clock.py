"""The time that leases and heartbeats are counted in.

Hosts that share a Postgres may disagree about the time, so there it is the database's. SQLite has
one host, and the time is that host's.
"""

import time

import sqlalchemy as sa

from storage.database import Tx

CLOCK = sa.text("SELECT extract(epoch FROM clock_timestamp())::float8")


async def now(tx: Tx) -> float:
    """Seconds since the epoch, at this moment and not at the transaction's begin."""
    if tx.dialect.name != "postgresql":
        return time.time()
    return float((await tx.execute(CLOCK)).scalar_one())
