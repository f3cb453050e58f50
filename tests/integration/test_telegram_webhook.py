"""Telegram brings its updates to the bot's own web app, over real HTTP."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from bot.events import Command, Text
from bot.frontend import Receive
from bot.frontends.telegram import Telegram
from bot.frontends.web import Site, Web
from bot.links import Links
from bot.telegram import bringing, polling
from bot.telegram.webhook import HEADER, MOST_BYTES, PATH, Webhook, secret_of
from pictures.sandbox import Cells
from storage import inbox_store
from storage.blob_store import LocalBlobs
from storage.database import Database
from tests.bot_api import BotApi, Person
from tests.bot_api.adapter import Recorder, running, start_process
from tests.conftest import eventually
from tests.service import free_port

SECRET = secret_of("the server's own secret", "4242:made-up-token-of-a-test-bot")
UPDATE = {"update_id": 900_000_000}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr("bot.frontends.telegram.STOP_S", 0.1)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[BotApi]:
    """In its local mode: another one would go to no address of this machine."""
    async with BotApi() as one:
        one.files.folder = tmp_path / "server"
        yield one


@dataclass
class House:
    """The web app with its door for Telegram, and the bot behind it."""

    api: BotApi
    database: Database
    web: Web
    hook: Webhook

    @asynccontextmanager
    async def bot(self, receive: Receive) -> AsyncIterator[Telegram]:
        api, database = self.api, self.database
        one = Telegram(api.token, api_url=api.url, database=database, webhook=self.hook)
        task = asyncio.create_task(one.run(receive))
        try:
            yield one
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def posts(self, body: object, **headers: str) -> httpx.Response:
        """As Telegram does, where no header says otherwise."""
        sent = {HEADER: SECRET, "content-type": "application/json", **headers}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with httpx.AsyncClient(trust_env=False) as client:
            return await client.post(self.hook.url, content=data, headers=sent)


@pytest.fixture
async def house(
    api: BotApi, database: Database, cells: Cells, tmp_path: Path
) -> AsyncIterator[House]:
    port = free_port()
    hook = Webhook(f"http://127.0.0.1:{port}/", SECRET)
    site = Site(secret="secret", spool=tmp_path / "spool", port=port, hook=hook)
    blobs = LocalBlobs(tmp_path / "blobs")
    web = Web(database, blobs, Links("secret", hours=1), site, cells)
    web.listen()
    serving = asyncio.create_task(web.run(Recorder().receive))
    await web.ready.wait()
    yield House(api, database, web, hook)
    await api.methods.unhook()
    serving.cancel()
    with suppress(asyncio.CancelledError):
        await serving


async def kept(database: Database) -> list[str]:
    async with database.read() as tx:
        return [number for number, _ in await inbox_store.pending(tx, "tg")]


async def test_what_is_said_is_brought(house: House, api: BotApi, ada: Person) -> None:
    core = Recorder()
    async with house.bot(core.receive):
        await ada.says("/train")
        await ada.says("mochi")
        await core.has(2)
        assert api.methods.webhook == house.hook.url
        assert api.token not in house.hook.url
        assert set(api.feed.wanted) == set(polling.WANTED)
        assert (api.feed.polls, api.methods.dropped) == (0, False)
    assert {str(one) for one in core.events} == {str(Command("train")), str(Text("mochi"))}


async def test_an_update_is_kept_before_it_is_answered_for(
    house: House, api: BotApi, ada: Person, database: Database
) -> None:
    seen: list[int] = []

    async def confirming(ids: list[int]) -> None:
        waiting = await kept(database)
        seen.extend(one for one in ids if str(one) in waiting)

    api.feed.on_confirm = confirming
    core = Recorder()
    core.gate.clear()  # nothing is ever finished, so what is kept can be seen
    async with house.bot(core.receive):
        ids = {await ada.says("one"), await ada.says("two")}
        await eventually(lambda: _confirmed(api, 2))
    assert set(seen) == ids
    again = Recorder()
    async with house.bot(again.receive):
        await again.has(2)


async def test_no_more_come_at_once_than_were_asked_for(
    house: House, api: BotApi, ada: Person
) -> None:
    for number in range(40):
        await ada.says(str(number))
    core = Recorder()
    async with house.bot(core.receive):
        await core.has(40)
        assert api.methods.bringer is not None
        assert api.methods.bringer.most_at_once <= bringing.AT_ONCE


async def test_the_same_update_has_its_effect_once(house: House, database: Database) -> None:
    ada = house.api.person("Ada")
    core = Recorder()
    async with house.bot(core.receive):
        await ada.says("hello")
        await core.has(1)
        number = int(core.incoming[0].update_id)
        await eventually(lambda: _nothing(database))
        body = {"update_id": number, "message": {"secret": "of a repetition"}}
        assert (await house.posts(body)).status_code == 200
        await ada.says("again")
        await core.has(2)
    assert core.events == [Text("hello"), Text("again")]


async def test_before_the_bot_is_there_updates_stay_with_telegram(
    house: House, api: BotApi, ada: Person
) -> None:
    """A webhook of the start before: Telegram knows the address already."""
    assert (await house.posts(UPDATE)).status_code == 503
    core = Recorder()
    async with house.bot(core.receive):
        await ada.says("one")
        await core.has(1)
    await ada.says("two")
    # The door is still open in this process: kept, and done by the next bot.
    await eventually(lambda: _confirmed(api, 2))
    async with house.bot(core.receive):
        await core.has(2)
    assert core.events == [Text("one"), Text("two")]


async def test_a_stranger_finds_nothing(house: House) -> None:
    secrets = ("", "wrong", SECRET[:-1], SECRET + "a", SECRET.upper(), "ü")
    body = json.dumps(UPDATE).encode()
    async with house.bot(Recorder().receive), httpx.AsyncClient(trust_env=False) as client:
        for secret in secrets:
            given = {HEADER.encode(): secret.encode()} if secret else {}
            headers = {b"content-type": b"application/json", **given}
            for method in ("POST", "GET", "PUT", "OPTIONS"):
                url = house.hook.url
                answer = await client.request(method, url, content=body, headers=headers)
                assert answer.status_code == 404
        assert not await kept(house.database)


async def test_telegram_itself_has_to_say_it_properly(house: House) -> None:
    async with house.bot(Recorder().receive), httpx.AsyncClient(trust_env=False) as client:
        got = await client.get(house.hook.url, headers={HEADER: SECRET})
        assert (got.status_code, got.headers["allow"]) == (405, "POST")
        plain = await house.posts(UPDATE, **{"content-type": "text/plain"})
        assert plain.status_code == 415
        broken: tuple[object, ...] = (b"", b"{", b"[]", b"7", b"[" * 100_000)
        for body in (*broken, {"update_id": "7"}, {"update_id": True}, {"message": {}}):
            assert (await house.posts(body)).status_code == 400
        assert not await kept(house.database)


async def test_a_body_without_end_is_cut_off(house: House) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 20 * MOST_BYTES:
            sent += 1 << 16
            yield b" " * (1 << 16)

    headers = {HEADER: SECRET, "content-type": "application/json"}
    async with house.bot(Recorder().receive), httpx.AsyncClient(trust_env=False) as client:
        try:
            answer = await client.post(house.hook.url, content=endless(), headers=headers)
        except httpx.WriteError:
            return  # cut off while it was still talking
        assert answer.status_code == 413


async def test_the_page_beside_the_door_is_as_it_was(house: House) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        root = house.hook.url.removesuffix(PATH)
        assert (await client.get(f"{root}/healthz")).status_code == 200
        assert (await client.post(f"{root}{PATH}/", headers={HEADER: SECRET})).status_code != 200


async def test_back_to_fetching_the_webhook_goes_and_nothing_is_lost(
    house: House, api: BotApi, database: Database
) -> None:
    ada = api.person("Ada")
    core = Recorder()
    async with house.bot(core.receive):
        await ada.says("one")
        await core.has(1)
    await api.methods.unhook()  # nobody brings it: it waits
    api.methods.webhook = house.hook.url
    await ada.says("two")
    async with running(api, database, core.receive):
        await core.has(2)
        assert (api.methods.webhook, api.methods.dropped) == ("", False)
    assert core.events == [Text("one"), Text("two")]


async def test_a_webhook_that_another_program_sets_is_taken_away_again(
    api: BotApi, ada: Person, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    core = Recorder()
    async with running(api, database, core.receive):
        await ada.says("one")
        await core.has(1)
        api.methods.webhook = "https://other.example/hook"
        await ada.says("two")  # ends the poll that waits; the next one is refused
        await ada.says("three")
        await core.has(3)
        await eventually(lambda: _logged(caplog, "another program set a webhook"))
    assert "another program reads" not in caplog.text


async def test_the_address_is_set_again_and_trouble_is_told_once(
    house: House, api: BotApi, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(bringing, "LOOK_S", 0.02)
    core = Recorder()
    async with house.bot(core.receive):
        await eventually(lambda: _set(api, house.hook.url))
        api.methods.webhook = "https://other.example/hook"
        await eventually(lambda: _set(api, house.hook.url))
        assert api.methods.bringer is not None
        api.methods.bringer.error = "Wrong response from the webhook: 502 Bad Gateway"
        await eventually(lambda: _logged(caplog, "502 Bad Gateway"))
    assert "another program changed this bot's webhook" in caplog.text
    assert api.token not in caplog.text
    assert SECRET not in caplog.text


async def test_a_refused_address_is_said_and_tried_again(
    house: House, api: BotApi, ada: Person, caplog: pytest.LogCaptureFixture
) -> None:
    api.files.folder, folder = None, api.files.folder
    core = Recorder()
    async with house.bot(core.receive):
        await eventually(lambda: _logged(caplog, "check PUBLIC_URL"))
        api.files.folder = folder
        await ada.says("hello")
        await core.has(1)


def test_the_secret_is_the_same_again_and_another_one_for_another_bot() -> None:
    assert secret_of("a", "1:x") == secret_of("a", "1:x")
    assert len({secret_of(*one) for one in (("a", "1:x"), ("a", "2:x"), ("b", "1:x"))}) == 3
    assert SECRET.isalnum()


async def test_the_whole_service_takes_what_is_brought(api: BotApi, tmp_path: Path) -> None:
    ada, port = api.person("Ada"), str(free_port())
    process = await start_process(
        api,
        tmp_path,
        TELEGRAM_WEBHOOK="1",
        TELEGRAM_LOCAL="1",
        PUBLIC_URL=f"http://127.0.0.1:{port}",
        WEB_PORT=port,
    )
    try:
        await ada.says("/start")
        await ada.reads("Hi!")
        assert api.feed.polls == 0
    finally:
        process.kill()
        await process.wait()
    log = (tmp_path / "bot.log").read_text()
    assert api.token not in log


async def _confirmed(api: BotApi, count: int) -> bool:
    return len(api.feed.confirmed) == count


async def _nothing(database: Database) -> bool:
    return await kept(database) == []


async def _logged(caplog: pytest.LogCaptureFixture, words: str) -> bool:
    return words in caplog.text


async def _set(api: BotApi, url: str) -> bool:
    return api.methods.webhook == url
