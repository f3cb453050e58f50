"""Admins and strangers on the real Telegram client: codes, requests, races, logs, news."""

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import pytest

from bot import admin
from storage import (
    access_store,
    audit_store,
    job_store,
    pause_store,
    people_store,
    quota_store,
    worker_store,
)
from storage.access import Standing
from storage.database import Database
from storage.job import Job, JobState
from storage.job_store import Owner
from storage.people_store import Person as Known
from tests.bot_api import BotApi, Person
from tests.bot_api.adapter import Start, up_to_the_photos
from tests.bot_api.shown import Shown
from tests.conftest import eventually
from tests.jobs import make_job

CLAIM = re.compile(r"claim-[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}")
UNKNOWN = "I didn't get that"


@pytest.fixture
def root(api: BotApi) -> Person:
    return api.person("Root")


async def put(database: Database, person: Person, **changes: Any) -> Job:
    job = make_job(
        **{"chat": person.name, "person": person.name, "created_at": time.time(), **changes}
    )
    async with database.write() as tx:
        await job_store.add(tx, job)
    return job


async def standing(database: Database, person: Person) -> Standing:
    async with database.read() as tx:
        return (await access_store.get(tx, person.name)).standing


async def acts(database: Database) -> list[tuple[str, str, str]]:
    async with database.read() as tx:
        return [(act.who, act.what, act.whom) for act in await audit_store.latest(tx)]


def data_of(person: Person, label: str) -> tuple[Shown, str]:
    """The newest button that reads so."""
    for shown in reversed(person.sees):
        for button in (button for row in shown.rows for button in row):
            if button.text == label and button.data:
                return shown, button.data
    raise AssertionError([shown.labels for shown in person.sees])


async def logged(caplog: pytest.LogCaptureFixture) -> str:
    """The one-time code, as the operator reads it."""

    async def look() -> list[str]:
        return CLAIM.findall(caplog.text)

    found = await eventually(look)
    assert isinstance(found, list)
    (code,) = found
    return str(code)


async def count(person: Person, words: str, times: int) -> None:
    async def look() -> bool:
        return sum(words in shown.text for shown in person.sees) >= times

    await eventually(look)


async def test_the_code_of_the_log_makes_one_admin(
    bot: Start,
    ada: Person,
    root: Person,
    api: BotApi,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with bot():
        code = await logged(caplog)
        await ada.says("/start claim-0000-0000-0000")
        await ada.reads("I turn 8–25 photos")
        await root.says(f"/start {code}")
        await root.reads("You are the admin of this bot now")
        await ada.says(f"/start {code}")
        await count(ada, "I turn 8–25 photos", 2)

        async def menu() -> bool:
            return (root.chat.chat_id, "") in api.methods.own_menus

        await eventually(menu)
    async with database.read() as tx:
        assert await access_store.admins(tx) == {root.name}
    own = {one["command"] for one in api.methods.own_menus[root.chat.chat_id, ""]}
    assert {"train", *(key[1:] for key in admin.HANDLERS if key.startswith("/"))} <= own
    assert "ban" not in {one["command"] for one in api.methods.menus[""]}
    assert await acts(database) == [(root.name, "claim", root.name)]
    caplog.clear()
    async with bot():
        # With an admin there is no code any more; the role has outlived the start.
        assert not CLAIM.search(caplog.text)
        await root.says("/stats")
        await root.reads("The last 30 days")


async def test_two_people_with_the_code_do_not_both_become_admins(
    bot: Start, api: BotApi, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    people = [api.person(f"P{number}") for number in range(6)]
    async with bot():
        code = await logged(caplog)
        await asyncio.gather(*(one.says(f"/start {code}") for one in people))

        async def answered() -> bool:
            return all(one.sees for one in people)

        await eventually(answered)
    async with database.read() as tx:
        assert len(await access_store.admins(tx)) == 1


async def test_a_newcomer_asks_and_is_let_in(
    bot: Start, ada: Person, root: Person, database: Database
) -> None:
    async with bot(root, access="invite"):
        await ada.sends_photos(2)
        await ada.reads("This bot is private. I've asked the owner")
        request = await root.reads("Ada (")
        assert ada.name in request.text
        assert request.labels == ["✅ Allow", "Deny", "⛔ Block"]
        await ada.says("/train")
        await ada.reads("asked the owner already")
        assert len([one for one in root.sees if "would like" in one.text]) == 1
        await root.presses("✅ Allow")
        await ada.reads("you may use the bot")
        await ada.says("/train")
        await ada.reads("What should it learn?")
    assert await standing(database, ada) is Standing.ALLOWED


async def test_of_two_admins_who_decide_at_once_one_does(
    bot: Start, ada: Person, root: Person, api: BotApi, database: Database
) -> None:
    other = api.person("Other")
    async with bot(root, other, access="invite"):
        await ada.says("hello")
        await root.reads("would like to use")
        await other.reads("would like to use")
        root.presses_data(*data_of(root, "✅ Allow"))
        other.presses_data(*data_of(other, "Deny"))

        async def decided() -> list[tuple[str, str, str]]:
            late = [s for one in (root, other) for s in one.sees if "decided already" in s.text]
            return (await acts(database)) if late else []

        await eventually(decided)
    ((by, what, whom),) = await acts(database)
    assert whom == ada.name
    winner = {"allow": (root.name, Standing.ALLOWED), "deny": (other.name, Standing.DENIED)}[what]
    assert (by, await standing(database, ada)) == winner


async def test_an_invite_link_opens_the_door(bot: Start, ada: Person, root: Person) -> None:
    async with bot(root, access="list"):
        await ada.says("/train")
        await ada.reads(ada.name)
        await root.says("/invite")
        shown = await root.reads("https://t.me/")
        code = re.search(r"start=(inv-[0-9A-Z-]+)", shown.text)
        assert code is not None
        await ada.says(f"/start {code[1]}")
        await ada.reads("Your invite is accepted")
        await ada.says("/train")
        await ada.reads("What should it learn?")


async def test_a_ban_ends_jobs_and_answers(
    bot: Start, ada: Person, root: Person, database: Database
) -> None:
    job = await put(database, ada)
    async with bot(root):
        await ada.says("/start")
        await ada.reads("models")
        await root.says(f"/ban {ada.chat.chat_id}")
        await root.reads("1 job of theirs")
        await root.presses("⛔ Ban")
        await root.reads("is shut out")
        await ada.says("/train")
        await ada.reads("closed to you")
        await root.says(f"/unban {ada.name}")
        await ada.reads("you may use the bot")
        await root.says(f"/ban {root.chat.chat_id}")
        await root.reads("is an admin")
    async with database.read() as tx:
        found = await job_store.get(tx, job.id)
    assert found is not None
    assert found.state is JobState.CANCELLED
    assert [what for _, what, _ in await acts(database)] == ["unban", "block"]


async def test_strangers_get_the_answer_of_an_unknown_word(
    bot: Start, ada: Person, root: Person, database: Database
) -> None:
    """Each command, and each button with its data as an admin's own message has it."""
    job = await put(database, root, name="secret")
    forged = [
        *(f"{verb}:{job.id}:first" for verb in admin.HANDLERS if not verb.startswith("/")),
        *(f"{verb}::{root.name}" for verb in ("who", "allow", "deny", "block", "ban", "unban")),
        f"stop:{job.id}:",
        f"stopnow:{job.id}:",
    ]
    names = [key for key in admin.HANDLERS if key.startswith("/")]
    async with bot(root):
        await ada.says("/nosuchcommand")
        unknown = await ada.reads(UNKNOWN)
        for name in names:
            await ada.says(f"{name} {root.name} 5")
        await count(ada, UNKNOWN, 1 + len(names))
        for data in forged:
            ada.presses_data(unknown, data)
        await count(ada, UNKNOWN, 1 + len(names) + len(forged) - 2)
        await count(ada, "This menu is old", 2)
        texts = [shown.text for shown in ada.sees]
    assert {text for text in texts if "menu is old" not in text} == {unknown.text}
    assert await acts(database) == []
    async with database.read() as tx:
        assert await job_store.get(tx, job.id) is not None
        assert (await job_store.get(tx, job.id)).state is JobState.QUEUED  # type: ignore[union-attr]  # it is there
        assert await pause_store.get(tx, now=time.time()) is None


async def test_an_admin_who_is_one_no_more_presses_in_vain(
    bot: Start, ada: Person, root: Person, database: Database
) -> None:
    job = await put(database, ada)
    async with bot(root):
        await root.says("/queue")
        await root.reads("mochi")
        await root.presses(f"{job.code} · mochi")
        await root.reads("Waiting: place 1 of 1")
    async with bot(ada):
        await root.presses("⏫ First")
        await root.reads(UNKNOWN)
    assert await acts(database) == []


async def test_a_pause_is_told_and_outlives_the_bot(
    bot: Start, ada: Person, root: Person, database: Database
) -> None:
    job = await put(database, ada)
    owner = Owner(name="w", host="h", boot_id="b", pid=1)
    async with bot(root):
        await ada.reads("in the queue, place 1")
        await root.says("/pause 30 driver update")
        await root.reads("1 job keeps its place")
        status = await ada.reads("Training is paused until about")
        assert "(“driver update”). I'll keep your place." in status.text
    async with bot(root):
        async with database.write() as tx:
            assert await job_store.claim(tx, owner, lease_s=30, now=time.time()) is None
        await root.says("/resume")
        await root.reads("Trainings begin again")

        async def told() -> bool:
            return not any("paused until" in shown.text for shown in ada.sees)

        await eventually(told)
        async with database.write() as tx:
            taken = await job_store.claim(tx, owner, lease_s=30, now=time.time())
    assert taken is not None
    assert taken.id == job.id


async def test_a_quota_holds_back_and_a_failure_gives_back(
    bot: Start, ada: Person, database: Database
) -> None:
    first = await put(database, ada, name="other")
    async with bot(max_jobs_per_user=1, max_jobs_per_day=3):
        await up_to_the_photos(ada)
        await ada.sends_photos(8)
        await ada.reads("8 photos")
        await ada.presses("✅ Done – use 8")
        await ada.reads("Ready to train")
        await ada.presses("🚀 Start training")
        full = await ada.reads("the limit here is 1 at once")
        assert full.labels == ["Show my queue", "Keep as draft"]
        await ada.presses("Keep as draft")
        await ada.reads("Your draft stays as it is")
        async with database.write() as tx:
            owner = Owner(name="w", host="h", boot_id="b", pid=1)
            taken = await job_store.claim(tx, owner, lease_s=30, now=time.time())
            assert taken is not None
            assert await job_store.enter(
                tx, first.id, taken.fence, JobState.FAILED, now=time.time()
            )
            quota = await quota_store.of_person(tx, ada.name, (1, 3), now=time.time())
        assert (quota.live, quota.today) == (0, 0)
        await ada.presses("🚀 Start training")
        await ada.reads("in the queue, place 1")


async def test_a_log_comes_as_a_file_without_anything_private(
    bot: Start, ada: Person, root: Person, database: Database, tmp_path: Path
) -> None:
    job = await put(database, ada, state=JobState.TRAINING, started_at=time.time())
    logs = tmp_path / "logs"
    logs.mkdir()
    lines = [f"step {number}" for number in range(80)]
    secret = "caption 'Ada at the lake' in /home/ada/mochi/1.png"
    (logs / f"{job.id}.log").write_text("\n".join([*lines, secret]))
    async with database.write() as tx:
        await people_store.remember(tx, Known(id=ada.name, name="Ada"))
    async with bot(root):
        await root.says(f"/log {job.code}")
        shown = await root.reads(f"The log of {job.code}")
        await root.says("/log J-0000")
        await root.reads("don't know this job")
    text = shown.data.decode()
    assert "step 79" in text
    assert "step 40" not in text
    for private in ("Ada", "lake", "/home", "mochi", ada.name):
        assert private not in text
    assert not list((tmp_path / "run" / "letters").iterdir())


async def test_news_reach_people_once_and_only_when_confirmed(
    bot: Start, ada: Person, root: Person, api: BotApi, database: Database
) -> None:
    banned = api.person("Banned")
    async with database.write() as tx:
        for one in (ada, banned):
            known = Known(id=one.name, name="P")
            await people_store.remember(tx, known, now=time.time())
        await access_store.set_standing(
            tx, banned.name, Standing.BANNED, by=root.name, now=time.time()
        )
    async with bot(root):
        await root.says("/announce A new base is here:\nSDXL.")
        await root.reads("2 people would get this")
        assert not ada.sees
        shown, data = data_of(root, "📣 Send to 2")
        root.presses_data(shown, data)
        root.presses_data(shown, data)
        news = await ada.reads("News from the admin")
        assert news.text.endswith("A new base is here:\nSDXL.")
        await root.reads("sent, or thrown away, already")
        await root.says("/announce again")
        await root.reads("again")
        await root.presses("📣 Send to 2")
        await root.reads("The next one can go in")
    assert len(ada.sees) == 1
    assert not banned.sees


async def test_the_cards_of_the_training_computers_are_shown(
    bot: Start, root: Person, database: Database
) -> None:
    async with database.write() as tx:
        await worker_store.beat(tx, "w", "den", ["demo"], now=time.time())
    async with bot(root):
        await root.says("/gpu")
        await root.reads("No graphics card: it trains on the processor.")


async def test_two_admins_move_jobs_and_every_job_keeps_one_place(
    bot: Start, ada: Person, root: Person, api: BotApi, database: Database
) -> None:
    other = api.person("Other")
    jobs = [await put(database, ada, name=f"m{n}", created_at=time.time() + n) for n in range(4)]
    async with bot(root, other):
        for one in (root, other):
            await one.says("/queue")
            await one.reads("4 jobs in the queue")
        seen = {one.name: one.sees[-1] for one in (root, other)}
        for job in jobs[1:]:
            root.presses_data(seen[root.name], f"qmove:{job.id}:up")
            other.presses_data(seen[other.name], f"qmove:{job.id}:first")
        await count(root, "is at place", 3)
        await count(other, "is at place", 3)
    owner = Owner(name="w", host="h", boot_id="b", pid=1)
    async with database.write() as tx:
        taken = [await job_store.claim(tx, owner, lease_s=30, now=time.time()) for _ in range(5)]
    assert sorted(job.id for job in taken if job) == sorted(job.id for job in jobs)
    moves = [what for _, what, _ in await acts(database)]
    assert set(moves) == {"move"}
