"""A training as it is met on Discord: one silent message of samples that changes in place."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pictures.sandbox import Cells
from pipeline import worker
from storage import job_lists, job_store
from storage.database import Database
from storage.job import Job
from storage.settings import Settings
from tests.conftest import eventually
from tests.discord_api import DiscordApi, Member
from tests.discord_api.adapter import orders, starter
from tests.drawn import photos
from tests.stand_in_trainer import StandIn

pytestmark = pytest.mark.timeout(240)
LONG_S = 60.0


@asynccontextmanager
async def working(folder: Path) -> AsyncIterator[None]:
    """A worker whose trainer draws, in this process."""
    stop = asyncio.Event()
    settings = Settings(data_dir=folder, lease_s=2.0)
    running = asyncio.create_task(worker.serve(settings, stop=stop, backend=StandIn("draw")))
    try:
        yield
    finally:
        stop.set()
        await running


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """The worker's and the bot's."""
    one = await Database.open(Settings(data_dir=tmp_path).database)
    yield one
    await one.close()


async def refs(database: Database, person: Member) -> tuple[Job, str, str]:
    """The job, which samples its message shows, and that message's name."""
    async with database.read() as tx:
        (job,) = await job_lists.of_person(tx, person.name)
    shown, _, ref = job.samples_ref.partition("|")
    return job, shown, ref


async def noted(database: Database, person: Member) -> None:
    async def look() -> bool:
        return bool((await refs(database, person))[2])

    await eventually(look)


async def forget_the_name(database: Database, person: Member) -> None:
    """What the row says after a kill between the send and its commit: the message is there, and
    Discord gives it back to whoever sends the next samples under the same nonce.
    """
    job, shown, _ = await refs(database, person)
    async with database.write() as tx:
        await job_store.mark_sent(tx, job.id, job.sent_version, samples_ref=f"{shown}|")


async def test_samples_are_one_silent_message_that_changes_in_place(
    database: Database, cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Discord's own rhythm would make this a test of patience.
    monkeypatch.setattr("bot.frontends.discord.EDIT_S", 0.3)
    async with DiscordApi() as api:
        ada = api.person("Ada")
        bot = starter(api, database, cells, tmp_path)
        async with working(tmp_path):
            async with bot():
                await orders(ada, photos(9))
                await ada.reads("9 photos")
                await ada.presses("✅ Done – use 9")
                await ada.reads("Ready to train")
                await ada.presses("🚀 Start training")
                first = await ada.reads("samples after", within_s=LONG_S)
                before = dict(first.files)
            # Its buttons, and the message of the samples, outlive the bot.
            async with bot():
                await ada.presses("🖼 Sample now")
                await ada.until(lambda: first.files != before, LONG_S)
                await noted(database, ada)
                before = dict(first.files)
            await forget_the_name(database, ada)
            async with bot():
                await ada.presses("🖼 Sample now")
                await ada.until(lambda: first.files != before, LONG_S)
                await ada.presses("📉 Loss chart")
                await ada.reads("how well it learns", within_s=LONG_S)
                await ada.presses("Stop…")
                await ada.reads("Stop mochi at", within_s=LONG_S)
                await ada.presses("Stop, keep this")
                result = await ada.reads("is ready", within_s=LONG_S)
    samples = [one for one in ada.sees if "samples after" in one.text]
    assert samples == [first]
    assert first.shows_picture
    assert first.silent
    assert first.channel == ada.dm.number
    assert not result.silent
    assert "mochi.safetensors" in result.files
    assert ada.failed == 0
