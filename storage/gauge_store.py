"""The service as it is at this moment, in numbers, for /metrics. Nothing here writes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from storage import clock, meter_store
from storage.database import Tx
from storage.job import RUNNING, JobState
from storage.job_row import progress_of
from storage.job_store import values
from storage.meter_store import Meter
from storage.roster import Card
from storage.schema import DELIVERING, DONE, QUEUED, RUNS, jobs, workers

BY_BASE = {JobState.QUEUED: QUEUED, JobState.DELIVERING: DELIVERING, JobState.DONE: DONE}
INDEXED = RUNNING | BY_BASE.keys()
FORGOTTEN_S = 24 * 3600.0  # a worker that was not heard of for so long was taken away


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSeen:
    """``age_s`` is the time since its last sign of life."""

    name: str
    host: str
    age_s: float
    cards: tuple[Card, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """``jobs`` by state and base; ``steps_per_s`` by base, all running trainings together."""

    jobs: dict[tuple[str, str], int] = field(default_factory=dict)
    oldest_s: float = 0.0
    steps_per_s: dict[str, float] = field(default_factory=dict)
    workers: tuple[WorkerSeen, ...] = ()
    meters: tuple[Meter, ...] = ()


async def read(tx: Tx, unindexed: Mapping[tuple[str, str], int]) -> Gauges:
    """``unindexed`` are the counts of `count_unindexed`, which may be a minute old."""
    now = await clock.now(tx)
    return Gauges(
        jobs=dict(unindexed) | await _jobs(tx),
        oldest_s=await _oldest(tx, now),
        steps_per_s=await _speeds(tx),
        workers=tuple(await seen(tx)),
        meters=tuple(await meter_store.all_of(tx)),
    )


async def count_unindexed(tx: Tx) -> dict[tuple[str, str], int]:
    """Jobs that failed and the like, by state and base. It reads every row: not for each scrape."""
    others = sa.select(jobs.c.state, jobs.c.base_model, sa.func.count())
    others = others.where(jobs.c.state.in_(values(frozenset(JobState) - INDEXED)))
    found = await tx.execute(others.group_by(jobs.c.state, jobs.c.base_model))
    return {(state, base): int(count) for state, base, count in found}


async def seen(tx: Tx) -> list[WorkerSeen]:
    """Every worker of the last day, also one that is silent by now."""
    now = await clock.now(tx)
    lately = sa.select(workers).where(workers.c.seen_at > now - FORGOTTEN_S)
    return [
        WorkerSeen(
            name=row.name,
            host=row.host,
            age_s=max(0.0, now - row.seen_at),
            cards=tuple(Card(**card) for card in json.loads(row.cards)),
        )
        for row in await tx.execute(lately.order_by(workers.c.name))
    ]


async def _jobs(tx: Tx) -> dict[tuple[str, str], int]:
    """States with an index of their own. SQLite takes one only where its very condition stands in
    the statement, and reads no rows only where nothing else than its columns is asked for.
    """
    found: dict[tuple[str, str], int] = {}
    for state, condition in BY_BASE.items():
        counted = sa.select(jobs.c.base_model, sa.func.count()).where(condition)
        for base, count in await tx.execute(counted.group_by(jobs.c.base_model)):
            found[state.value, base] = int(count)
    running = sa.select(jobs.c.state, jobs.c.base_model, sa.func.count()).where(RUNS)
    for name, base, count in await tx.execute(running.group_by(jobs.c.state, jobs.c.base_model)):
        found[name, base] = int(count)
    return found


async def _oldest(tx: Tx, now: float) -> float:
    """How long the one that has waited longest waits; 0 when nobody does."""
    oldest = sa.select(sa.func.min(jobs.c.created_at)).where(QUEUED)
    first = (await tx.execute(oldest)).scalar()
    return 0.0 if first is None else max(0.0, now - float(first))


async def _speeds(tx: Tx) -> dict[str, float]:
    found: dict[str, float] = {}
    for row in await tx.execute(sa.select(jobs.c.base_model, jobs.c.progress).where(RUNS)):
        progress = progress_of(row.progress)
        if progress is not None and progress.steps_per_s:
            found[row.base_model] = found.get(row.base_model, 0.0) + progress.steps_per_s
    return found
