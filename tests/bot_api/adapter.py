"""The adapter under test against the server: in this loop, or as a process of its own."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from bot.events import Event
from bot.frontend import Incoming, Receive
from bot.frontends.telegram import Telegram
from lorabot.compose import Bot, assemble, run
from pictures.sandbox import Cells
from storage.database import Database
from storage.settings import Settings
from tests.bot_api.people import Person
from tests.bot_api.server import BotApi
from tests.patience import PATIENCE_S
from tests.service import free_port


@asynccontextmanager
async def running(api: BotApi, database: Database, receive: Receive) -> AsyncIterator[Telegram]:
    bot = Telegram(api.token, api_url=api.url, database=database)
    task = asyncio.create_task(bot.run(receive))
    try:
        yield bot
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


Start = Callable[..., AbstractAsyncContextManager[Bot]]


def starter(
    api: BotApi, database: Database, cells: Cells, folder: Path, consent: str = "never"
) -> Start:
    """Starts the whole bot behind the adapter, as often as a test likes, with these admins and
    settings.
    """

    @asynccontextmanager
    async def start(*admins: Person, **changes: object) -> AsyncIterator[Bot]:
        ids = frozenset(one.name for one in admins)
        usual = {"data_dir": folder, "consent": consent, "admin_ids": ids}
        settings = Settings.model_validate(usual | changes)
        telegram = Telegram(
            api.token, api_url=api.url, database=database, admins=settings.admin_ids
        )
        bot = assemble(settings, database, [brisk(telegram)], cells)
        stop = asyncio.Event()
        running = asyncio.create_task(run(bot, stop))
        try:
            yield bot
        finally:
            stop.set()
            await running

    return start


def brisk(telegram: Telegram) -> Telegram:
    """With so short a pause between two edits that a test need not wait for it; the server here
    counts them, and minds none.
    """
    telegram.limits = replace(telegram.limits, edit_interval_s=0.1)
    return telegram


async def start_process(api: BotApi, folder: Path, **settings: str) -> asyncio.subprocess.Process:
    """``lorabot bot`` on a data folder, its log beside the data."""
    kept = ("PATH", "HOME", "LANG", "VIRTUAL_ENV")
    environment = {name: os.environ[name] for name in kept if name in os.environ} | {
        "CONSENT": "never",
        "DATA_DIR": str(folder / "data"),
        "WEB_PORT": str(free_port()),
        "TELEGRAM_BOT_TOKEN": api.token,
        "TELEGRAM_API_URL": api.url,
        "PYTHONPATH": str(Path(__file__).parents[2]),
        **settings,
    }
    with (folder / "bot.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lorabot", "bot"),
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )


async def up_to_the_photos(person: Person) -> None:
    """All questions of a new draft, answered."""
    await person.says("/train")
    await person.reads("What should it learn?")
    await person.presses("A person")
    await person.reads("short name")
    await person.says("mochi")
    await person.reads("trigger word")
    await person.says("mochix")
    await person.reads("Now send me")


class Recorder:
    """A core that only remembers; with ``gate`` closed it never comes back from an update."""

    def __init__(self) -> None:
        self.incoming: list[Incoming] = []
        self.files: list[bytes] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._changed = asyncio.Condition()

    async def receive(self, incoming: Incoming) -> None:
        for attachment in incoming.attachments:
            self.files.append(await attachment.fetch())
        async with self._changed:
            self.incoming.append(incoming)
            self._changed.notify_all()
        await self.gate.wait()

    async def has(self, count: int, within_s: float = PATIENCE_S) -> list[Incoming]:
        async with asyncio.timeout(within_s), self._changed:
            await self._changed.wait_for(lambda: len(self.incoming) >= count)
        return self.incoming

    @property
    def events(self) -> list[Event | None]:
        return [one.event for one in self.incoming]
