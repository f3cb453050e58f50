"""A bot with the real web page, and its bare wire."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.frontends.web import Site, Web
from bot.links import Links
from lorabot.compose import converse
from pictures.sandbox import Cells
from storage import job_store
from storage.blob_store import LocalBlobs
from storage.database import Database
from storage.job import Artifact, Job, JobState
from storage.settings import Settings
from tests import impatient
from tests.jobs import make_job
from tests.patience import PATIENCE_S

LORA = bytes(range(256)) * 40


@dataclass
class House:
    """The bot in this process, with the web page as its only network."""

    address: str
    database: Database
    blobs: LocalBlobs
    links: Links

    @property
    def host(self) -> str:
        return self.address.removeprefix("http://")

    async def finished(self, person: str) -> Job:
        """A job of this person whose file is there."""
        made = Artifact(
            key="artifacts/x", sha256="ab" * 32, file_bytes=len(LORA), name="m.safetensors"
        )
        job = make_job(chat=person, person=person, state=JobState.DELIVERING, artifact=made)
        await self.blobs.put(made.key, LORA)
        async with self.database.write() as tx:
            await job_store.add(tx, job)
        return job

    async def raw(self, request: bytes, *, within_s: float = PATIENCE_S) -> bytes:
        """What comes back for these very bytes, until the connection ends."""
        host, _, port = self.host.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(request)
            async with asyncio.timeout(within_s):
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()

    async def ask(self, target: str, *, method: str = "GET", headers: str = "") -> tuple[int, str]:
        """Status and whole answer of one request whose target is sent as it stands."""
        request = f"{method} {target} HTTP/1.1\r\nHost: {self.host}\r\n{headers}"
        answer = await self.raw(request.encode("utf-8") + b"Connection: close\r\n\r\n")
        first, _, rest = answer.decode("utf-8", "replace").partition("\r\n")
        return int([*first.split(), "0", "0"][1]), rest


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    impatient.shorten(monkeypatch)


@pytest.fixture
async def house(database: Database, cells: Cells, tmp_path: Path) -> AsyncIterator[House]:
    settings = Settings(data_dir=tmp_path, public_url="https://loras.example")
    blobs = LocalBlobs(tmp_path / "blobs")
    links = Links("secret", hours=1)
    site = Site(secret="secret", spool=tmp_path / "spool", port=0, public_url=settings.public_url)
    web = Web(database, blobs, links, site, cells)
    address = web.listen()
    stop = asyncio.Event()
    running = asyncio.create_task(converse(settings, database, [web], cells, stop))
    await web.ready.wait()
    yield House(address, database, blobs, links)
    stop.set()
    await running
