"""How many wait, as the database itself notes it: always what counting would find."""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

from storage import (
    host,
    job_line,
    job_order,
    job_release,
    job_store,
    line_parts,
    migrate,
    pause_store,
    rows,
)
from storage import postgres as speech
from storage.access import Pause
from storage.database import Database, Tx
from storage.job import JobState
from storage.job_row import to_row
from storage.schema import QUEUED, jobs
from storage.schema import line_parts as parts
from tests import postgres
from tests.jobs import make_job

ON_BOTH = True
OWNER = host.this_process()


async def counted(tx: Tx) -> dict[tuple[int, int], int]:
    found = await tx.execute(sa.select(jobs.c.priority, jobs.c.created_at).where(QUEUED))
    sums: dict[tuple[int, int], int] = {}
    for priority, at in found:
        key = priority, int(at // line_parts.SLOT_S)
        sums[key] = sums.get(key, 0) + 1
    return sums


async def noted(tx: Tx) -> dict[tuple[int, int], int]:
    each = sa.select(parts.c.priority, parts.c.slot, sa.func.sum(parts.c.waiting))
    found = await tx.execute(each.group_by(parts.c.priority, parts.c.slot))
    return {(priority, slot): int(waiting) for priority, slot, waiting in found if waiting}


async def something(tx: Tx, dice: random.Random) -> None:
    """One of the things that bots and workers do to a job."""
    ids = (await tx.execute(sa.select(jobs.c.id).order_by(jobs.c.id))).scalars().all()
    one = dice.choice([*ids, "nobody"])
    held = await job_store.get(tx, one)
    made = make_job(
        person=f"tg:{dice.randrange(4)}",
        priority=dice.choice((0, 0, 3)),
        created_at=70.0 * dice.randrange(20),
    )
    acts: tuple[Callable[[], Awaitable[object]], ...] = (
        partial(job_store.add, tx, made),
        partial(job_store.claim, tx, OWNER, lease_s=30, now=1),
        partial(job_store.requeue, tx, one, held.fence if held else 0, now=2, counted=True),
        partial(job_store.request_cancel, tx, one, now=3),
        partial(job_release.release_expired, tx, now=99, max_attempts=9),
        partial(job_order.write, tx, {one: dice.randrange(5)}, now=4),
        partial(tx.execute, jobs.delete().where(jobs.c.id == one)),
    )
    await dice.choices(acts, weights=(4, 2, 2, 1, 1, 2, 1))[0]()


@pytest.mark.parametrize("seed", range(3))
async def test_it_follows_whatever_happens_to_jobs(database: Database, seed: int) -> None:
    dice = random.Random(seed)
    async with database.write() as tx:
        for _ in range(12):
            for _ in range(10):
                await something(tx, dice)
            assert await noted(tx) == await counted(tx)
            if dice.random() < 0.5:
                await line_parts.fold(tx)
                assert await noted(tx) == await counted(tx)
        assert await line_parts.count(tx) == sum((await counted(tx)).values())


async def test_what_is_taken_back_was_never_noted(database: Database) -> None:
    async with database.write() as tx:
        await job_store.add(tx, make_job())
        await tx.rollback()
    async with database.read() as tx:
        assert await line_parts.count(tx) == 0


async def test_folding_leaves_one_row_for_each_part(database: Database) -> None:
    made = [make_job(created_at=float(n), priority=n % 2) for n in range(line_parts.MANY + 10)]
    async with database.write() as tx:
        await tx.execute(jobs.insert(), [to_row(job) for job in made])
        await tx.execute(jobs.delete().where(jobs.c.priority == 1))
    async with database.read() as tx:
        assert await line_parts.want_folding(tx)
    async with database.write() as tx:
        await line_parts.fold(tx)
        found = (await tx.execute(sa.select(parts).order_by(parts.c.slot))).all()
        assert not await line_parts.want_folding(tx)
    assert [tuple(row) for row in found] == [(0, 0, 150), (0, 1, 105)]


async def test_several_may_fold_while_others_come(database: Database) -> None:
    async def add() -> None:
        for _ in range(20):
            async with database.write() as tx:
                await job_store.add(tx, make_job())

    async def fold() -> None:
        for _ in range(10):
            await database.retrying(line_parts.fold)

    await asyncio.gather(add(), fold(), add(), fold(), add())
    async with database.read() as tx:
        assert await line_parts.count(tx) == 60


async def test_rows_that_are_carried_elsewhere_are_counted_there(database: Database) -> None:
    made = [to_row(make_job(created_at=400.0 * n)) for n in range(3)]
    async with database.write() as tx:
        await tx.run_sync(rows.load, [json.dumps(["jobs", row]) for row in made])
    async with database.read() as tx:
        assert await noted(tx) == await counted(tx) == {(0, 0): 1, (0, 1): 1, (0, 2): 1}


async def test_a_pause_touches_one_row_however_many_wait(database: Database) -> None:
    made = [make_job(created_at=float(n)) for n in range(300)]
    async with database.write() as tx:
        await tx.execute(jobs.insert(), [to_row(job) for job in made])
    async with database.write() as tx:
        await pause_store.begin(tx, Pause(since=1.0))
    async with database.read() as tx:
        raised = sa.select(sa.func.count()).select_from(jobs).where(jobs.c.version > 1)
        assert (await tx.execute(raised)).scalar() == 0
    async with database.write() as tx:
        assert await pause_store.tell(tx, limit=50, now=2.0) == 50
        assert (await tx.execute(raised)).scalar() == 50


async def test_one_goes_along_the_line_in_steps(database: Database) -> None:
    dice = random.Random(5)
    made = [make_job(priority=dice.randrange(3), created_at=dice.randrange(4)) for _ in range(40)]
    async with database.write() as tx:
        await tx.execute(jobs.insert(), [to_row(job) for job in made])
        await tx.execute(jobs.insert(), [to_row(make_job(state=JobState.DONE))])
    order = sorted(made, key=lambda job: (-job.priority, job.created_at, job.id))
    found: list[str] = []
    async with database.read() as tx:
        those = await job_line.after(tx, None, limit=7)
        while those:
            found += [one.id for one in those]
            those = await job_line.after(tx, those[-1], limit=7)
    assert found == [job.id for job in order]


async def jobs_of_an_older_version(tx: Tx) -> None:
    """Tables as they were, with two jobs that wait and one that does not."""
    await tx.run_sync(migrate.to_version, "0008")
    states = (JobState.QUEUED, JobState.QUEUED, JobState.DONE)
    rows_then = [to_row(make_job(state=state, created_at=400.0)) for state in states]
    await tx.execute(jobs.insert(), rows_then)


async def test_a_line_that_was_there_before_is_counted_by_the_migration(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'old.db'}"
    engine = create_async_engine(url)
    async with engine.begin() as tx:
        await jobs_of_an_older_version(tx)
    await engine.dispose()
    await counts_one_more(url)


async def test_and_so_it_is_on_postgres(postgres_server: postgres.Server) -> None:
    url = await postgres_server.empty()
    writer, readers = speech.engines(url)
    async with writer.begin() as tx:
        await jobs_of_an_older_version(tx)
    await writer.dispose()
    await readers.dispose()
    await counts_one_more(url)


async def counts_one_more(url: str) -> None:
    database = await Database.open(url)
    try:
        async with database.write() as tx:
            assert await noted(tx) == {(0, 1): 2}
            await job_store.add(tx, make_job(created_at=500.0))
            assert await noted(tx) == await counted(tx) == {(0, 1): 3}
    finally:
        await database.close()
