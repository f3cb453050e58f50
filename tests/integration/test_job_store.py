"""Jobs in a real SQLite file: claims, fences, leases, cancels, and everybody at once."""

import asyncio
import os
import time
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import (
    conversation_store,
    host,
    inbox_store,
    job_lists,
    job_release,
    job_store,
    worker_store,
)
from storage.database import Database
from storage.job import NEXT, RUNNING, Artifact, Failure, Job, JobState
from tests.jobs import make_job
from trainer.run import Phase, Progress

ON_BOTH = True

OWNER = host.this_process()
LEASE_S = 30.0


async def put(database: Database, **changes: object) -> Job:
    job = make_job(**changes)
    async with database.write() as tx:
        await job_store.add(tx, job)
    return job


async def claim(database: Database, now: float = 2000.0) -> Job | None:
    async with database.write() as tx:
        return await job_store.claim(tx, OWNER, lease_s=LEASE_S, now=now)


async def get(database: Database, job_id: str) -> Job:
    async with database.read() as tx:
        job = await job_store.get(tx, job_id)
    assert job is not None
    return job


async def test_a_job_comes_back_from_the_database_as_it_was(database: Database) -> None:
    job = await put(
        database,
        progress=Progress(phase=Phase.TRAINING, step=3, total=9),
        artifact=Artifact(key="k", sha256="s", file_bytes=1, name="n"),
        failure=Failure(code="fail.disk", args={"a": 1}),
    )
    assert await get(database, job.id) == job


async def test_a_claim_raises_the_fence_and_the_version(database: Database) -> None:
    job = await put(database)
    claimed = await claim(database)
    assert claimed is not None
    assert (claimed.state, claimed.fence, claimed.attempts) == (JobState.PREPARING, 1, 1)
    assert claimed.version == job.version + 1
    assert await claim(database) is None


async def test_a_published_job_is_claimed_for_its_copy_alone(database: Database) -> None:
    await put(database, artifact=Artifact(key="k", sha256="s", file_bytes=1, name="n"))
    claimed = await claim(database)
    assert claimed is not None
    assert claimed.state is JobState.COPYING


async def test_an_old_fence_changes_nothing(database: Database) -> None:
    job = await put(database)
    await claim(database)
    async with database.write() as tx:
        assert await job_store.renew(tx, job.id, 0, lease_s=9, now=1) is None
        assert not await job_store.enter(tx, job.id, 0, JobState.TRAINING, now=1)
        assert not await job_store.requeue(tx, job.id, 0, now=1, counted=True)
        made = Artifact(key="k", sha256="s", file_bytes=1, name="n")
        assert not await job_store.save_artifact(tx, job.id, 0, made)
    assert (await get(database, job.id)).state is JobState.PREPARING


async def test_a_state_cannot_be_skipped(database: Database) -> None:
    job = await put(database)
    await claim(database)
    async with database.write() as tx:
        assert not await job_store.enter(tx, job.id, 1, JobState.DELIVERING, now=1)
        assert await job_store.enter(tx, job.id, 1, JobState.TRAINING, now=1)


async def test_the_order_is_priority_then_fairness_then_age(database: Database) -> None:
    first = await put(database, person="web:busy", created_at=1.0)
    assert (await claim(database)) is not None
    busy = await put(database, person="web:busy", created_at=2.0)
    other = await put(database, person="web:other", created_at=3.0)
    urgent = await put(database, person="web:busy", created_at=4.0, priority=1)
    async with database.read() as tx:
        order = [job.id for job in await job_lists.line(tx)]
        places = [await job_lists.place(tx, one) for one in order]
    assert order == [first.id, urgent.id, other.id, busy.id]
    assert places == [None, 1, 2, 3]
    claimed = [await claim(database) for _ in range(3)]
    assert [one.id for one in claimed if one] == order[1:]


async def test_a_silent_worker_gives_the_job_back(database: Database) -> None:
    job = await put(database)
    await claim(database, now=2000.0)
    async with database.write() as tx:
        assert await job_release.release_expired(tx, now=2029.0, max_attempts=3) == []
        assert await job_release.release_expired(tx, now=2031.0, max_attempts=3) == [job.id]
    again = await claim(database)
    assert again is not None
    assert (again.fence, again.attempts) == (2, 2)


async def test_a_job_that_kills_its_workers_ends(database: Database) -> None:
    job = await put(database)
    for _ in range(3):
        await claim(database)
        async with database.write() as tx:
            await job_release.release_expired(tx, now=9999.0, max_attempts=3)
    ended = await get(database, job.id)
    assert ended.state is JobState.FAILED
    assert ended.failure is not None
    assert ended.failure.code == "fail.poison"


async def test_a_deploy_does_not_count_as_an_attempt(database: Database) -> None:
    job = await put(database)
    for _ in range(10):
        claimed = await claim(database)
        assert claimed is not None
        async with database.write() as tx:
            assert await job_store.requeue(tx, job.id, claimed.fence, now=1, counted=False)
    assert (await get(database, job.id)).attempts == 0


async def test_the_leases_of_dead_processes_are_free_at_once(database: Database) -> None:
    mine, theirs = await put(database), await put(database)
    gone = replace(OWNER, pid=2**22 + 1, name="gone")
    async with database.write() as tx:
        await job_store.claim(tx, OWNER, lease_s=LEASE_S, now=1, job_id=mine.id)
        await job_store.claim(tx, gone, lease_s=LEASE_S, now=1, job_id=theirs.id)
        freed = await job_release.release_dead(
            tx, OWNER.host, OWNER.boot_id, host.alive, now=2, max_attempts=3
        )
    assert freed == [theirs.id]


def test_a_pid_that_was_used_again_is_not_the_old_process() -> None:
    assert host.alive(os.getpid(), host.started(os.getpid()))
    assert not host.alive(os.getpid(), host.started(os.getpid()) + 1)


async def test_a_waiting_job_is_cancelled_at_once_and_a_running_one_is_told(
    database: Database,
) -> None:
    job = await put(database)
    async with database.write() as tx:
        assert await job_store.request_cancel(tx, job.id, now=1) is JobState.CANCELLED
        assert await job_store.request_cancel(tx, job.id, now=1) is JobState.CANCELLED
        assert await job_store.request_cancel(tx, "nobody", now=1) is None
    running = await put(database)
    await claim(database)
    async with database.write() as tx:
        assert await job_store.request_cancel(tx, running.id, now=1) is JobState.PREPARING
        renewal = await job_store.renew(tx, running.id, 1, lease_s=9, now=1)
    assert renewal is not None
    assert renewal.cancel_requested


async def test_a_cancel_wins_over_a_dead_worker(database: Database) -> None:
    job = await put(database)
    await claim(database)
    async with database.write() as tx:
        await job_store.request_cancel(tx, job.id, now=1)
        await job_release.release_expired(tx, now=9999.0, max_attempts=3)
    assert (await get(database, job.id)).state is JobState.CANCELLED


async def test_what_a_chat_shows_never_goes_back(database: Database) -> None:
    job = await put(database, version=5)
    async with database.write() as tx:
        assert [one.id for one in await job_lists.unsent(tx, ["web"])] == [job.id]
        assert await job_lists.unsent(tx, ["tg"]) == []
        await job_store.mark_sent(tx, job.id, 5, status_ref="m1")
        await job_store.mark_sent(tx, job.id, 3)
        assert await job_lists.unsent(tx, ["web"]) == []
    assert (await get(database, job.id)).status_ref == "m1"


async def test_twenty_workers_claim_each_job_once(database_url: str) -> None:
    databases = [await Database.open(database_url) for _ in range(20)]
    jobs = [await put(databases[0]) for _ in range(40)]

    async def work(database: Database) -> list[str]:
        found = []
        while (job := await claim(database)) is not None:
            found.append(job.id)
        return found

    taken = Counter(
        job_id for some in await asyncio.gather(*map(work, databases)) for job_id in some
    )
    assert taken == Counter(job.id for job in jobs)
    await asyncio.gather(*(one.close() for one in databases))


async def test_a_transaction_that_is_cancelled_leaves_nothing_behind(database: Database) -> None:
    inside = asyncio.Event()

    async def write_and_wait() -> None:
        async with database.write() as tx:
            await job_store.add(tx, make_job(id="LOST"))
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write_and_wait())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await put(database, id="KEPT")
    async with database.read() as tx:
        assert await job_store.get(tx, "LOST") is None
        assert await job_store.get(tx, "KEPT") is not None


ACTS = st.sampled_from(["claim", "renew", "expire", "cancel", "requeue", *JobState])


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(acts=st.lists(ACTS, max_size=12))
async def test_no_sequence_of_calls_leaves_the_table_of_states(
    database: Database, acts: list[str]
) -> None:
    job = await put(database)
    before = job
    for number, act in enumerate(acts):
        async with database.write() as tx:
            match act:
                case "claim":
                    await job_store.claim(tx, OWNER, lease_s=1, now=number, job_id=job.id)
                case "renew":
                    await job_store.renew(tx, job.id, before.fence, lease_s=1, now=number)
                case "expire":
                    await job_release.release_expired(tx, now=number + 9, max_attempts=3)
                case "cancel":
                    await job_store.request_cancel(tx, job.id, now=number)
                case "requeue":
                    await job_store.requeue(tx, job.id, before.fence, now=number, counted=True)
                case state:
                    await job_store.enter(tx, job.id, before.fence, JobState(state), now=number)
        after = await get(database, job.id)
        assert after.state is before.state or after.state in NEXT[before.state]
        assert after.fence >= before.fence
        assert after.version > before.version or after.state is before.state
        assert (after.state in RUNNING) or (after.finished_at is None) == (
            after.state in (JobState.QUEUED, JobState.DELIVERING)
        )
        before = after


async def test_an_update_has_its_effect_once(database: Database) -> None:
    async with database.write() as tx:
        assert await inbox_store.first_time(tx, "tg", "7", now=1)
        assert not await inbox_store.first_time(tx, "tg", "7", now=1)
        assert await inbox_store.first_time(tx, "web", "7", now=1)


async def test_an_update_that_was_kept_waits_until_it_is_done(database: Database) -> None:
    async with database.write() as tx:
        await inbox_store.keep(tx, "tg", [("9", "{}"), ("10", "{}")], now=1)
        await inbox_store.keep(tx, "tg", [("9", "other")], now=1)
        await inbox_store.done(tx, "tg", "10")
        assert await inbox_store.pending(tx, "tg") == [("9", "{}")]
        assert await inbox_store.last_update_id(tx, "tg") == 10


async def test_a_conversation_counts_its_versions(database: Database) -> None:
    async with database.write() as tx:
        assert await conversation_store.save(tx, "web:me", "a", now=1) == 1
        assert await conversation_store.save(tx, "web:me", "b", now=1) == 2
        await conversation_store.mark_shown(tx, "web:me", 1, "ref")
        assert await conversation_store.unshown(tx, ["web"]) == ["web:me"]
        await conversation_store.mark_shown(tx, "web:me", 2, "ref")
        assert await conversation_store.unshown(tx, ["web"]) == []


async def test_a_worker_that_is_silent_counts_no_more(database: Database) -> None:
    now = time.time()
    async with database.write() as tx:
        await worker_store.beat(tx, "a", "host", ["demo"], now=now - 60)
        await worker_store.beat(tx, "b", "host", ["demo"], now=now)
        assert await worker_store.online(tx, now=now) == 1
