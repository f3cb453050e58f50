"""The web app over real HTTP: what it does for its own person, and what for a stranger."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from bot.frontends.web import PortTakenError, Site, Web
from bot.links import Links
from lorabot.compose import converse
from pictures.sandbox import Cells
from storage import job_store
from storage.blob_store import LocalBlobs
from storage.database import Database
from storage.job import Artifact, Job, JobState
from storage.settings import Settings
from tests.drawn import photos
from tests.jobs import make_job
from tests.web_client import WebPerson

LORA = bytes(range(256)) * 40


@dataclass
class Bot:
    """The bot in this process, with the web page as its only network."""

    address: str
    database: Database
    blobs: LocalBlobs
    links: Links

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


@pytest.fixture
async def bot(database: Database, cells: Cells, tmp_path: Path) -> AsyncIterator[Bot]:
    settings = Settings(data_dir=tmp_path, public_url="https://loras.example")
    blobs = LocalBlobs(tmp_path / "blobs")
    links = Links("secret", hours=1)
    site = Site(secret="secret", spool=tmp_path / "spool", port=0, public_url=settings.public_url)
    web = Web(database, blobs, links, site, cells)
    address = web.listen()
    stop = asyncio.Event()
    running = asyncio.create_task(converse(settings, database, [web], cells, stop))
    await web.ready.wait()
    yield Bot(address, database, blobs, links)
    stop.set()
    await running


async def test_the_first_visit_gets_a_page_and_a_cookie_of_its_own(bot: Bot) -> None:
    async with WebPerson(bot.address) as one, WebPerson(bot.address) as other:
        await one.until(lambda: one.chat)
        await other.until(lambda: other.chat)
        assert one.chat != other.chat
    async with httpx.AsyncClient(base_url=bot.address) as new:
        cookie = (await new.get("/")).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()


async def test_a_stranger_sees_nothing_of_another_chat(bot: Bot) -> None:
    async with WebPerson(bot.address) as one, WebPerson(bot.address) as stranger:
        await one.say("/train")
        await one.press("A person")
        await one.upload(photos(2))
        mine = await one.until(lambda: next(iter(one.messages.values()), None))
        assert mine
        await stranger.say("/start")
        await stranger.until(lambda: stranger.said("Hi!"))
        assert len(stranger.messages) == 2
        names = [name for m in one.messages.values() for name in m.get("files", ())]
        assert len(names) == 2
        assert (await one.http.get(f"/thumb/{names[0]}")).status_code == 200
        assert (await stranger.http.get(f"/thumb/{names[0]}")).status_code == 404


@pytest.mark.parametrize("path", ["/events", "/thumb/x", "/dl/x", "/nothing", "/static/../app.py"])
async def test_without_a_cookie_there_is_nothing(bot: Bot, path: str) -> None:
    async with httpx.AsyncClient(base_url=bot.address) as nobody:
        assert (await nobody.get(path)).status_code == 404


@pytest.mark.parametrize("path", ["/say", "/press", "/upload"])
async def test_a_post_of_another_page_is_refused(bot: Bot, path: str) -> None:
    async with WebPerson(bot.address) as one:
        for origin in ("https://evil.example", "null", ""):
            answer = await one.http.post(path, headers={"origin": origin}, json={})
            assert answer.status_code == 403


async def test_another_name_for_this_machine_is_refused(bot: Bot) -> None:
    async with httpx.AsyncClient() as nobody:
        answer = await nobody.get(bot.address + "/", headers={"host": "evil.example"})
        assert answer.status_code == 421


async def test_through_the_public_address_only_downloads_open(bot: Bot) -> None:
    job = await bot.finished("tg:1")
    outside = {"host": "loras.example"}
    async with httpx.AsyncClient(base_url=bot.address) as nobody:
        assert (await nobody.get("/", headers=outside)).status_code == 404
        link = bot.links.path(job.id, job.person)
        assert (await nobody.get(link, headers=outside)).content == LORA


async def test_a_download_can_be_resumed(bot: Bot) -> None:
    job = await bot.finished("tg:1")
    link = bot.links.path(job.id, job.person)
    async with httpx.AsyncClient(base_url=bot.address) as nobody:
        whole = await nobody.get(link)
        assert "m.safetensors" in whole.headers["content-disposition"]
        part = await nobody.get(link, headers={"range": "bytes=1000-"})
        assert (part.status_code, part.content) == (206, LORA[1000:])
        head = await nobody.head(link)
        assert head.headers["content-length"] == str(len(LORA))
        same = await nobody.get(link, headers={"if-none-match": whole.headers["etag"]})
        assert same.status_code == 304


async def test_an_old_link_is_gone_and_a_forged_one_is_nothing(bot: Bot) -> None:
    job = await bot.finished("tg:1")
    old = Links("secret", hours=1)
    async with httpx.AsyncClient(base_url=bot.address) as nobody:
        token = old.path(job.id, "tg:2")
        assert (await nobody.get(token)).status_code == 404
        assert (await nobody.get(token[:-1] + "_")).status_code == 404
        bot.links.hours = -1
        answer = await nobody.get(bot.links.path(job.id, job.person))
        assert answer.status_code == 410
        assert "/models" in answer.text


async def test_a_post_delivered_twice_has_its_effect_once(bot: Bot) -> None:
    async with WebPerson(bot.address) as one:
        same = {"id": uuid.uuid4().hex, "text": "/help"}
        for _ in range(2):
            assert (await one.http.post("/say", json=same)).status_code == 200
        await one.say("/status")
        await one.until(lambda: one.said("no draft"))
        assert len([m for m in one.in_order() if "/queue" in m["text"]]) == 1


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{}", "application/json"),
        (b'{"id": "abcd", "text": ""}', "application/json"),
        (b'{"id": "../x", "text": "a"}', "application/json"),
        (b"\xff", "application/json"),
        (b'{"id": "abcd", "text": "a"}', "text/plain"),
        (b'{"id": "abcd", "text": "' + b"a" * 70_000 + b'"}', "application/json"),
    ],
)
async def test_a_malformed_post_is_refused_with_a_sentence(
    bot: Bot, body: bytes, kind: str
) -> None:
    async with WebPerson(bot.address) as one:
        answer = await one.http.post("/say", content=body, headers={"content-type": kind})
        assert answer.status_code in (400, 413, 415)
        assert answer.json()["error"]


async def test_a_file_that_is_too_large_is_refused_while_it_comes(bot: Bot) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        for _ in range(200):
            yield b"\0" * 1_000_000

    async with WebPerson(bot.address) as one:
        headers = {"content-type": "multipart/form-data; boundary=x"}
        began = time.monotonic()
        try:
            answer = await one.http.post(
                "/upload", params={"id": "abcdef"}, content=endless(), headers=headers
            )
            assert answer.status_code == 413
        except httpx.TransportError:
            assert time.monotonic() - began < 30  # cut off while still sending


async def test_every_answer_carries_the_headers_that_protect_the_page(bot: Bot) -> None:
    async with httpx.AsyncClient(base_url=bot.address) as nobody:
        for path in ("/", "/nothing", "/static/chat.js", "/healthz"):
            headers = (await nobody.get(path)).headers
            assert "default-src 'self'" in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"


async def test_a_taken_port_is_told_before_work_begins(
    bot: Bot, database: Database, cells: Cells, tmp_path: Path
) -> None:
    port = int(bot.address.rpartition(":")[2])
    site = Site(secret="s", spool=tmp_path, port=port)
    with pytest.raises(PortTakenError, match="WEB_PORT"):
        Web(database, bot.blobs, bot.links, site, cells).listen()
