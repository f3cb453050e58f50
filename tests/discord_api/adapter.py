"""The adapter under test against the server: in this loop, or as a process of its own."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from bot.frontend import Receive
from bot.frontends.discord import Discord
from lorabot.compose import converse
from pictures.sandbox import Cells
from storage import bases
from storage.database import Database
from storage.settings import Settings
from tests.discord_api.people import Member
from tests.discord_api.server import DiscordApi
from tests.patience import PATIENCE_S
from tests.service import free_port


def frontend(api: DiscordApi, database: Database, *, adult: bool = False) -> Discord:
    demo = replace(bases.demo(), adult=adult)
    gallery = str(api.hall.number) if api.hall else ""
    return Discord(api.token, api_url=api.url, database=database, bases=(demo,), gallery=gallery)


@asynccontextmanager
async def running(
    api: DiscordApi, database: Database, receive: Receive, *, adult: bool = False
) -> AsyncIterator[Discord]:
    bot = frontend(api, database, adult=adult)
    task = asyncio.create_task(bot.run(receive))
    try:
        await ready(api)
        yield bot
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def ready(api: DiscordApi, within_s: float = PATIENCE_S) -> None:
    """Connected, and its commands are known."""
    async with asyncio.timeout(within_s):
        await api.gateway.ready.wait()
        while not api.commands:  # noqa: ASYNC110  a list tells nobody
            await asyncio.sleep(0.01)


async def start_process(api: DiscordApi, folder: Path) -> asyncio.subprocess.Process:
    """``lorabot bot`` on a data folder, its log beside the data."""
    kept = ("PATH", "HOME", "LANG", "VIRTUAL_ENV")
    environment = {name: os.environ[name] for name in kept if name in os.environ} | {
        "DATA_DIR": str(folder / "data"),
        "WEB_PORT": str(free_port()),
        "DISCORD_BOT_TOKEN": api.token,
        "DISCORD_API_URL": api.url,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    with (folder / "bot.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lorabot", "bot"),
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )


async def orders(person: Member, photos: list[bytes], *, private: bool = False) -> None:
    """/train, its one form, and the panel that follows."""
    opened = await person.types("train", private=private)
    await person.fills(opened, name="mochi", kind="person", photos=photos, agree=True)


Start = Callable[[], AbstractAsyncContextManager[None]]


def starter(
    api: DiscordApi,
    database: Database,
    cells: Cells,
    folder: Path,
    *,
    adult: bool = False,
    **settings: str,
) -> Start:
    """Starts the whole bot behind the adapter, as often as a test likes."""
    known = Settings(data_dir=folder, **settings)  # type: ignore[arg-type]  # pydantic reads them

    @asynccontextmanager
    async def start() -> AsyncIterator[None]:
        stop = asyncio.Event()
        api.commands = []
        one = frontend(api, database, adult=adult)
        running = asyncio.create_task(converse(known, database, [one], cells, stop))
        connected = asyncio.create_task(ready(api))
        try:
            await asyncio.wait({running, connected}, return_when=asyncio.FIRST_COMPLETED)
            if not running.done():
                await connected
                yield
        finally:
            connected.cancel()
            stop.set()
            await running

    return start
