"""What a bot and its people live through, with a worker on the same database."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from bot.events import Choice, Command, Event, Text
from bot.frontend import Incoming, Receive
from bot.screen import parse_data
from lorabot.compose import converse
from pictures.sandbox import Cells
from storage import conversation_store, job_lists, people_store
from storage import database as database_module
from storage.database import Database
from storage.job import JobState
from storage.people_store import Person
from storage.schema import jobs
from storage.settings import Settings
from tests.chatting import ME, YOU, Chat, Open, opener
from tests.conftest import eventually
from tests.drawn import photos
from tests.fakes import FakeFrontend
from tests.integration.test_worker import Place, ended, trainers

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
LOCK = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], isolation_level=None)
other.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
"""


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    settings = Settings(
        data_dir=tmp_path / "data", lora_dir=tmp_path / "loras", lease_s=2.0, consent="never"
    )
    (tmp_path / "loras").mkdir()
    database = await Database.open(settings.database)
    yield Place(settings, database, asyncio.Event())
    await database.close()


@pytest.fixture
def bot(place: Place, cells: Cells) -> Open:
    return opener(place.settings, place.database, FakeFrontend(), cells)


def files_below(folder: Path) -> list[Path]:
    return [one for one in folder.rglob("*") if one.is_file()]


async def how_many(database: Database) -> int:
    async with database.read() as tx:
        return int((await tx.execute(sa.select(sa.func.count()).select_from(jobs))).scalar_one())


@asynccontextmanager
async def locked_elsewhere(path: Path) -> AsyncIterator[None]:
    """Another process writes, and takes its time."""
    other = await asyncio.create_subprocess_exec(
        *(sys.executable, "-S", "-c", LOCK, str(path)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert other.stdout is not None
    try:
        assert await other.stdout.readline() == b"locked\n"
        yield
    finally:
        await other.communicate(b"")


class Heard(FakeFrontend):
    """A network whose updates a test brings by hand, as often as a network would."""

    receive: Receive

    async def run(self, receive: Receive) -> None:
        self.receive = receive
        await asyncio.Event().wait()

    async def bring(self, number: int, event: Event) -> None:
        await self.receive(
            Incoming(
                platform="tg",
                update_id=str(number),
                chat=ME,
                person=Person(id=ME, name="Ada"),
                event=event,
            )
        )

    async def shows(self, words: str) -> None:
        async def look() -> bool:
            return any(words in text for text in self.texts(ME))

        await eventually(look)


@pytest.mark.parametrize(
    "patience_ms",
    [300, pytest.param(30_000, marks=pytest.mark.long, id="half a minute")],
)
async def test_a_database_locked_for_longer_than_a_bot_waits(
    tmp_path: Path, cells: Cells, monkeypatch: pytest.MonkeyPatch, patience_ms: int
) -> None:
    """The whole bot as it is wired: a part of it that ends would end all of it."""
    pragmas = (f"PRAGMA busy_timeout = {patience_ms}", *database_module.PRAGMAS[1:])
    monkeypatch.setattr(database_module, "PRAGMAS", pragmas)
    settings = Settings(data_dir=tmp_path, consent="never")
    database = await Database.open(settings.database)
    network, stop = Heard(), asyncio.Event()
    running = asyncio.create_task(converse(settings, database, [network], cells, stop))

    async def hears() -> bool:
        return hasattr(network, "receive")

    await eventually(hears)
    await network.bring(1, Command("train"))
    await network.shows("What should it learn?")
    async with locked_elsewhere(tmp_path / "lorabot.db"):
        for _ in range(3 if patience_ms < 1000 else 1):
            # Not acknowledged: the network keeps it.
            with pytest.raises(DBAPIError, match="locked"):
                await network.bring(2, Text("person"))
        assert not running.done()
    await network.bring(2, Text("person"))
    await network.shows("short name")
    await network.bring(2, Text("person"))
    await network.bring(3, Text("mochi"))
    await network.shows("trigger word")
    assert not running.done()
    stop.set()
    await running
    await database.close()


async def start_of(chat: Chat) -> Choice:
    """The button that starts the training."""

    async def find() -> str:
        rows = [row for m in chat.network.chats[ME].values() for row in m.buttons]
        found = [button.data for row in rows for button in row if button.label.startswith("🚀")]
        return found[-1] if found else ""

    parts = parse_data(str(await eventually(find)))
    assert parts is not None
    return Choice(*parts)


async def test_start_pressed_twice_is_one_job(bot: Open, place: Place) -> None:
    """At the same moment, and once more when the job is there."""
    async with bot() as chat:
        await chat.draft()
        await chat.send(*photos(8))
        await chat.press("✅ Done")
        start = await start_of(chat)
        await asyncio.gather(chat.do(start), chat.do(start))
        await chat.reads("in the queue")
        await chat.do(start)
    assert await how_many(place.database) == 1


async def test_nothing_of_a_waiting_job_ends_with_time(bot: Open, place: Place) -> None:
    """Forty days in the queue, past every day that the bot counts."""
    async with bot() as chat:
        job = await chat.order()
        now, ago = time.time(), time.time() - 40 * DAY_S
        async with place.database.write() as tx:
            await tx.execute(sa.update(jobs).values(created_at=ago, updated_at=ago))
        for path in files_below(place.settings.data_dir / "blobs"):
            os.utime(path, (ago, ago))
        await chat.bot.dialogue.registrar.janitor.sweep(now)
        waiting = await place.get(job)
        assert (waiting.state, waiting.photos) == (JobState.QUEUED, job.photos)
        kept = {path.name for path in files_below(place.settings.data_dir / "blobs" / "photos")}
        assert {photo.sha256 for photo in job.photos} <= kept


async def test_a_draft_lives_through_a_clock_that_is_set_back(
    bot: Open, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with bot() as chat:
        await chat.draft()
        await chat.send(*photos(4))
        await chat.reads("4 photos")
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() - HOUR_S)
        await chat.bot.dialogue.registrar.janitor.sweep(time.time())
        await chat.send(*photos(4, first=4))
        await chat.reads("8 photos")
        await chat.press("✅ Done")
        await chat.press("🚀")
        await chat.reads("in the queue")
    assert await how_many(place.database) == 1


async def test_who_deletes_everything_while_it_trains_leaves_nothing(
    bot: Open, place: Place
) -> None:
    async with bot() as chat:
        job = await chat.order()
        task = place.work("draw")
        await place.until_step(job)

        async def has_samples() -> bool:
            return (await place.get(job)).samples is not None

        await eventually(has_samples)
        assert trainers()
        await chat.do(Command("delete"))
        await chat.press("Delete everything")
        await chat.press("Yes, delete")
        await chat.reads("everything else that I kept of you")
        assert trainers() == []
        await ended(place, task)
    await nothing_is_left(place)
    # Nor does anything come back with the next start, when others go on.
    async with bot() as chat:
        theirs = await chat.order(YOU, "pudding")
        task = place.work()
        await chat.until_done(theirs)
        await ended(place, task)
        assert not any("mochi" in text for text in chat.network.texts(YOU))
    assert await how_many(place.database) == 1
    assert place.loras == ["pudding.safetensors"]
    async with place.database.read() as tx:
        assert not await job_lists.of_person(tx, ME)


async def nothing_is_left(place: Place) -> None:
    data = place.settings.data_dir
    async with place.database.read() as tx:
        assert not await job_lists.of_person(tx, ME)
        assert not await people_store.get(tx, [ME])
        assert await conversation_store.load(tx, ME) is None
    assert await how_many(place.database) == 0
    assert files_below(data / "blobs") == []
    assert files_below(data / "work") == []
    assert files_below(data / "logs") == []
    assert place.loras == []
