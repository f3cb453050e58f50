"""How calls to the Bot API fail, on real connections: gone out or not, and never with the token."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from telegram import InputFile
from telegram.error import TelegramError
from telegram.request import RequestData
from telegram.request._requestparameter import RequestParameter

from bot.frontend import TooLargeError
from bot.telegram.calls import Calls, ProxyError, proxy_of
from bot.telegram.errors import LostAnswerError, NotSentError, explain, name
from tests.redis_elsewhere import certificate

TOKEN = "123456:AAsecret"
EVERY_SIGN = "a & b=c; 100%41 + ü\n🎉 <b>\"?/#\\'</b>"
OK = b'HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n{"ok":true,"result":true}'
Act = Callable[["Line", asyncio.StreamWriter], Awaitable[None]]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


@dataclass
class Line:
    """A server that does what ``act`` says with each request that came in whole."""

    act: "Act"
    heads: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(length_of(head))
            async with self.came:
                self.heads.append(head)
                self.bodies.append(body)
                self.came.notify_all()
            await self.act(self, writer)


def length_of(head: bytes) -> int:
    found = LENGTH.search(head)
    return int(found[1]) if found else 0


async def answers(_: Line, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)


async def says_nothing(_: Line, __: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def breaks_off(_: Line, writer: asyncio.StreamWriter) -> None:
    writer.write(OK[:-5])
    writer.close()


async def answers_once(line: Line, writer: asyncio.StreamWriter) -> None:
    """And closes when the connection is used again."""
    if len(line.heads) == 1:
        writer.write(OK)
    else:
        writer.close()


@asynccontextmanager
async def listening(
    serve: Serve, most: int = 1 << 20, tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Its address. ``most`` bytes wait unread before the sender has to."""
    tasks: set[asyncio.Task[None]] = set()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            try:
                await serve(reader, writer)
            finally:
                writer.close()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(met(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0, limit=most, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    try:
        yield f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # what was closed is gone with the next turn


@asynccontextmanager
async def serving(act: Act, tls: ssl.SSLContext | None = None) -> AsyncIterator[Line]:
    line = Line(act)
    async with listening(line.serve, tls=tls) as line.url:
        yield line


@asynccontextmanager
async def calling(url: str, connections: int = 1, answer_s: float = 5.0) -> AsyncIterator[Calls]:
    async with Calls(url, connections, answer_s=answer_s, upload_s=answer_s) as calls:
        yield calls


def at(url: str) -> str:
    return f"{url}/bot{TOKEN}/sendMessage"


def form(**values: object) -> RequestData:
    return RequestData([RequestParameter.from_input(*one) for one in values.items()])


async def test_a_call_is_a_form_and_its_answer_json() -> None:
    async with serving(answers) as line, calling(line.url) as calls:
        assert await calls.post(at(line.url), form(text=EVERY_SIGN, chat_id=7)) is True
    assert parse_qs(line.bodies[0].decode()) == {"text": [EVERY_SIGN], "chat_id": ["7"]}
    assert line.heads[0].startswith(f"POST /bot{TOKEN}/sendMessage HTTP/1.1\r\n".encode())


async def test_a_file_goes_as_it_is_under_its_own_name() -> None:
    async with serving(answers) as line, calling(line.url) as calls:
        data = form(chat_id=7, document=InputFile(bytes(300_000), filename='ü "b".bin'))
        await calls.post(at(line.url), data)
    assert bytes(300_000) in line.bodies[0]
    assert 'filename="ü \\"b\\".bin"'.encode() in line.bodies[0]
    assert b'name="chat_id"' in line.bodies[0]


@pytest.mark.parametrize("act", [says_nothing, breaks_off])
async def test_a_call_without_an_answer_may_have_had_its_effect(
    act: Act,
) -> None:
    async with serving(act) as line, calling(line.url, answer_s=0.2) as calls:
        with pytest.raises(LostAnswerError) as caught:
            await calls.post(at(line.url), form(text="a"))
    assert len(line.heads) == 1
    assert TOKEN not in f"{caught.value!r} {caught.value.__cause__!r} {name(caught.value)}"


async def test_a_line_that_was_closed_meanwhile_is_not_tried_again_by_itself() -> None:
    async with serving(answers_once) as line, calling(line.url) as calls:
        await calls.post(at(line.url), form(text="first"))
        with pytest.raises(LostAnswerError):
            await calls.post(at(line.url), form(text="second"))
    assert line.bodies == [b"text=first", b"text=second"]


async def test_a_server_that_is_away_got_nothing() -> None:
    async with serving(answers) as line:
        url = line.url
    async with calling(url) as calls:
        with pytest.raises(NotSentError) as caught:
            await calls.post(at(url), form(text="a"))
    assert TOKEN not in f"{caught.value!r} {caught.value.__cause__!r} {name(caught.value)}"


async def test_what_waited_in_vain_for_a_connection_was_not_sent() -> None:
    async with serving(says_nothing) as line, calling(line.url, answer_s=0.3) as calls:
        first = asyncio.create_task(calls.post(at(line.url), form(text="a"), read_timeout=60))
        async with line.came:
            await line.came.wait_for(lambda: line.heads)
        with pytest.raises(NotSentError):
            await calls.post(at(line.url), form(text="b"), connect_timeout=0.1)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
    assert line.bodies == [b"text=a"]


async def test_calls_that_are_shut_send_nothing() -> None:
    with pytest.raises(NotSentError):
        await Calls("http://127.0.0.1:9", 1, answer_s=1, upload_s=1).post("http://127.0.0.1:9/")


async def test_a_file_that_does_not_move_any_more_is_given_up() -> None:
    async def reads_no_further(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.Event().wait()

    data = form(document=InputFile(bytes(20_000_000), filename="b"))
    async with listening(reads_no_further) as url, calling(url, answer_s=0.2) as calls:
        with pytest.raises(LostAnswerError):
            await calls.post(at(url), data)


async def test_a_file_that_is_refused_before_it_went_out_is_refused() -> None:
    async def refuses(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 2\r\n\r\n{}")
        await asyncio.Event().wait()

    data = form(document=InputFile(bytes(20_000_000), filename="b"))
    async with listening(refuses) as url, calling(url) as calls:
        with pytest.raises(TelegramError) as caught:
            await calls.post(at(url), data)
    assert isinstance(explain(caught.value, sending=True), TooLargeError)


async def test_a_file_that_moves_slowly_may_take_its_time() -> None:
    """Longer in all than any one silence may be."""
    file_bytes, answer_s, took = 50_000_000, 0.8, 0.0

    async def sips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal took
        began = asyncio.get_running_loop().time()
        left = length_of(await reader.readuntil(b"\r\n\r\n"))
        while left:
            left -= len(await reader.readexactly(min(left, file_bytes // 50)))
            await asyncio.sleep(0.04)  # this is the line that is slow
        took = asyncio.get_running_loop().time() - began
        writer.write(OK)

    data = form(document=InputFile(bytes(file_bytes), filename="b"))
    async with listening(sips, 1 << 16) as url, calling(url, answer_s=answer_s) as calls:
        assert await calls.post(at(url), data) is True
    assert took > 2 * answer_s  # of which one is for the answer


class TestCertificates:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        return certificate(tmp_path, "localhost")

    @pytest.fixture
    def tls(self, file: Path) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    async def test_one_that_the_environment_trusts_is_trusted(
        self, tls: ssl.SSLContext, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        async with serving(answers, tls) as line, calling(line.url) as calls:
            assert await calls.post(at(line.url)) is True

    async def test_to_a_stranger_nothing_is_sent(
        self, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        async with serving(answers, tls) as line, calling(line.url) as calls:
            with pytest.raises(NotSentError) as caught:
                await calls.post(at(line.url))
        assert (line.heads, name(caught.value)) == ([], "ClientConnectorCertificateError")

    async def test_through_a_proxy_only_the_other_end_hears_the_token(
        self, tls: ssl.SSLContext, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        heard = bytearray()

        async def passes_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.extend(await reader.readuntil(b"\r\n\r\n"))
            behind, beyond = await asyncio.open_connection("127.0.0.1", urlsplit(line.url).port)
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            with suppress(ConnectionError):
                await asyncio.gather(_pump(reader, beyond), _pump(behind, writer))

        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        async with serving(answers, tls) as line, listening(passes_on) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy)
            async with calling(line.url) as calls:
                assert await calls.post(at(line.url)) is True
        assert heard.startswith(b"CONNECT localhost:")
        assert TOKEN.encode() not in heard


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while piece := await source.read(1 << 16):
        target.write(piece)
    target.close()


class TestProxies:
    @pytest.fixture(autouse=True)
    def _none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for one in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
            monkeypatch.delenv(one, raising=False)
            monkeypatch.delenv(one.lower(), raising=False)

    async def test_a_proxy_of_the_environment_is_used(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with serving(answers) as proxy:
            monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("http://", "http://me:word@"))
            async with calling("http://telegram.invalid") as calls:
                assert await calls.post("http://telegram.invalid/bot1/getMe") is True
        assert proxy.heads[0].startswith(b"POST http://telegram.invalid/bot1/getMe HTTP/1.1\r\n")
        assert b"Proxy-Authorization: Basic bWU6d29yZA==" in proxy.heads[0]

    @pytest.mark.parametrize(
        ("variables", "proxy"),
        [
            ({}, None),
            ({"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
            ({"HTTPS_PROXY": "p:1"}, "http://p:1"),
            ({"ALL_PROXY": "http://p:1"}, "http://p:1"),
            ({"HTTP_PROXY": "http://p:1"}, None),
            ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "telegram.org"}, None),
            ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None),
            ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "other.org"}, "http://p:1"),
        ],
    )
    def test_it_is_chosen_as_everywhere_else(
        self, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], proxy: str | None
    ) -> None:
        for one, value in variables.items():
            monkeypatch.setenv(one, value)
        assert proxy_of("https://api.telegram.org") == proxy

    def test_one_that_we_cannot_use_is_not_passed_by(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ALL_PROXY", "socks5://p:1")
        with pytest.raises(ProxyError) as caught:
            proxy_of("https://api.telegram.org")
        assert caught.value.permanent
