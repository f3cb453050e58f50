"""A training as it is met on Discord: one silent message of samples that changes in place."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pictures.sandbox import Cells
from pipeline import worker
from storage.database import Database
from storage.settings import Settings
from tests.discord_api import DiscordApi
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


@pytest.mark.long
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
