"""A pause reaches the chats of all who wait, step by step, and so does its end."""

import time

import pytest

from bot import notifier
from storage import job_store, pause_store
from storage.access import Pause
from storage.database import Database
from tests.bot_api.adapter import Start
from tests.bot_api.people import Person
from tests.conftest import eventually
from tests.jobs import make_job

PAUSED = "Training is paused"


async def wait_in_line(database: Database, person: Person, names: str) -> None:
    async with database.write() as tx:
        for number, name in enumerate(names):
            at = time.time() - 100 + number
            made = make_job(chat=person.name, person=person.name, name=name, created_at=at)
            await job_store.add(tx, made)


async def paused(database: Database, pause: Pause) -> None:
    async with database.write() as tx:
        await pause_store.begin(tx, pause)


def showing(person: Person, words: str) -> int:
    return sum(words in shown.text for shown in person.sees)


async def test_every_chat_of_a_long_line_hears_of_it_in_small_steps(
    bot: Start, ada: Person, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifier, "TOLD_AT_ONCE", 2)
    await wait_in_line(database, ada, "abcde")

    async def five_wait() -> bool:
        return showing(ada, "in the queue, place") == 5

    async def all_told() -> bool:
        return showing(ada, PAUSED) == 5

    async def none_paused() -> bool:
        return showing(ada, PAUSED) == 0

    async with bot():
        await eventually(five_wait)
        await paused(database, Pause(since=time.time(), reason="new card"))
        await eventually(all_told)
        async with database.write() as tx:
            await pause_store.end(tx)
        await eventually(none_paused)
    assert showing(ada, "in the queue, place") == 5


async def test_one_that_ends_by_its_own_time_goes_from_the_chats(
    bot: Start, ada: Person, database: Database
) -> None:
    await wait_in_line(database, ada, "a")

    async def gone() -> bool:
        return showing(ada, PAUSED) == 0

    await paused(database, Pause(since=time.time(), until=time.time() + 3))
    async with bot():
        await ada.reads(PAUSED)
        await eventually(gone)
        async with database.read() as tx:
            assert not await pause_store.to_tell(tx, now=time.time())


async def test_a_bot_that_was_away_tells_it_when_it_is_back(
    bot: Start, ada: Person, database: Database
) -> None:
    await wait_in_line(database, ada, "a")
    async with bot():
        await ada.reads("in the queue, place 1")
    await paused(database, Pause(since=time.time()))
    async with bot():
        await ada.reads(PAUSED)
