"""Captions from a vision server: a real one on the loopback that answers as it is told."""

import asyncio
import base64
import gzip
import json
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import pytest

from pipeline.captions.vision import LONGEST_PAUSE_S, MOST_BYTES, Vision, VisionError

KEY = "made-up-key-4242"
JPEG = b"\xff\xd8 the bytes of a picture"
OK = "200 OK"


def reply(status: str = OK, body: bytes = b"", *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def says(content: Any) -> bytes:
    message = {"role": "assistant", "content": content}
    return reply(OK, json.dumps({"choices": [{"index": 0, "message": message}]}).encode())


ENDLESS = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"


class Server:
    """Answers with ``replies`` in their order; None keeps the caller waiting."""

    def __init__(self) -> None:
        self.replies: deque[bytes | None] = deque()
        self.asked: list[dict[str, Any]] = []
        self.heads: list[str] = []
        self.url = ""
        self._released = asyncio.Event()

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        return server

    def release(self) -> None:
        self._released.set()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            (size,) = (
                int(line.partition(":")[2])
                for line in head.lower().split("\r\n")
                if line.startswith("content-length:")
            )
            self.heads.append(head)
            self.asked.append(json.loads(await reader.readexactly(size)))
            answer = self.replies.popleft()
            if answer is None:
                await self._released.wait()
            else:
                writer.write(answer)
                await writer.drain()
            while answer is ENDLESS:
                writer.write(b" " * 65536)
                await writer.drain()
        except ConnectionError:
            pass  # a caller that has heard enough hangs up
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    one = Server()
    async with await one.start():
        yield one
        one.release()


class Pauses(list[float]):
    """A sleep that only counts."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


def vision(server: Server, pauses: Pauses, *models: str, timeout_s: float = 10.0) -> Vision:
    return Vision(
        url=server.url, key=KEY, models=models, timeout_s=timeout_s, tries=3, sleep=pauses
    )


async def described(one: Vision) -> str:
    return (await one.describe(JPEG, "Describe it.")).sentence


# --- what is sent --------------------------------------------------------------------------------


async def test_the_picture_is_sent_with_the_instruction(server: Server, pauses: Pauses) -> None:
    server.replies = deque([says("A woman in a garden.")])
    assert await described(vision(server, pauses, "seer")) == "A woman in a garden."
    (asked,), (head,) = server.asked, server.heads
    text, picture = asked["messages"][0]["content"]
    assert (asked["model"], asked["temperature"], text["text"]) == ("seer", 0, "Describe it.")
    assert asked["max_tokens"] > 0
    kind, _, data = picture["image_url"]["url"].partition(",")
    assert (kind, base64.b64decode(data)) == ("data:image/jpeg;base64", JPEG)
    assert head.startswith("POST /v1/chat/completions HTTP/1.1")
    assert f"authorization: Bearer {KEY}" in head.replace("Authorization", "authorization")


async def test_without_a_key_and_a_model_none_is_sent(server: Server, pauses: Pauses) -> None:
    server.replies = deque([says("A cat.")])
    one = Vision(url=server.url, sleep=pauses)
    assert await described(one) == "A cat."
    assert "model" not in server.asked[0]
    assert "authorization" not in server.heads[0].lower()


async def test_proxies_of_the_environment_get_nothing(
    server: Server, pauses: Pauses, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.replies = deque([says("A cat.")])
    assert await described(vision(server, pauses)) == "A cat."


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
async def test_a_picture_does_not_follow_a_redirect(
    server: Server, pauses: Pauses, status: str
) -> None:
    server.replies = deque([reply(status, b"", f"location: {server.url}/chat/completions")])
    with pytest.raises(VisionError, match=f"HTTP {status[:3]}") as failed:
        await described(vision(server, pauses))
    assert failed.value.permanent
    assert len(server.asked) == 1


# --- once more -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first",
    [
        *(reply("500 Internal"), reply("503 Busy"), reply("429 Slow down"), reply("408 Late")),
        *(b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"),
    ],
)
async def test_what_failed_this_time_is_asked_again(
    server: Server, pauses: Pauses, first: bytes
) -> None:
    server.replies = deque([first, says("A cat.")])
    assert await described(vision(server, pauses)) == "A cat."
    assert len(pauses) == 1


async def test_the_pauses_grow(server: Server, pauses: Pauses) -> None:
    server.replies = deque([reply("500 Internal")] * 3)
    with pytest.raises(VisionError, match="HTTP 500") as failed:
        await described(vision(server, pauses))
    assert not failed.value.permanent
    first, second = pauses
    assert 0.8 <= first <= 1.2
    assert 1.6 <= second <= 2.4


@pytest.mark.parametrize(
    ("asked", "low", "high"),
    [
        *(("7", 7, 7), ("0", 0.8, 1.2), ("-5", 0.8, 1.2), ("soon", 0.8, 1.2)),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 0.8, 1.2),
        ("9" * 400, LONGEST_PAUSE_S, LONGEST_PAUSE_S),
        ("3600", LONGEST_PAUSE_S, LONGEST_PAUSE_S),
    ],
)
async def test_the_server_says_how_long_to_wait(
    server: Server, pauses: Pauses, asked: str, low: float, high: float
) -> None:
    server.replies = deque([reply("429 Slow", b"", f"retry-after: {asked}"), says("A cat.")])
    await described(vision(server, pauses))
    assert low <= pauses[0] <= high


async def test_a_server_that_says_nothing_is_given_up(server: Server, pauses: Pauses) -> None:
    server.replies = deque([None] * 3)
    with pytest.raises(VisionError, match="Time") as failed:
        await described(vision(server, pauses, timeout_s=0.05))
    assert not failed.value.permanent
    assert len(server.asked) == 3


async def test_nobody_there_can_be_tried_later(pauses: Pauses) -> None:
    server = Server()
    (await server.start()).close()
    with pytest.raises(VisionError, match="ConnectError") as failed:
        await described(vision(server, pauses))
    assert not failed.value.permanent
    assert len(pauses) == 2


# --- the next model ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        *(reply("404 No model"), reply("400 Bad"), reply("401 Who"), reply("413 Large")),
        *(reply(OK, b""), reply(OK, b"<html>"), reply(OK, b"[" * 50_000), reply(OK, b"\xff\xfe")),
        *(reply(OK, b"[]"), reply(OK, b"{}"), reply(OK, b'{"choices": []}'), reply(OK, b"null")),
        *(reply(OK, b'{"choices": [{"message": null}]}'), reply(OK, b'{"choices": "abc"}')),
        *(says(None), says(5), says(["a"]), says(""), says(" \n\u0007 "), says('"**"')),
        *(says("I'm sorry, I can't help."), says("I’m unable to say."), says("As an AI, I")),
        says("<think>A woman? A man?"),
    ],
)
async def test_a_model_that_is_of_no_use_gives_way_to_the_next(
    server: Server, pauses: Pauses, answer: bytes
) -> None:
    server.replies = deque([answer, says("A cat.")])
    assert await described(vision(server, pauses, "first", "second")) == "A cat."
    assert [asked["model"] for asked in server.asked] == ["first", "second"]
    assert pauses == []


async def test_after_all_its_tries_the_next_model_has_its_own(
    server: Server, pauses: Pauses
) -> None:
    busy = reply("503 Busy")
    server.replies = deque([busy, busy, busy, busy, says("A cat.")])
    assert await described(vision(server, pauses, "first", "second")) == "A cat."
    assert [asked["model"] for asked in server.asked] == ["first"] * 3 + ["second"] * 2


async def test_in_the_end_it_is_told_which_model_failed_how(server: Server, pauses: Pauses) -> None:
    server.replies = deque([reply("404 No model"), says("")])
    with pytest.raises(
        VisionError, match=r"^first: HTTP 404; second: it gave no caption$"
    ) as failed:
        await described(vision(server, pauses, "first", "second"))
    assert failed.value.permanent


async def test_one_model_that_may_come_back_is_reason_to_ask_later(
    server: Server, pauses: Pauses
) -> None:
    server.replies = deque([reply("500 Internal")] * 3 + [reply("404 No model")])
    with pytest.raises(VisionError) as failed:
        await described(vision(server, pauses, "first", "second"))
    assert not failed.value.permanent


# --- what comes back -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (' "A woman\n\nin a\tgarden." ', "A woman in a garden."),
        ("A\u0000 bell\u0007 and\u202e more\ud800", "A bell and more"),
        ("<think>Is it?\nYes.</think>\nA cat.", "A cat."),
        ("Here is a caption for the picture: A cat.", "A cat."),
        ("**Caption:** A cat.", "A cat."),
        ("A cat: it sleeps.", "A cat: it sleeps."),
        ("Un café à Köln 🎩", "Un café à Köln 🎩"),
        ("A cat. " * 100, ("A cat. " * 57).strip()),
        ("cat " * 200, ("cat " * 100).strip()),
    ],
)
async def test_an_answer_becomes_one_clean_line(
    server: Server, pauses: Pauses, text: str, sentence: str
) -> None:
    server.replies = deque([says(text)])
    assert await described(vision(server, pauses)) == sentence


async def test_an_answer_without_an_end_is_not_waited_for(server: Server, pauses: Pauses) -> None:
    server.replies = deque([ENDLESS, says("A cat.")])
    assert await described(vision(server, pauses, "first", "second")) == "A cat."


async def test_a_packed_answer_is_not_unpacked(server: Server, pauses: Pauses) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    assert len(bomb) < MOST_BYTES
    server.replies = deque([reply(OK, bomb, "content-encoding: gzip")])
    with pytest.raises(VisionError, match="not the interface's"):
        await described(vision(server, pauses))
    assert "accept-encoding: identity" in server.heads[0].lower()


# --- what nobody may read ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer", [reply("401 Who", KEY.encode()), reply("500 Internal"), says(""), b"", None]
)
async def test_key_and_picture_are_in_no_log_and_no_error(
    server: Server, pauses: Pauses, answer: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    server.replies = deque([answer] * 3)
    one = vision(server, pauses, timeout_s=0.2)
    with pytest.raises(VisionError) as failed:
        await described(one)
    told = f"{one!r} {failed.value} {failed.value!r} {caplog.text}"
    assert KEY not in told
    assert base64.b64encode(JPEG).decode()[:12] not in told


@pytest.mark.parametrize("key", ["schlüssel", "two\nlines"])
async def test_a_key_that_cannot_be_sent_is_not_told_either(
    server: Server, pauses: Pauses, key: str
) -> None:
    with pytest.raises(VisionError) as failed:
        await Vision(url=server.url, key=key, sleep=pauses).describe(JPEG, "Describe it.")
    assert key not in str(failed.value)


@pytest.mark.parametrize("url", ["http://", "http://[broken", "ftp://127.0.0.1", "nowhere"])
async def test_an_address_that_is_none_is_an_error_of_ours(url: str, pauses: Pauses) -> None:
    with pytest.raises(VisionError):
        await Vision(url=url, sleep=pauses).describe(JPEG, "Describe it.")
