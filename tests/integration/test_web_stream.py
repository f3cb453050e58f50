"""The event stream and the uploads over real HTTP, with a scripted bot behind them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.frontend import Message
from bot.frontends import web
from storage.database import Database
from tests.browser import HELLO, Script, serving
from tests.drawn import photos
from tests.patience import PATIENCE_S
from tests.web_client import WebPerson

PART = b'Content-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
MULTIPART = {"content-type": "multipart/form-data; boundary=x"}


@pytest.fixture
async def script(database: Database, tmp_path: Path) -> AsyncIterator[Script]:
    async with serving(database, tmp_path) as one:
        yield one


async def told(http: httpx.AsyncClient, **headers: str) -> list[dict[str, Any]]:
    """What a stream tells until it is up to date."""
    found = []
    async with http.stream("GET", "/events", headers=headers) as answer:
        async for line in answer.aiter_lines():
            if line == "event: ready":
                break
            if line.startswith("data: "):
                found.append(json.loads(line[6:]))
    return found


async def test_a_stream_goes_on_where_the_last_one_ended(script: Script) -> None:
    async with WebPerson(script.web.address) as one:
        await one.until(lambda: one.chat)
        for n in range(3):
            await script.web.send(one.chat, Message(text=f"m{n}"), key=f"k{n}")
        assert [m["text"] for m in await told(one.http)] == ["m0", "m1", "m2"]
        later = await told(one.http, **{"last-event-id": "2"})
        assert [m["text"] for m in later] == ["m2"]


async def test_a_long_dialogue_comes_whole(script: Script) -> None:
    async with WebPerson(script.web.address) as one:
        await one.until(lambda: one.chat)
        for n in range(401):
            await script.web.send(one.chat, Message(text=str(n)), key=f"k{n}")
        assert [m["text"] for m in await told(one.http)] == [str(n) for n in range(401)]


async def test_an_edited_message_keeps_its_place(script: Script) -> None:
    async with WebPerson(script.web.address) as one:
        await one.until(lambda: one.chat)
        first = await script.web.send(one.chat, Message(text="first"), key="a")
        await script.web.send(one.chat, Message(text="second"), key="b")
        await script.web.edit(one.chat, first, Message(text="first, edited"))
        await one.until(lambda: one.said("edited"))
        assert [m["text"] for m in one.in_order()] == ["first, edited", "second"]


async def test_the_same_key_is_the_same_message(script: Script) -> None:
    async with WebPerson(script.web.address) as one:
        await one.until(lambda: one.chat)
        for _ in range(2):
            await script.web.send(one.chat, HELLO, key="hello")
        assert len(await told(one.http)) == 1


@pytest.mark.parametrize("since", ["-1", "x", "9" * 40, "٣", "1.5"])
async def test_a_made_up_place_in_the_stream_is_the_beginning(script: Script, since: str) -> None:
    async with WebPerson(script.web.address) as one:
        await one.until(lambda: one.chat)
        await script.web.send(one.chat, HELLO, key="hello")
        params = {"since": since}
        async with one.http.stream("GET", "/events", params=params) as answer:
            lines = answer.aiter_lines()
            assert "Hello" in [line async for line in until_data(lines)][-1]


async def until_data(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    async for line in lines:
        yield line
        if line.startswith("data: "):
            return


async def test_the_page_opened_longest_ago_makes_room(script: Script) -> None:
    async with WebPerson(script.web.address) as one, asyncio.timeout(PATIENCE_S):
        await one.http.get("/")
        parked = asyncio.Event()

        async def look() -> None:
            async with one.http.stream("GET", "/events") as answer:
                async for line in answer.aiter_lines():
                    if line == "event: parked":
                        parked.set()

        # Its own stream parks first, then that of a page opened here.
        looking = [asyncio.create_task(look()) for _ in range(6)]
        await parked.wait()
        for task in looking:
            task.cancel()
        await asyncio.gather(*looking, return_exceptions=True)


async def test_a_bot_that_stops_does_not_wait_for_open_pages(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "STOP_S", 2 * PATIENCE_S)
    async with serving(database, tmp_path) as script:
        person = WebPerson(script.web.address)
        await person.__aenter__()
        await person.until(lambda: person.chat)
        began = time.monotonic()
    assert time.monotonic() - began < PATIENCE_S
    await person.__aexit__()


async def test_localhost_is_the_same_person_as_its_number(script: Script) -> None:
    address = script.web.address.replace("127.0.0.1", "localhost")
    async with httpx.AsyncClient() as http:
        answer = await http.get(address + "/")
    assert answer.headers["location"] == script.web.address + "/"
    assert "set-cookie" not in answer.headers


async def test_a_link_from_elsewhere_does_not_make_a_new_person(script: Script) -> None:
    async with httpx.AsyncClient(base_url=script.web.address) as http:
        answer = await http.get("/", headers={"sec-fetch-site": "cross-site"})
    assert "set-cookie" not in answer.headers
    assert 'http-equiv="refresh"' in answer.text


@pytest.mark.parametrize("cookie", ["", "abc", "abc.def.ghi"])
async def test_a_forged_cookie_is_nobody(script: Script, cookie: str) -> None:
    name = f"lorabot_{script.web.address.rpartition(':')[2]}"
    async with httpx.AsyncClient(base_url=script.web.address) as http:
        answer = await http.get("/events", headers={"cookie": f"{name}={cookie}"})
    assert answer.status_code == 404


async def test_files_arrive_whole_and_leave_no_trace_in_the_spool(
    script: Script, tmp_path: Path
) -> None:
    pictures = photos(3)
    async with WebPerson(script.web.address) as one:
        await one.upload(pictures)
        (incoming,) = await script.until(1)
        assert [a.suffix for a in incoming.attachments] == [".png"] * 3
        assert [a.file_bytes for a in incoming.attachments] == [len(p) for p in pictures]
        await one.until(lambda: one.said("3 came"))
    assert not list((tmp_path / "spool").iterdir())


async def test_what_a_person_did_is_shown_again_after_a_reload(script: Script) -> None:
    async with WebPerson(script.web.address) as one:
        await one.say("hello there")
        await one.upload(photos(2))
        shown = await told(one.http)
    assert [m["from"] for m in shown] == ["me", "bot", "me", "bot"]
    assert len(shown[2]["files"]) == 2


def upload_of(*files: bytes) -> bytes:
    return b"".join(b"--x\r\n" + PART + one + b"\r\n" for one in files) + b"--x--\r\n"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"--x--\r\n", 400),
        (b"--y\r\n", 400),
        (upload_of(b"data")[:-6], 400),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n', 400),
        (upload_of(*([b"d"] * 31)), 413),
        (upload_of(b"d" * 50_000_001), 413),
    ],
)
async def test_a_broken_upload_is_refused_with_a_sentence(
    script: Script, tmp_path: Path, body: bytes, status: int
) -> None:
    async with WebPerson(script.web.address) as one:
        answer = await one.http.post(
            "/upload", params={"id": "abcd"}, content=body, headers=MULTIPART
        )
        assert (answer.status_code, bool(answer.json()["error"])) == (status, True)
    assert script.came == []
    assert not list((tmp_path / "spool").iterdir())


async def raw(
    script: Script, person: WebPerson, head: str, body: bytes, *, hangs_up: bool = True
) -> bytes:
    """An upload written by hand, as no client would; the first line of its answer, if there is one.
    Who hangs up may not hear it.
    """
    host = script.web.address.removeprefix("http://")
    reader, writer = await asyncio.open_connection(*host.split(":"))
    cookie = "; ".join(f"{name}={value}" for name, value in person.http.cookies.items())
    start = f"POST /upload?id=abcd HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\n"
    kind = "Content-Type: multipart/form-data; boundary=x\r\n"
    writer.write(f"{start}{kind}Cookie: {cookie}\r\n{head}\r\n\r\n".encode() + body)
    await writer.drain()
    if hangs_up:
        writer.write_eof()
    answer = await asyncio.wait_for(reader.readline(), PATIENCE_S)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_a_declared_length_over_the_limit_is_refused_unread(script: Script) -> None:
    async with WebPerson(script.web.address) as one:
        answer = await raw(script, one, "Content-Length: 500000001", b"--x\r\n", hangs_up=False)
    assert answer.startswith(b"HTTP/1.1 413")


async def test_a_body_shorter_than_declared_is_not_received(script: Script) -> None:
    async with WebPerson(script.web.address) as one:
        await raw(script, one, "Content-Length: 90000", upload_of(b"data"))
        await one.say("next")
        assert len(await script.until(1)) == 1
    assert script.came[0].attachments == ()


async def test_a_thumbnail_is_a_small_jpeg_for_its_own_chat(script: Script) -> None:
    async with WebPerson(script.web.address) as one:
        await one.upload(photos(1))
        (name,) = next(m["files"] for m in await told(one.http) if "files" in m)
        answer = await one.http.get(f"/thumb/{name}")
        assert answer.headers["content-type"] == "image/jpeg"
        assert len(answer.content) < 20_000
        sha256 = name.partition(".")[0]
        assert (await one.http.get(f"/thumb/{sha256}.forged")).status_code == 404


async def test_an_unknown_button_is_refused(script: Script) -> None:
    async with WebPerson(script.web.address) as one:
        for data in ("", "x", "a b::", "v:" + "x" * 80):
            answer = await one.http.post("/press", json={"id": "abcd", "data": data})
            assert answer.status_code == 400
    assert script.came == []
