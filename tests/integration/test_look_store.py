"""What is known of uploads: who looks at which, once, and what goes with a photo."""

from storage import conversation_store, job_store, look_store
from storage.database import Database
from storage.job import Photo
from tests.jobs import make_job

ON_BOTH = True

CHAT = "web:me"
NOW = 1000.0


async def put(database: Database, *keys: str, now: float = NOW) -> None:
    async with database.write() as tx:
        await conversation_store.save(tx, CHAT, "{}", now=now)
        for at, key in enumerate(keys):
            await look_store.put(tx, key, "look", CHAT, now=now + at)


async def claim(database: Database, now: float = NOW + 100, hold_s: float = 60) -> str | None:
    async with database.write() as tx:
        return await look_store.claim(tx, now=now, hold_s=hold_s)


async def test_who_waited_longest_comes_first_and_once(database: Database) -> None:
    await put(database, "b", "a")
    assert [await claim(database) for _ in range(3)] == ["b", "a", None]


async def test_a_claim_that_was_lost_is_made_again(database: Database) -> None:
    await put(database, "a")
    assert await claim(database) == "a"
    assert await claim(database, now=NOW + 161) == "a"


async def test_a_photo_that_kills_its_workers_is_given_up(database: Database) -> None:
    await put(database, "a")
    for again in range(look_store.MOST_TRIES):
        assert await claim(database, now=NOW + 100 * (again + 1)) == "a"
    assert await claim(database, now=NOW + 10_000) is None
    async with database.read() as tx:
        assert (await look_store.get(tx, ["a"]))["a"].seen


async def test_an_answer_ends_the_wait_and_is_news_for_the_chat(database: Database) -> None:
    await put(database, "a")
    async with database.write() as tx:
        before = await conversation_store.load(tx, CHAT)
        await look_store.answer(tx, "a", faces="f", described=None, now=NOW)
        after = await conversation_store.load(tx, CHAT)
        known = (await look_store.get(tx, ["a"]))["a"]
    assert before is not None
    assert after is not None
    assert after.version == before.version + 1
    assert (known.faces, known.described, known.seen) == ("f", None, True)
    assert await claim(database) is None


async def test_a_photo_that_is_sent_again_stays_seen(database: Database) -> None:
    await put(database, "a")
    async with database.write() as tx:
        await look_store.answer(tx, "a", faces="f", described="d", now=NOW)
    await put(database, "a", now=NOW + 50)
    async with database.read() as tx:
        assert (await look_store.get(tx, ["a"]))["a"].faces == "f"
        assert not await look_store.anybody_waits(tx, now=NOW + 100)


async def test_an_answer_for_a_deleted_photo_harms_nobody(database: Database) -> None:
    async with database.write() as tx:
        await look_store.answer(tx, "gone", faces="f", described=None, now=NOW)
        assert await look_store.get(tx, ["gone"]) == {}


async def test_what_drafts_and_jobs_name_is_not_unused(database: Database) -> None:
    used, ordered, loose = ("1" * 64, "2" * 64, "3" * 64)
    photo = Photo(sha256=ordered, number=1, file_bytes=1)
    async with database.write() as tx:
        await conversation_store.save(tx, CHAT, f'{{"photos": ["{used}"]}}', now=NOW)
        await job_store.add(tx, make_job(photos=(photo,)))
        assert await look_store.unused(tx, [used, ordered, loose]) == [loose]


async def test_embeddings_go_with_the_photo(database: Database) -> None:
    await put(database, "a", "b")
    async with database.write() as tx:
        await look_store.answer(tx, "a", faces="embedding", described=None, now=NOW)
        await look_store.delete(tx, ["a"])
        assert list(await look_store.get(tx, ["a", "b"])) == ["b"]
