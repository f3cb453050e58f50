"""Access, quotas, the pause and announcements in a real database."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import cards
from storage import (
    access_store,
    announcement_store,
    audit_store,
    invite_store,
    job_lists,
    job_order,
    job_store,
    pause_store,
    people_store,
    quota_store,
    roster_store,
    worker_store,
)
from storage.access import Act, Pause, Standing
from storage.announcement_store import Announcement
from storage.database import Database
from storage.job import Failure, Job, JobState
from storage.job_store import Owner
from storage.line import moved, priorities
from storage.people_store import Person
from storage.roster import Card
from tests.jobs import make_job

ON_BOTH = True

NOW = 1_790_000_000.0
HOUR_S = 3600.0
OWNER = Owner(name="w", host="h", boot_id="b", pid=1)


async def put(database: Database, **changes: Any) -> Job:
    job = make_job(**{"created_at": NOW, **changes})
    async with database.write() as tx:
        await job_store.add(tx, job)
    return job


async def claim(database: Database, now: float = NOW, job_id: str | None = None) -> Job | None:
    async with database.write() as tx:
        return await job_store.claim(tx, OWNER, lease_s=30, now=now, job_id=job_id)


async def test_nothing_is_claimed_in_a_pause(database: Database, database_url: str) -> None:
    job = await put(database)
    async with database.write() as tx:
        await pause_store.begin(tx, Pause(since=NOW, until=NOW + HOUR_S, reason="why", by="tg:9"))
    assert await claim(database) is None
    again = await Database.open(database_url)
    try:
        assert await claim(again, NOW + HOUR_S - 1) is None
        async with again.read() as tx:
            found = await pause_store.get(tx, now=NOW)
        assert found == Pause(since=NOW, until=NOW + HOUR_S, reason="why", by="tg:9")
        taken = await claim(again, NOW + HOUR_S + 1)
        assert taken is not None
        assert taken.id == job.id
    finally:
        await again.close()


async def test_a_pause_without_an_end_lasts_until_it_is_ended(database: Database) -> None:
    await put(database)
    async with database.write() as tx:
        await pause_store.begin(tx, Pause(since=NOW))
        await pause_store.begin(tx, Pause(since=NOW + 1))
    assert await claim(database, NOW + 1000 * HOUR_S) is None
    async with database.write() as tx:
        await pause_store.end(tx)
    assert await claim(database) is not None


async def tell(database: Database, limit: int, now: float = NOW) -> int:
    async with database.write() as tx:
        return await pause_store.tell(tx, limit=limit, now=now)


async def versions(database: Database, made: list[Job]) -> list[int]:
    async with database.read() as tx:
        found = [await job_store.get(tx, job.id) for job in made]
    return [job.version for job in found if job]


async def test_who_waits_hears_of_a_pause_step_by_step_from_the_front(database: Database) -> None:
    times = [(0, 3), (5, 4), (0, 2), (0, 2), (5, 1), (1, 9), (0, 9)]
    made = [await put(database, priority=level, created_at=NOW + at) for level, at in times]
    running = await put(database, state=JobState.TRAINING)
    order = sorted(made, key=lambda job: (-job.priority, job.created_at, job.id))
    async with database.write() as tx:
        assert not await pause_store.to_tell(tx, now=NOW)
        await pause_store.begin(tx, Pause(since=NOW))
    for done in (2, 4, 6):
        assert await tell(database, 2) == 2
        told = [2] * done + [1] * (len(made) - done)
        assert await versions(database, order) == told
    async with database.read() as tx:
        assert await pause_store.to_tell(tx, now=NOW)
    assert await tell(database, 2) == 1
    assert await tell(database, 2) == 0
    assert await versions(database, [*order, running]) == [*[2] * len(made), 1]
    async with database.read() as tx:
        assert not await pause_store.to_tell(tx, now=NOW)


async def test_an_end_before_all_have_heard_begins_at_the_front_again(database: Database) -> None:
    made = [await put(database, created_at=NOW + n) for n in range(3)]
    async with database.write() as tx:
        await pause_store.begin(tx, Pause(since=NOW))
    assert await tell(database, 2) == 2
    async with database.write() as tx:
        await pause_store.end(tx)
    assert await tell(database, 9) == 3
    assert await versions(database, made) == [3, 3, 2]


async def test_a_pause_that_ends_by_its_own_time_is_told_too(database: Database) -> None:
    job = await put(database)
    async with database.write() as tx:
        await pause_store.begin(tx, Pause(since=NOW, until=NOW + HOUR_S))
    assert [await tell(database, 9), await tell(database, 9)] == [1, 0]
    async with database.read() as tx:
        assert not await pause_store.to_tell(tx, now=NOW + HOUR_S - 1)
        assert await pause_store.to_tell(tx, now=NOW + HOUR_S + 1)
    assert await tell(database, 9, NOW + HOUR_S + 1) == 1
    assert await versions(database, [job]) == [3]


async def test_what_somebody_at_the_machine_asks_for_by_its_id_runs(database: Database) -> None:
    job = await put(database)
    async with database.write() as tx:
        await pause_store.begin(tx, Pause(since=NOW))
    assert await claim(database, job_id=job.id) is not None


async def test_a_running_job_goes_on_in_a_pause(database: Database) -> None:
    await put(database)
    job = await claim(database)
    assert job is not None
    async with database.write() as tx:
        await pause_store.begin(tx, Pause(since=NOW))
        assert await job_store.renew(tx, job.id, job.fence, lease_s=30, now=NOW + 5) is not None
        entered = await job_store.enter(tx, job.id, job.fence, JobState.TRAINING, now=NOW + 6)
    assert entered


async def test_a_moved_line_is_claimed_in_its_new_order(database: Database) -> None:
    jobs = [await put(database, person=f"tg:{n}", created_at=NOW + n) for n in range(4)]
    async with database.write() as tx:
        line = await job_lists.line(tx)
        after = moved(line, jobs[3].id, "first")
        await job_order.write(tx, priorities(line, after), now=NOW)
        line = await job_lists.line(tx)
        after = moved(line, jobs[0].id, "down")
        await job_order.write(tx, priorities(line, after), now=NOW)
    taken = [await claim(database) for _ in jobs]
    assert [job.id for job in taken if job] == [jobs[n].id for n in (3, 1, 0, 2)]


async def test_a_failed_job_is_given_back(database: Database) -> None:
    job = await put(database, person="tg:1")
    await put(database, person="tg:1", state=JobState.CANCELLED)  # before it had begun
    await put(database, person="tg:1", state=JobState.CANCELLED, started_at=NOW)
    await put(database, person="tg:1", state=JobState.DELIVERING)
    await put(database, person="tg:1", created_at=NOW - 25 * HOUR_S)
    await put(database, person="tg:2")
    async with database.write() as tx:
        before = await quota_store.of_person(tx, "tg:1", (1, 3), now=NOW + 60)
        assert (before.today, before.live) == (3, 2)
        assert before.full_today
        assert before.today_free_s == 24 * HOUR_S - 60
    taken = await claim(database, job_id=job.id)
    assert taken is not None
    async with database.write() as tx:
        failure = Failure(code="fail.internal")
        assert await job_store.enter(
            tx, job.id, taken.fence, JobState.FAILED, now=NOW, failure=failure
        )
        after = await quota_store.of_person(tx, "tg:1", (1, 3), now=NOW + 60)
    assert (after.today, after.live) == (2, 1)
    assert not after.full_today


async def test_a_persons_own_limits_go_before_the_usual_ones(database: Database) -> None:
    async with database.write() as tx:
        await access_store.set_limits(tx, "tg:1", 5, None, by="tg:9", now=NOW)
        quota = await quota_store.of_person(tx, "tg:1", (1, 3), now=NOW)
        assert (quota.at_once, quota.a_day) == (5, 3)
        await access_store.set_standing(tx, "tg:1", Standing.BANNED, by="tg:9", now=NOW)
        member = await access_store.get(tx, "tg:1")
    assert (member.at_once, member.standing, member.changed_by) == (5, Standing.BANNED, "tg:9")


async def test_an_invite_is_good_once_and_for_some_days(database: Database) -> None:
    async with database.write() as tx:
        await invite_store.add(tx, ["inv-AAAA", "inv-BBBB"], by="tg:9", now=NOW)
        assert await invite_store.is_good(tx, "INV-aaaa", now=NOW)
        assert await invite_store.use(tx, "inv-AAAA", "tg:1", now=NOW)
        assert not await invite_store.use(tx, "inv-AAAA", "tg:2", now=NOW)
        assert not await invite_store.is_good(tx, "inv-AAAA", now=NOW)
        assert not await invite_store.is_good(tx, "inv-BBBB", now=NOW + 15 * 24 * HOUR_S)
        assert not await invite_store.is_good(tx, "inv-CCCC", now=NOW)


async def test_everybody_is_listed_askers_first(database: Database) -> None:
    async with database.write() as tx:
        for number in range(5):
            one = Person(id=f"tg:{number}", name=f"P{number}")
            await people_store.remember(tx, one, now=NOW + number)
        await access_store.set_standing(tx, "tg:0", Standing.ASKED, by="tg:0", now=NOW)
        await access_store.set_standing(tx, "tg:77", Standing.ALLOWED, by="tg:4", now=NOW)
        await access_store.make_admin(tx, "tg:4", by="tg:4", now=NOW)
    await put(database, person="tg:3")
    await put(database, person="tg:3", state=JobState.FAILED)
    async with database.read() as tx:
        page = await roster_store.page(tx, 0, 4)
        last = await roster_store.page(tx, 99, 4)
        unknown = await roster_store.profile(tx, "dc:5")
        invited = await roster_store.profile(tx, "tg:77")
        admins = await access_store.admins(tx)
    assert [one.id for one in page.people] == ["tg:0", "tg:4", "tg:3", "tg:2"]
    assert (page.count, last.number, len(last.people)) == (6, 1, 2)
    assert (page.people[2].jobs, page.people[2].live) == (2, 1)
    assert (unknown.seen_at, unknown.jobs) == (0.0, 0)
    assert invited.decided_by == "P4"
    assert admins == {"tg:4"}


async def test_the_service_in_numbers(database: Database) -> None:
    done = {"state": JobState.DONE, "started_at": NOW + 60, "finished_at": NOW + 960}
    for _ in range(3):
        await put(database, **done)
    await put(database, state=JobState.FAILED, started_at=NOW + 60)
    await put(database)
    await put(database, created_at=NOW - 31 * 24 * HOUR_S, **done)
    async with database.write() as tx:
        await people_store.remember(tx, Person(id="tg:1", name="A"), now=NOW)
        await people_store.remember(tx, Person(id="tg:2", name="B"), now=NOW - 8 * 24 * HOUR_S)
        tally = await roster_store.tally(tx, now=NOW + 1000)
    assert (tally.done, tally.failed, tally.waiting) == (3, 1, 1)
    assert tally.success == 0.75
    assert (tally.wait_s, tally.train_s) == (60.0, 900.0)
    assert (tally.people, tally.active) == (2, 1)


async def test_an_announcement_reaches_active_people_once(database: Database) -> None:
    async with database.write() as tx:
        for person, seen_at in (("tg:1", NOW), ("tg:2", NOW), ("dc:3", NOW), ("tg:4", NOW - 1e7)):
            await people_store.remember(tx, Person(id=person, name="P"), now=seen_at)
        await access_store.set_standing(tx, "tg:2", Standing.BANNED, by="tg:9", now=NOW)
        one = Announcement(id="A" * 26, text="hi", made_by="tg:9", made_at=NOW)
        await announcement_store.add(tx, one)
        readers = await roster_store.active(tx, now=NOW, members_only=False)
        assert readers == ["dc:3", "tg:1"]
        assert await roster_store.active(tx, now=NOW, members_only=True) == []
        assert not await announcement_store.waits(tx, ["tg"])
        assert await announcement_store.post(tx, one.id, readers, now=NOW)
        assert not await announcement_store.post(tx, one.id, readers, now=NOW)
        letter = await announcement_store.take(tx, ["tg"], now=NOW)
        assert letter is not None
        assert (letter.person, letter.text) == ("tg:1", "hi")
        assert await announcement_store.take(tx, ["tg"], now=NOW) is None
        assert await announcement_store.waits(tx, ["dc"])
        assert await announcement_store.last_sent(tx) == NOW
        await announcement_store.drop(tx, one.id)
        assert await announcement_store.get(tx, one.id) == replace(one, sent_at=NOW)


async def test_the_audit_log_keeps_the_order(database: Database) -> None:
    acts = [Act(at=NOW, who="tg:9", what=what, whom="tg:1") for what in ("allow", "ban", "unban")]
    async with database.write() as tx:
        for act in acts:
            await audit_store.add(tx, act)
        assert await audit_store.latest(tx, limit=2) == [acts[2], acts[1]]


async def test_whoever_is_forgotten_stays_banned_and_nothing_else(database: Database) -> None:
    async with database.write() as tx:
        await audit_store.add(tx, Act(at=NOW, who="tg:9", what="allow", whom="tg:1"))
        await access_store.set_standing(tx, "tg:1", Standing.ALLOWED, by="tg:9", now=NOW)
        await access_store.set_standing(tx, "tg:2", Standing.BANNED, by="tg:9", now=NOW)
        for person in ("tg:1", "tg:2"):
            await access_store.forget(tx, person)
        assert (await access_store.get(tx, "tg:1")).standing is Standing.UNKNOWN
        assert (await access_store.get(tx, "tg:2")).standing is Standing.BANNED
        (act,) = await audit_store.latest(tx)
    assert (act.who, act.whom) == ("tg:9", "")


async def test_cards_come_with_the_heartbeat(database: Database) -> None:
    now = time.time()
    card = Card(number=0, name="RTX 4070", used_bytes=1, all_bytes=2, celsius=60, busy_percent=9)
    await put(database)
    job = await claim(database, now)
    async with database.write() as tx:
        await worker_store.beat(tx, OWNER.name, "den", ["demo"], now=now, cards=[card])
        await worker_store.beat(tx, "idle", "attic", ["demo"], now=now)
        await worker_store.beat(tx, "gone", "cellar", ["demo"], now=now - 60)
        found = await worker_store.computers(tx, now=now)
    assert job is not None
    assert {one.host: (one.cards, one.job) for one in found} == {
        "attic": ((), ""),
        "den": ((card,), job.code),
    }


@pytest.mark.parametrize(
    ("script", "count"),
    [
        ("echo '0, RTX 4070, 1024, 12282, 67, 98'; echo '1, RTX 3060, 5, 6, 7, 8'", 2),
        ("echo 'no devices were found'; exit 6", 0),
        ("exec sleep 60", 0),
        ("kill -9 $$", 0),
    ],
)
async def test_the_driver_is_asked_as_a_process_and_may_hang(
    script: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cards, "PATIENCE_S", 0.5)
    tool = tmp_path / "driver"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    assert len(cards.read(await cards.Cards(str(tool))._ask())) == count
    assert await cards.Cards(str(tmp_path / "absent"))._ask() == ""
