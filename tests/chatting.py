"""A whole bot in this process behind a network in memory, and what people do to it."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.events import Choice, Command, Event, Text
from bot.frontend import Attachment, Incoming
from bot.screen import parse_data
from lorabot.compose import Bot, assemble
from pictures.sandbox import Cells
from storage import job_lists, job_store
from storage.database import Database
from storage.job import Artifact, Job, JobState
from storage.people_store import Person
from storage.settings import Settings
from tests.conftest import eventually
from tests.drawn import photos
from tests.fakes import FakeFrontend

ME, YOU = "tg:1", "tg:2"
updates = itertools.count(1)


@dataclass
class Chat:
    """One bot in this process and what people do to it."""

    bot: Bot
    network: FakeFrontend
    database: Database

    async def do(self, event: Event, chat: str = ME, update_id: str = "") -> None:
        await self.bot.dialogue.receive(
            Incoming(
                platform="tg",
                update_id=update_id or str(next(updates)),
                chat=chat,
                person=Person(id=chat, name="Ada"),
                event=event,
            )
        )

    async def send(self, *files: bytes, chat: str = ME) -> None:
        await self.bot.dialogue.receive(
            Incoming(
                platform="tg",
                update_id=str(next(updates)),
                chat=chat,
                person=Person(id=chat, name="Ada"),
                attachments=tuple(attachment(one) for one in files),
            )
        )

    async def press(self, label: str, chat: str = ME) -> None:
        async def find() -> str:
            rows = [row for m in self.network.chats[chat].values() for row in m.buttons]
            found = [b.data for row in rows for b in row if b.label.startswith(label)]
            return found[-1] if found else ""

        parts = parse_data(str(await eventually(find)))
        assert parts is not None
        await self.do(Choice(*parts), chat)

    async def reads(self, words: str, chat: str = ME) -> None:
        async def look() -> bool:
            return any(words in text for text in self.network.texts(chat))

        await eventually(look)

    async def draft(self, chat: str = ME, name: str = "mochi") -> None:
        for event in (Command("train"), Text("person"), Text(name), Text(f"{name}x")):
            await self.do(event, chat)

    async def order(self, chat: str = ME, name: str = "mochi") -> Job:
        await self.draft(chat, name)
        await self.send(*photos(8), chat=chat)
        await self.press("✅ Done", chat)
        await self.press("🚀", chat)
        async with self.database.read() as tx:
            return (await job_lists.of_person(tx, chat))[0]

    async def until_done(self, job: Job) -> Job:
        async def look() -> Job | None:
            async with self.database.read() as tx:
                found = await job_store.get(tx, job.id)
            assert found is not None
            shown = found.sent_version == found.version
            return found if found.state is JobState.DONE and shown else None

        found = await eventually(look)
        assert isinstance(found, Job)
        return found


def attachment(data: bytes) -> Attachment:
    async def fetch() -> bytes:
        return data

    return Attachment(fetch=fetch, file_bytes=len(data))


Open = Callable[[], AbstractAsyncContextManager[Chat]]


def opener(settings: Settings, database: Database, network: FakeFrontend, cells: Cells) -> Open:
    """Starts the bot, as often as a test likes."""

    @asynccontextmanager
    async def start() -> AsyncIterator[Chat]:
        assembled = assemble(settings, database, [network], cells)
        tasks = [asyncio.create_task(one) for one in assembled.parts()]
        yield Chat(assembled, network, database)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await assembled.doorbell.close()

    return start


async def finish(database: Database, tmp_path: Path, job: Job) -> None:
    """What a worker does to the row, at once."""
    made = Artifact(key="artifacts/f", sha256="0" * 64, file_bytes=3, name="mochi.safetensors")
    (tmp_path / "blobs" / "artifacts").mkdir(parents=True, exist_ok=True)
    (tmp_path / "blobs" / "artifacts" / "f").write_bytes(b"abc")
    owner = job_store.Owner(name="w", host="h", boot_id="b", pid=1)
    async with database.write() as tx:
        claimed = await job_store.claim(tx, owner, lease_s=99, now=time.time(), job_id=job.id)
        assert claimed is not None
        fence = claimed.fence
        for state in (JobState.TRAINING, JobState.COPYING):
            assert await job_store.enter(tx, job.id, fence, state, now=1)
        assert await job_store.enter(
            tx, job.id, fence, JobState.DELIVERING, now=time.time(), artifact=made
        )
