"""Admins and strangers on the local page: nobody is an admin by being there."""

import asyncio
import re
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot import admin
from bot.frontends.web import Site, Web
from bot.links import Links
from lorabot.compose import converse
from pictures.sandbox import Cells
from storage import access_store, audit_store, job_store
from storage.access import Standing
from storage.blob_store import LocalBlobs
from storage.database import Database
from storage.settings import Settings
from tests.conftest import eventually
from tests.drawn import photos
from tests.jobs import make_job
from tests.web_client import WebPerson

CLAIM = re.compile(r"claim-[0-9A-Z-]+")


@dataclass
class Bot:
    address: str
    database: Database
    blobs: LocalBlobs
    code: str


@pytest.fixture
async def bot(
    request: pytest.FixtureRequest,
    database: Database,
    cells: Cells,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> AsyncIterator[Bot]:
    private = getattr(request, "param", "") == "invite"
    settings = Settings(data_dir=tmp_path, access="invite" if private else "open")
    blobs = LocalBlobs(tmp_path / "blobs")
    site = Site(secret="secret", spool=tmp_path / "spool", port=0)
    web = Web(database, blobs, Links("secret", hours=1), site, cells)
    address = web.listen()
    stop = asyncio.Event()
    running = asyncio.create_task(converse(settings, database, [web], cells, stop))
    await web.ready.wait()
    yield Bot(address, database, blobs, CLAIM.findall(caplog.text)[0])
    stop.set()
    await running


async def press(person: WebPerson, data: str) -> None:
    """A button's data, whoever may have been shown it."""
    await person._post("/press", json={"id": uuid.uuid4().hex, "data": data})


async def test_the_demo_asks_for_nothing(bot: Bot) -> None:
    async with WebPerson(bot.address) as person:
        await person.say("/train")
        await person.until(lambda: person.said("What should it learn?"))


async def test_only_the_code_of_the_log_makes_a_visitor_an_admin(bot: Bot) -> None:
    async with WebPerson(bot.address) as operator, WebPerson(bot.address) as visitor:
        await visitor.say("/users")
        await visitor.until(lambda: visitor.said("I didn't get that"))
        await operator.say(f"/start {bot.code}")
        await operator.until(lambda: operator.said("You are the admin"))
        await operator.say("/users")
        await operator.until(lambda: operator.said("2 people"))
        await visitor.say(f"/start {bot.code}")
        await visitor.until(lambda: visitor.said("I turn 8–25 photos"))
    async with bot.database.read() as tx:
        assert await access_store.admins(tx) == {operator.chat}


async def test_a_visitors_forged_buttons_change_nothing(bot: Bot) -> None:
    job = make_job(chat="web:other", person="web:other", created_at=time.time())
    async with bot.database.write() as tx:
        await job_store.add(tx, job)
    verbs = [key for key in admin.HANDLERS if not key.startswith("/")]
    async with WebPerson(bot.address) as visitor:
        for verb in verbs:
            await press(visitor, f"{verb}:{job.id}:web:other")

        def refusals() -> bool:
            said = [one for one in visitor.messages.values() if one["from"] == "bot"]
            return len([one for one in said if "I didn't get that" in one["text"]]) == len(verbs)

        await visitor.until(refusals)
    async with bot.database.read() as tx:
        after = await job_store.get(tx, job.id)
        assert after is not None
        assert (after.state, after.priority, after.version) == (job.state, 0, job.version)
        assert await audit_store.latest(tx) == []


@pytest.mark.parametrize("bot", ["invite"], indirect=True)
async def test_nothing_of_somebody_outside_is_kept(bot: Bot) -> None:
    async with WebPerson(bot.address) as visitor:
        await visitor.until(lambda: visitor.chat)
        await visitor.upload(photos(2))
        await visitor.until(lambda: visitor.said("This bot is private"))
        await visitor.press("I have a code")
        await visitor.until(lambda: visitor.said("inv-ABCD"))
    assert not (bot.blobs.root / "photos").exists()
    async with bot.database.read() as tx:
        assert (await access_store.get(tx, visitor.chat)).standing is Standing.ASKED


async def test_a_log_is_read_in_the_page_and_the_doctor_comes(bot: Bot, tmp_path: Path) -> None:
    job = make_job(chat="web:other", person="web:other", created_at=time.time())
    async with bot.database.write() as tx:
        await job_store.add(tx, job)
    (tmp_path / "logs").mkdir(exist_ok=True)
    (tmp_path / "logs" / f"{job.id}.log").write_text("step 1 of mochi\n")
    async with WebPerson(bot.address) as operator:
        await operator.say(f"/start {bot.code}")
        await operator.until(lambda: operator.said("You are the admin"))
        await operator.say(f"/log {job.code.lower()}")
        shown = await operator.until(lambda: operator.said("The log of"))
        assert "step 1 of …" in shown["text"]
        await operator.say("/doctor")
        found = await operator.until(lambda: operator.said("**database**"))
        # Asked of DATA_DIR, where this test has no database.
        assert "the first start makes it" in found["text"]

    async def noted() -> bool:
        async with bot.database.read() as tx:
            return "log" in [act.what for act in await audit_store.latest(tx)]

    await eventually(noted)


async def test_an_admin_makes_another_and_the_last_one_stays(bot: Bot) -> None:
    async with WebPerson(bot.address) as ada, WebPerson(bot.address) as bob:
        await bob.say("/start")
        await bob.until(lambda: bob.said("Hi"))
        await ada.say(f"/start {bot.code}")
        await ada.until(lambda: ada.said("You are the admin"))
        await ada.say(f"/unadmin {ada.chat}")
        await ada.until(lambda: ada.said("no admin at all"))
        await ada.say(f"/admin {bob.chat}")
        await ada.press("🔑 Make admin")
        await bob.until(lambda: bob.said("You are the admin"))
        await bob.say(f"/unadmin {ada.chat}")
        await ada.until(lambda: ada.said("no admin of this bot any more"))
        await bob.say("/audit")
        told = await bob.until(lambda: bob.said("What admins did"))
        assert [line.split("`")[1] for line in told["text"].splitlines()[1:]] == [
            *("unadmin", "admin", "claim"),
        ]
        await ada.say("/audit")
        await ada.until(lambda: ada.said("I didn't get that"))
    async with bot.database.read() as tx:
        assert await access_store.admins(tx) == {bob.chat}


async def test_two_admins_who_dismiss_each_other_are_not_both_gone(database: Database) -> None:
    async with database.write() as tx:
        for one in ("tg:1", "tg:2"):
            await access_store.make_admin(tx, one, by=one, now=1.0)

    async def dismiss(person: str, by: str) -> bool:
        async with database.write() as tx:
            return await access_store.dismiss_admin(tx, person, others=False, by=by, now=2.0)

    gone = await asyncio.gather(dismiss("tg:1", "tg:2"), dismiss("tg:2", "tg:1"))
    assert sorted(gone) == [False, True]
    async with database.read() as tx:
        assert len(await access_store.admins(tx)) == 1
