"""The small stores: conversations, updates, people, the web chat's messages, workers."""

import sqlalchemy as sa

from storage import (
    chat_log,
    conversation_store,
    inbox_store,
    job_lists,
    job_store,
    people_store,
    worker_store,
)
from storage.database import Database
from storage.people_store import Person
from storage.schema import people
from tests.jobs import make_job

ON_BOTH = True


async def test_a_message_that_changes_keeps_its_place_and_gets_a_new_number(
    database: Database,
) -> None:
    async with database.write() as tx:
        for name in ("a", "b"):
            await chat_log.put(tx, "web:me", name, "1", now=1)
        assert await chat_log.put(tx, "web:me", "a", "2", now=2) == 3
        entries = await chat_log.since(tx, "web:me", 0, 10)
    assert [(one.seq, one.first_seq, one.message_id, one.body) for one in entries] == [
        (2, 2, "b", "1"),
        (3, 1, "a", "2"),
    ]


async def test_a_chat_is_read_on_from_where_it_was(database: Database) -> None:
    async with database.write() as tx:
        for number in range(5):
            await chat_log.put(tx, "web:me", str(number), "x", now=1)
        await chat_log.put(tx, "web:other", "0", "x", now=1)
        found = await chat_log.since(tx, "web:me", 1, 2)
    assert [one.message_id for one in found] == ["1", "2"]


async def test_a_chat_that_begins_anew_counts_on(database: Database) -> None:
    """Whoever still shows the old one asks for what came after it."""
    async with database.write() as tx:
        for name in ("a", "b"):
            await chat_log.put(tx, "web:me", name, "1", now=1)
        await chat_log.put(tx, "web:other", "c", "1", now=1)
        for _ in range(2):
            before = await chat_log.last(tx, "web:me")
            await chat_log.begin_anew(tx, "web:me", now=2)
            assert await chat_log.put(tx, "web:me", "last", "word", now=3) == before + 2
            entries = await chat_log.since(tx, "web:me", before, 10)
            assert [(one.seq, one.body) for one in entries] == [
                (before + 1, ""),
                (before + 2, "word"),
            ]
            assert await chat_log.since(tx, "web:me", 0, 10) == entries
        await chat_log.begin_anew(tx, "web:nobody", now=2)
        assert await chat_log.last(tx, "web:nobody") == 0
        assert await chat_log.last(tx, "web:other") == 1


async def test_a_person_has_the_name_that_was_heard_last(database: Database) -> None:
    async with database.write() as tx:
        await people_store.remember(tx, Person(id="tg:1", name="Ann", language="en"))
        await people_store.remember(tx, Person(id="tg:1", name="Anna", language="de"))
        found = await people_store.get(tx, ["tg:1", "tg:2"])
    assert found == {"tg:1": Person(id="tg:1", name="Anna", language="de")}


async def test_the_language_to_speak_is_known_as_soon_as_somebody_is_heard(
    database: Database,
) -> None:
    async with database.write() as tx:
        assert await people_store.remember(tx, Person(id="tg:1", name="Ann", language="en")) == "en"
        assert await people_store.remember(tx, Person(id="tg:1", name="Ann"), now=7) == "en"
        await people_store.choose_language(tx, "tg:1", "ru")
        assert await people_store.remember(tx, Person(id="tg:1", name="Ann", language="zh")) == "ru"
        await people_store.choose_language(tx, "tg:1", "")
        assert await people_store.get(tx, ["tg:1"]) == {
            "tg:1": Person(id="tg:1", name="Ann", language="zh")
        }
        seen = await tx.execute(sa.select(people.c.seen_at))
        assert seen.scalar_one() == 7  # news about somebody are not their word


async def test_a_conversation_comes_back_with_what_its_chat_shows(database: Database) -> None:
    async with database.write() as tx:
        assert await conversation_store.load(tx, "tg:1") is None
        await conversation_store.save(tx, "tg:1", "text", now=1)
        await conversation_store.mark_shown(tx, "tg:1", 1, "m7")
        stored = await conversation_store.load(tx, "tg:1")
    assert stored == conversation_store.Stored("text", 1, 1, "m7")


async def test_a_conversation_that_was_shown_never_goes_back(database: Database) -> None:
    async with database.write() as tx:
        for _ in range(2):
            await conversation_store.save(tx, "tg:1", "text", now=1)
        await conversation_store.mark_shown(tx, "tg:1", 2, "m7")
        await conversation_store.mark_shown(tx, "tg:1", 1, "m7")
        assert await conversation_store.unshown(tx, ["tg"]) == []


async def test_another_network_has_nothing_to_show(database: Database) -> None:
    async with database.write() as tx:
        await conversation_store.save(tx, "tg:1", "text", now=1)
        await job_store.add(tx, make_job(chat="tg:1"))
        for networks in (["web"], ["t"], ["%"], []):
            assert await conversation_store.unshown(tx, networks) == []
            assert await job_lists.unsent(tx, networks) == []


async def test_a_handled_update_keeps_its_number_but_not_its_words(database: Database) -> None:
    async with database.write() as tx:
        await inbox_store.keep(tx, "tg", [("7", '{"text": "secret"}')], now=1)
        await inbox_store.done(tx, "tg", "7")
        await inbox_store.keep(tx, "tg", [("7", '{"text": "secret"}')], now=2)
        assert await inbox_store.pending(tx, "tg") == []
        assert await inbox_store.last_update_id(tx, "tg") == 7


async def test_what_was_not_handled_is_never_forgotten(database: Database) -> None:
    async with database.write() as tx:
        await inbox_store.keep(tx, "tg", [("1", "old"), ("2", "new")], now=1)
        await inbox_store.done(tx, "tg", "1")
        await inbox_store.first_time(tx, "tg", "1", now=1)
        await inbox_store.forget(tx, before=2)
        assert await inbox_store.pending(tx, "tg") == [("2", "new")]
        assert await inbox_store.first_time(tx, "tg", "1", now=3)


async def test_a_worker_that_says_goodbye_is_gone_at_once(database: Database) -> None:
    async with database.write() as tx:
        await worker_store.beat(tx, "a", "host", ["sd15"], now=1)
        await worker_store.beat(tx, "a", "host", ["sd15"], now=2)
        assert await worker_store.online(tx, now=2) == 1
        await worker_store.gone(tx, "a")
        assert await worker_store.online(tx, now=2) == 0
