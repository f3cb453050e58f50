"""The line of waiting jobs, on both databases: the same order by every way of asking."""

import random
from dataclasses import dataclass, replace

import pytest

from storage import host, job_line, job_lists, job_store, line_parts
from storage.database import Database
from storage.job import RUNNING, Artifact, Job, JobState
from storage.job_row import to_row
from storage.schema import jobs
from tests.jobs import PARAMS, make_job
from trainer.params import TrainParams

ON_BOTH = True
OWNER = host.this_process()


@dataclass(frozen=True)
class Made:
    waiting: list[Job]
    running: list[Job]

    @property
    def order(self) -> list[str]:
        """By the rule, job after job: priority, jobs of the person that run, age."""
        counts: dict[str, int] = {}
        for job in self.running:
            counts[job.person] = counts.get(job.person, 0) + 1
        ranked = sorted(
            self.waiting,
            key=lambda job: (-job.priority, counts.get(job.person, 0), job.created_at, job.id),
        )
        return [job.id for job in ranked]


async def fill(database: Database, dice: random.Random, count: int) -> Made:
    """Few people, few priorities and few times, so that everything is equal now and then."""
    made = [
        make_job(
            person=f"tg:{dice.randrange(6)}",
            priority=dice.choice((0, 0, 0, 1, 5)),
            created_at=100.0 * dice.randrange(12),
            state=dice.choice((*[JobState.QUEUED] * 6, JobState.TRAINING, JobState.DONE)),
        )
        for _ in range(count)
    ]
    async with database.write() as tx:
        await tx.execute(jobs.insert(), [to_row(job) for job in made])
    return Made(
        [job for job in made if job.state is JobState.QUEUED],
        [job for job in made if job.state in RUNNING],
    )


@pytest.mark.parametrize("seed", range(6))
async def test_places_and_lists_follow_the_rule(database: Database, seed: int) -> None:
    made = await fill(database, random.Random(seed), 80)
    async with database.read() as tx:
        found = await line_parts.places(tx, [job.id for job in made.waiting])
        assert sorted(found, key=found.__getitem__) == made.order
        assert sorted(found.values()) == list(range(1, len(made.order) + 1))
        single = [await job_lists.place(tx, job_id) for job_id in made.order[::9]]
        assert single == list(range(1, len(made.order) + 1, 9))
        assert await line_parts.count(tx) == len(made.order)
        for limit in (1, 3, 20, 200):
            first = await job_line.first(tx, limit=limit)
            assert [one.id for one in first] == made.order[:limit]


async def test_claims_follow_the_rule_as_it_is_at_each_of_them(database: Database) -> None:
    made = await fill(database, random.Random(7), 40)
    while made.waiting:
        async with database.write() as tx:
            taken = await job_store.claim(tx, OWNER, lease_s=9, now=1)
        assert taken is not None
        assert taken.id == made.order[0]
        left = [job for job in made.waiting if job.id != taken.id]
        made = Made(left, [*made.running, taken])
    async with database.write() as tx:
        assert await job_store.claim(tx, OWNER, lease_s=9, now=1) is None


async def test_a_worker_is_given_only_what_it_can_do(database: Database) -> None:
    async with database.write() as tx:
        for base in ("xl", "demo"):
            await job_store.add(tx, make_job(params=_on(base)))
        newer = make_job(priority=9)
        await job_store.add(tx, newer)
        await tx.execute(jobs.update().where(jobs.c.id == newer.id).values(spec=99))
    async with database.write() as tx:
        taken = await job_store.claim(tx, OWNER, lease_s=9, now=1, bases={"demo"})
        assert taken is not None
        assert taken.params.base_model == "demo"
        assert await job_store.claim(tx, OWNER, lease_s=9, now=1, bases={"demo"}) is None
        assert await job_store.state_of(tx, newer.id) is JobState.QUEUED


async def test_a_published_job_can_be_copied_by_any_worker(database: Database) -> None:
    made = Artifact(key="k", sha256="s", file_bytes=1, name="n")
    async with database.write() as tx:
        await job_store.add(tx, make_job(params=_on("xl"), artifact=made))
        taken = await job_store.claim(tx, OWNER, lease_s=9, now=1, bases={"demo"})
    assert taken is not None
    assert taken.state is JobState.COPYING


async def test_who_has_as_many_running_as_is_allowed_waits(database: Database) -> None:
    for person in ("tg:1", "tg:1", "tg:1", "tg:2"):
        async with database.write() as tx:
            await job_store.add(tx, make_job(person=person))
    taken = []
    for _ in range(4):
        async with database.write() as tx:
            taken.append(await job_store.claim(tx, OWNER, lease_s=9, now=1, most_running=1))
    assert [job.person for job in taken if job] == ["tg:1", "tg:2"]


async def test_of_a_long_line_only_the_front_is_listed(database: Database) -> None:
    rows = [to_row(make_job(person=f"tg:{n}", created_at=float(n))) for n in range(300)]
    async with database.write() as tx:
        await tx.execute(jobs.insert(), rows)
    async with database.read() as tx:
        line = await job_lists.line(tx)
        assert [job.id for job in line] == [row["id"] for row in rows[: job_lists.SHOWN]]
        assert await line_parts.places(tx, [rows[-1]["id"]]) == {rows[-1]["id"]: 300}


def _on(base: str) -> TrainParams:
    return replace(PARAMS, base_model=base)
