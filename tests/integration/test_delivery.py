"""Delivery over the real Telegram client to a server with limits: down the ladder, to the end."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot import packing
from lorabot.compose import Bot, converse
from lorabot.networks import networks
from pictures.sandbox import Cells
from pipeline.twin import TwinMaker
from storage import job_store, limit_store
from storage.blob_store import LocalBlobs
from storage.database import Database
from storage.job import Job, JobState, Samples
from storage.settings import Settings
from tests.bot_api import BotApi, Person
from tests.bot_api.adapter import Start
from tests.bot_api.refusals import RefusedError, bad_request
from tests.bot_api.shown import Shown
from tests.conftest import eventually
from tests.drawn import photos
from tests.jobs import make_job
from tests.loras import publish, weights

URL = "https://loras.example"
LARGE = weights(wide=20_000)  # 2.6 MB
SMALL = weights()
TAKES = 2_200_000


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "blobs")


@pytest.fixture
def bot(bot: Start, database: Database, blobs: LocalBlobs, tmp_path: Path) -> Start:
    """The whole bot, and of the worker the part that makes twins."""

    @asynccontextmanager
    async def start(*, twins: bool = True, **settings: object) -> AsyncIterator[Bot]:
        async with bot(**settings) as running:
            maker = TwinMaker(database, blobs, tmp_path / "work")
            making = asyncio.create_task(maker.run()) if twins else None
            try:
                yield running
            finally:
                if making:
                    making.cancel()

    return start


async def finished(
    database: Database,
    blobs: LocalBlobs,
    person: Person,
    data: bytes,
    samples: Samples | None = None,
) -> Job:
    job = make_job(
        chat=person.name,
        person=person.name,
        state=JobState.DELIVERING,
        fence=1,
        samples=samples,
    )
    return await publish(database, blobs, job, data)


async def until_done(database: Database, job: Job) -> None:
    async def look() -> bool:
        async with database.read() as tx:
            found = await job_store.get(tx, job.id)
        return found is not None and found.state is JobState.DONE

    await eventually(look)


def results(person: Person) -> list[Shown]:
    return [one for one in person.sees if "is ready" in one.text]


def links(shown: Shown) -> list[str]:
    return [button.url for row in shown.rows for button in row if button.url]


async def test_what_fits_is_attached(
    bot: Start, ada: Person, database: Database, blobs: LocalBlobs
) -> None:
    job = await finished(database, blobs, ada, SMALL)
    async with bot(public_url=URL):
        await until_done(database, job)
    (shown,) = results(ada)
    assert (shown.data, shown.file_name, shown.silent) == (SMALL, "mochi.safetensors", False)
    assert links(shown) == []
    assert "Works only with SD 1.5 models." in shown.text
    assert [button.copy for row in shown.rows for button in row if button.copy] == ["mochix"]


@pytest.mark.parametrize("url", [URL, ""])
async def test_what_the_server_refuses_comes_as_a_smaller_twin(
    bot: Start, ada: Person, api: BotApi, database: Database, blobs: LocalBlobs, url: str
) -> None:
    api.files.upload_bytes = TAKES
    job = await finished(database, blobs, ada, LARGE)
    async with bot(public_url=url):
        await until_done(database, job)
    (shown,) = results(ada)
    assert shown.file_name.startswith("mochi_r")
    assert len(shown.data) <= 2_000_000
    assert "more than this chat takes (2 MB)" in shown.text
    assert not shown.silent
    assert all(one.startswith(f"{URL}/dl/") for one in links(shown))
    assert len(links(shown)) == (1 if url else 0)


async def test_a_refusal_is_remembered_for_that_chat_alone(
    bot: Start, ada: Person, api: BotApi, database: Database, blobs: LocalBlobs
) -> None:
    api.files.upload_bytes = TAKES
    ben = api.person("Ben")
    job = await finished(database, blobs, ada, LARGE)
    async with bot():
        await until_done(database, job)
        assert api.calls["senddocument"] == 2
        job = await finished(database, blobs, ada, LARGE)
        await until_done(database, job)
        assert api.calls["senddocument"] == 3
        job = await finished(database, blobs, ben, LARGE)
        await until_done(database, job)
        assert api.calls["senddocument"] == 5
    assert (len(results(ada)), len(results(ben))) == (2, 1)


async def test_where_nobody_makes_a_twin_a_link_comes(
    bot: Start,
    ada: Person,
    database: Database,
    blobs: LocalBlobs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packing, "WORKER_S", 0.2)
    job = await finished(database, blobs, ada, LARGE)
    async with database.write() as tx:
        await limit_store.said(tx, ada.name, 2_000_000, now=1.0)
    async with bot(public_url=URL, twins=False):
        await until_done(database, job)
    (shown,) = results(ada)
    assert shown.file_name == ""
    assert len(links(shown)) == 1


async def test_where_nothing_works_the_admin_has_it_and_nothing_failed(
    bot: Start,
    ada: Person,
    api: BotApi,
    database: Database,
    blobs: LocalBlobs,
) -> None:
    boss = api.person("Boss")
    job = await finished(database, blobs, ada, LARGE)
    async with database.write() as tx:
        await limit_store.said(tx, ada.name, 0, now=1.0)
    async with bot(admin_ids=boss.name):
        await until_done(database, job)
        told = await boss.reads("PUBLIC_URL")
    assert job.code in told.text
    (shown,) = results(ada)
    assert "The admin has it" in shown.text


@pytest.mark.parametrize(
    "refusal",
    [
        bad_request("file is too big"),
        RefusedError(413, "Request Entity Too Large"),
        bad_request("DOCUMENT_INVALID"),
    ],
)
async def test_every_refusal_of_a_file_leads_one_step_down(
    bot: Start,
    ada: Person,
    api: BotApi,
    database: Database,
    blobs: LocalBlobs,
    refusal: RefusedError,
) -> None:
    api.refuse("sendDocument", refusal)
    job = await finished(database, blobs, ada, SMALL)
    async with bot(public_url=URL):
        await until_done(database, job)
    (shown,) = results(ada)
    assert shown.file_name == ""
    assert len(links(shown)) == 1


@pytest.mark.parametrize("takes", [50_000_000, 0])
async def test_a_picture_that_is_refused_costs_neither_the_file_nor_the_link(
    bot: Start,
    ada: Person,
    api: BotApi,
    database: Database,
    blobs: LocalBlobs,
    takes: int,
) -> None:
    drawn = Samples(step=20, grid="samples/x/20.jpg", small="samples/x/20-small.jpg")
    for key in drawn.keys:
        await blobs.put(key, photos(1)[0])
    async with database.write() as tx:
        await limit_store.said(tx, ada.name, takes, now=1.0)
    # The samples' own message takes the first refusal of a picture.
    api.refuse("sendPhoto", bad_request("IMAGE_PROCESS_FAILED"), times=2)
    api.refuse("sendDocument", bad_request("IMAGE_PROCESS_FAILED"))
    job = await finished(database, blobs, ada, SMALL, samples=drawn)
    async with bot(public_url=URL):
        await until_done(database, job)
    (shown,) = results(ada)
    assert shown.file_name == ("mochi.safetensors" if takes else "")
    assert len(links(shown)) == (0 if takes else 1)


async def test_a_delivery_that_the_network_could_not_do_is_done_later(
    bot: Start,
    ada: Person,
    api: BotApi,
    database: Database,
    blobs: LocalBlobs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More often than one sending tries: the job waits, and its chat is looked at again."""
    monkeypatch.setattr("bot.notifier.AFTER_TROUBLE_S", 0.05)
    monkeypatch.setattr("bot.sending.PAUSE_S", 0.01)
    api.refuse("sendDocument", RefusedError(502, "Bad Gateway"), times=9)
    job = await finished(database, blobs, ada, SMALL)
    async with bot():
        await until_done(database, job)
    assert [one.data for one in results(ada)] == [SMALL]


async def test_a_person_asks_for_the_file_once_more(
    bot: Start, ada: Person, api: BotApi, database: Database, blobs: LocalBlobs
) -> None:
    job = await finished(database, blobs, ada, LARGE)
    async with bot(public_url=URL):
        await until_done(database, job)
        api.files.upload_bytes = TAKES
        api.files.forget()
        await ada.presses("More…")
        await ada.reads("Trigger word")
        await ada.presses("⬇ Send the file")
        await ada.reads("I make a smaller one")
        await ada.reads("more than this chat takes")
        await ada.presses("🔗 New link")
        await eventually(lambda: _has(ada, 3))
    whole, smaller, linked = results(ada)
    assert hashlib.sha256(whole.data).digest() == hashlib.sha256(LARGE).digest()
    assert smaller.file_name.startswith("mochi_r")
    assert (linked.file_name, len(links(linked))) == ("", 1)


async def test_a_local_server_takes_the_file_by_its_path(
    ada: Person,
    api: BotApi,
    database: Database,
    cells: Cells,
    blobs: LocalBlobs,
    tmp_path: Path,
) -> None:
    """TELEGRAM_LOCAL: nothing is uploaded, and 50 MB are no limit."""
    api.files.folder, api.files.upload_bytes = tmp_path / "server", 1000
    settings = Settings.model_validate(
        {
            "data_dir": tmp_path,
            "telegram_bot_token": api.token,
            "telegram_api_url": api.url,
            "telegram_local": True,
        }
    )
    (telegram,) = networks(settings, database)
    assert telegram.limits.out_file_bytes == telegram.limits.in_file_bytes == 2_000_000_000
    job = await finished(database, blobs, ada, LARGE)
    stop = asyncio.Event()
    running = asyncio.create_task(converse(settings, database, [telegram], cells, stop))
    await until_done(database, job)
    stop.set()
    await running
    assert [one.data for one in results(ada)] == [LARGE]


async def test_what_a_network_says_of_a_chat_counts_until_it_refuses(database: Database) -> None:
    async with database.write() as tx:

        async def takes(now: float) -> int:
            return await limit_store.out_file_bytes(tx, "dc:1", 10, now=now)

        assert await takes(1) == 10
        await limit_store.said(tx, "dc:1", 100, now=1)
        assert await takes(1) == 100
        await limit_store.refused(tx, "dc:1", 8, now=2)
        await limit_store.said(tx, "dc:1", 100, now=3)
        assert await takes(3) == 8
        late = 3 + limit_store.REFUSAL_S
        assert await takes(late) == 10
        await limit_store.said(tx, "dc:1", 50, now=late)
        assert await takes(late) == 50


async def _has(person: Person, count: int) -> bool:
    return len(results(person)) == count
