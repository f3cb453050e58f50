"""Each chat network with one person at its other end, told apart by nothing but their name."""

import asyncio
import os
import pty
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from rich.console import Console as Screen

from bot.frontend import Frontend
from bot.frontends.console import CHAT, Console
from bot.frontends.web import Site, Web
from bot.links import Links
from pictures.sandbox import Cells
from storage.blob_store import LocalBlobs
from storage.database import Database
from tests import bot_api, discord_api
from tests.bot_api.adapter import Recorder
from tests.bot_api.adapter import running as telegram_running
from tests.discord_api.adapter import running as discord_running
from tests.glass import Glass, buttons_of, words_of
from tests.web_client import WebPerson

Texts = Callable[[], list[str]]


@dataclass
class Stage:
    """``texts`` are what the person sees of the bot, oldest first; ``labels`` all their buttons.

    ``settles`` waits until what was sent has arrived. ``scrolls``: what was said further up stays
    as it was; a message that changes is shown once more.
    """

    frontend: Frontend
    chat: str
    core: Recorder
    texts: Texts
    labels: Texts
    says: Callable[[str], Awaitable[object]]
    presses: Callable[[str], Awaitable[object]]
    sends: Callable[[bytes], Awaitable[object]]
    settles: Callable[[Callable[[], bool]], Awaitable[object]]
    scrolls: bool = False


async def _at_once(look: Callable[[], bool]) -> None:
    """There the message stands as soon as the send is answered."""
    assert look()


@asynccontextmanager
async def telegram(database: Database, _: Path) -> AsyncIterator[Stage]:
    core = Recorder()
    async with bot_api.BotApi() as api, telegram_running(api, database, core.receive) as one:
        ada = api.person("Ada")
        yield Stage(
            frontend=one,
            chat=ada.name,
            core=core,
            texts=lambda: [shown.text for shown in ada.sees],
            labels=lambda: [label for shown in ada.sees for label in shown.labels],
            says=ada.says,
            presses=ada.presses,
            sends=lambda data: ada.sends_file(data, "a.png", "image/png"),
            settles=_at_once,
        )


@asynccontextmanager
async def discord(database: Database, _: Path) -> AsyncIterator[Stage]:
    core = Recorder()
    async with discord_api.DiscordApi() as api, discord_running(api, database, core.receive) as one:
        ada = api.person("Ada")
        yield Stage(
            frontend=one,
            chat=ada.name,
            core=core,
            texts=lambda: [shown.text for shown in ada.sees],
            labels=lambda: [label for shown in ada.sees for label in shown.labels],
            says=ada.says,
            presses=ada.presses,
            sends=lambda data: ada.sends_photos([data]),
            settles=_at_once,
        )


@asynccontextmanager
async def web(database: Database, folder: Path) -> AsyncIterator[Stage]:
    core = Recorder()
    blobs, cells = LocalBlobs(folder / "blobs"), Cells(1)
    site = Site(secret="secret", spool=folder / "spool", port=0)
    one = Web(database, blobs, Links("secret", hours=1), site, cells)
    running = asyncio.create_task(one.run(core.receive))
    await one.ready.wait()
    try:
        async with WebPerson(one.address) as ada:
            await ada.until(lambda: ada.chat)

            def bots() -> list[dict[str, object]]:
                return [shown for shown in ada.in_order() if shown["from"] == "bot"]

            yield Stage(
                frontend=one,
                chat=ada.chat,
                core=core,
                texts=lambda: [str(shown["text"]) for shown in bots()],
                labels=lambda: [
                    button["label"]
                    for shown in ada.in_order()
                    for row in shown.get("buttons", ())
                    for button in row
                ],
                says=ada.say,
                presses=ada.press,
                sends=lambda data: ada.upload([data]),
                settles=ada.until,
            )
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await cells.close()


@asynccontextmanager
async def console(_: Database, folder: Path) -> AsyncIterator[Stage]:
    """Wide enough for every line. The person types, and sees what the screen shows."""
    core, out = Recorder(), StringIO()
    screen = Screen(
        file=out, force_terminal=True, width=10_000, height=100, highlight=False, soft_wrap=True
    )
    typed, read = pty.openpty()
    one = Console(screen, keyboard=read)
    running = asyncio.create_task(one.run(core.receive))

    def blocks() -> list[list[str]]:
        glass = Glass()
        glass.write(out.getvalue())
        return glass.blocks

    async def types(line: str) -> None:
        await asyncio.to_thread(os.write, typed, f"{line}\n".encode())

    async def sends(data: bytes) -> None:
        path = folder / f"typed{len(core.files)}.png"
        path.write_bytes(data)
        await types(str(path))

    try:
        # The terminal says hello by itself.
        await core.has(1)
        core.incoming.clear()
        yield Stage(
            frontend=one,
            chat=CHAT,
            core=core,
            texts=lambda: [words_of(block) for block in blocks()],
            labels=lambda: list(buttons_of(blocks()[-1])),
            says=types,
            presses=lambda label: types(buttons_of(blocks()[-1])[label]),
            sends=sends,
            settles=_at_once,
            scrolls=True,
        )
    finally:
        os.close(typed)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        os.close(read)


NETWORKS = {"telegram": telegram, "discord": discord, "web": web, "console": console}
