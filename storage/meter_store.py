"""Counters that outlive every process, for /metrics: what was counted, never of whom.

They are raised in the transaction that makes them true, so that a kill can neither lose nor
double them. A histogram is one counter for each bucket, and one for the sum.
"""

import json
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import Tx
from storage.schema import meters

# Seconds; the last bucket is whatever took longer.
BUCKETS_S = (1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0, 3600.0, 4 * 3600.0, 24 * 3600.0)
SUM, ABOVE = "sum", "+Inf"

QUEUE_SECONDS = "queue_seconds"
STAGE_SECONDS = "stage_seconds"
PHOTOS = "photos"
FAILURES = "failures"
DELIVERIES = "deliveries"
STEPS = "steps"

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Meter:
    name: str
    labels: Labels
    value: float = 1.0

    @property
    def key(self) -> tuple[str, str]:
        return self.name, json.dumps(dict(self.labels), sort_keys=True)


def timed(name: str, labels: Labels, seconds: float) -> tuple[Meter, Meter]:
    """One more in the bucket that ``seconds`` falls into, and in the sum."""
    at = bisect_left(BUCKETS_S, seconds)
    bucket = f"{BUCKETS_S[at]:g}" if at < len(BUCKETS_S) else ABOVE
    return Meter(name, {**labels, "le": bucket}), Meter(name, {**labels, "le": SUM}, seconds)


async def add(tx: Tx, *counted: Meter) -> None:
    """Always in one order: two transactions that raise the same ones must not wait in a circle."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    for name, labels, by in sorted((*one.key, one.value) for one in counted):
        first = dialect.insert(meters).values(name=name, labels=labels, value=by)
        raised = {"value": meters.c.value + by}
        await tx.execute(
            first.on_conflict_do_update(index_elements=["name", "labels"], set_=raised)
        )


async def all_of(tx: Tx) -> list[Meter]:
    found = await tx.execute(sa.select(meters).order_by(meters.c.name, meters.c.labels))
    return [Meter(row.name, json.loads(row.labels), row.value) for row in found]
