"""The web page with a scripted bot behind it, and a browser to look at it."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from bot.events import Choice, Command, Text
from bot.frontend import Incoming, Message, RenderedButton
from bot.frontends.web import Site, Web
from bot.links import Links
from pictures.sandbox import Cells
from storage.blob_store import LocalBlobs, photo_key
from storage.database import Database
from storage.job import new_id
from tests.patience import PATIENCE_S

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]

HELLO = Message(
    text="**Hello** from the `script`",
    buttons=((RenderedButton(label="Train", data="train::"),),),
)


def need_browser() -> None:
    if CHROMIUM is None:
        assert not os.environ.get("LORABOT_REQUIRE_BROWSER"), "no Chromium on this machine"
        pytest.skip("needs a system Chromium (Debian: apt install chromium)")


@dataclass
class Script:
    """The other side of the page: it keeps what came, and says what a test wants said.

    ``hold`` lets a test look at the page while the bot still thinks.
    """

    web: Web
    blobs: LocalBlobs
    came: list[Incoming] = field(default_factory=list)
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def __post_init__(self) -> None:
        self.hold.set()

    @property
    def chat(self) -> str:
        return self.came[0].chat

    async def receive(self, incoming: Incoming) -> None:
        for attachment in incoming.attachments:
            data = await attachment.fetch()
            await self.blobs.put(photo_key(sha256_of(data)), data)
        async with self._changed:
            self.came.append(incoming)
            self._changed.notify_all()
        await self.hold.wait()
        match incoming.event:
            case Command("start"):
                await self.web.send(incoming.chat, HELLO, key="hello")
            case Text(text):
                await self.web.send(incoming.chat, Message(text=f"You said {text}"), key=new_id())
            case Choice(verb):
                pressed = Message(text=f"Pressed {verb}", buttons=HELLO.buttons)
                await self.web.edit(incoming.chat, "hello", pressed)
            case None:
                count = len(incoming.attachments)
                await self.web.send(incoming.chat, Message(text=f"{count} came"), key="tally")

    async def until(self, count: int) -> list[Incoming]:
        """Wait until so many updates came."""
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: len(self.came) >= count)
        return self.came


def sha256_of(data: bytes) -> str:
    import hashlib

    return hashlib.sha256(data).hexdigest()


@asynccontextmanager
async def serving(database: Database, folder: Path, port: int = 0) -> AsyncIterator[Script]:
    """The page, served on loopback by this process."""
    blobs = LocalBlobs(folder / "blobs")
    site = Site(secret="secret", spool=folder / "spool", port=port)
    cells = Cells(1)
    script = Script(Web(database, blobs, Links("secret", hours=1), site, cells), blobs)
    running = asyncio.create_task(script.web.run(script.receive))
    await script.web.ready.wait()
    try:
        yield script
    finally:
        script.hold.set()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await cells.close()


@asynccontextmanager
async def open_page(address: str, complaints: list[str], **looks: object) -> AsyncIterator[Page]:
    """A page of its own browser; what its console complains about is collected."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page(**looks)  # type: ignore[arg-type]  # its own keywords
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        await page.goto(address)
        yield page
        await browser.close()
