"""The server: HTTP in, methods, HTTP out. Faults are ordered beforehand, by method."""

import asyncio
import contextlib
import json
import re
import socket
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Iterator
from typing import Self

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.bot_api.call import Call, Upload
from tests.bot_api.chats import BOT, Chat, Chats
from tests.bot_api.feed import Feed
from tests.bot_api.files import Files
from tests.bot_api.methods import Methods
from tests.bot_api.people import Group, Person
from tests.bot_api.refusals import RefusedError, flood

TOKEN = "4242:made-up-token-of-a-test-bot"
TOKEN_FORM = re.compile(r"\d+:[\w-]+")
JSON_FIELDS = {
    "allowed_updates",
    "commands",
    "entities",
    "caption_entities",
    "link_preview_options",
    "media",
    "reaction",
    "reply_markup",
    "reply_parameters",
    "scope",
}


class BotApi:
    """``token`` is the one it knows. Everything is counted in ``calls``, by method in lower case.

    It lives in the loop that starts it, and answers other processes as well.
    """

    def __init__(self, token: str = TOKEN) -> None:
        self.token = token
        self.url = ""
        self.feed = Feed()
        self.files = Files()
        self.chats = Chats()
        self.methods = Methods(self.feed, self.files, self.chats)
        self.calls: Counter[str] = Counter()
        self._refusals: defaultdict[str, deque[RefusedError]] = defaultdict(deque)
        self._lost: Counter[str] = Counter()
        self._cut: Counter[str] = Counter()
        self._stopped = asyncio.Event()
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._ids = iter(range(1001, 10_000))

    async def start(self, port: int = 0) -> Self:
        self._stopped.clear()
        listening = socket.create_server(("127.0.0.1", port))
        # Answers go in two pieces; a socket made by hand would hold back the second for 40 ms.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        app = Starlette(
            routes=[
                Route("/bot{token}/{method}", self._method, methods=["GET", "POST"]),
                Route("/file/bot{token}/{path:path}", self._file),
            ]
        )
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", ws="none", http="h11"
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listening]))
        await self._server.opened.wait()
        return self

    async def stop(self) -> None:
        """What the chats show stays, and so do the updates: ``start`` again goes on."""
        if self._server is None or self._serving is None:
            return
        self._stopped.set()
        await self.methods.unhook()
        self.feed.end(RefusedError(502, "Bad Gateway"))
        self._server.should_exit = True
        await self._serving

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def username(self) -> str:
        return str(BOT["username"])

    def person(self, name: str = "Ada", language: str = "en") -> Person:
        number = next(self._ids)
        chat = self.chats.open(Chat(number, "private", name))
        sender = {"id": number, "is_bot": False, "first_name": name, "language_code": language}
        return Person(self.methods, chat, sender)

    def group(self, title: str = "Friends") -> Group:
        number = next(self._ids)
        chat = self.chats.open(Chat(-number, "group", title))
        return Group(self.methods, chat)

    def refuse(self, method: str, refusal: RefusedError, times: int = 1) -> None:
        self._refusals[method.lower()].extend([refusal] * times)

    def flood(self, method: str, retry_after: int) -> None:
        self.refuse(method, flood(retry_after))

    def lose_answer(self, method: str) -> None:
        """The next call has its effect, and its answer never comes."""
        self._lost[method.lower()] += 1

    def cut_answer(self, method: str) -> None:
        """The next call has its effect, and the connection breaks in the answer."""
        self._cut[method.lower()] += 1

    async def _method(self, request: Request) -> Response:
        name = request.path_params["method"].lower()
        self.calls[name] += 1
        try:
            self._check(request)
            call = await _read(request)
            self.files.check_upload(sum(len(data) for _, data in call.uploads.values()))
            if self._refusals[name]:
                raise self._refusals[name].popleft()
            result = await self.methods.table().get(name, _unknown)(call)
        except RefusedError as refusal:
            return JSONResponse(refusal.body(), refusal.code)
        return await self._answer(name, {"ok": True, "result": result})

    async def _answer(self, name: str, body: dict[str, object]) -> Response:
        if self._lost[name]:
            self._lost[name] -= 1
            await self._stopped.wait()
        if self._cut[name]:
            self._cut[name] -= 1
            return StreamingResponse(_half(), headers={"Content-Length": "100"})
        return JSONResponse(body)

    async def _file(self, request: Request) -> Response:
        try:
            self._check(request)
            return Response(await self.files.download(request.path_params["path"]))
        except RefusedError as refusal:
            return JSONResponse(refusal.body(), refusal.code)

    def _check(self, request: Request) -> None:
        if self._stopped.is_set():
            raise RefusedError(502, "Bad Gateway")
        token = request.path_params["token"]
        if not TOKEN_FORM.fullmatch(token):
            raise RefusedError(404, "Not Found")
        if token != self.token:
            raise RefusedError(401, "Unauthorized")


class _Server(uvicorn.Server):
    """Leaves the signals to the process it lives in, and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.opened = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.opened.set()


async def _unknown(_: Call) -> object:
    raise RefusedError(404, "Not Found")


async def _half() -> AsyncIterator[bytes]:
    yield b'{"ok":'  # less than was promised: the connection breaks


async def _read(request: Request) -> Call:
    """Query, form, multipart or JSON: the document allows all four."""
    values: dict[str, object] = dict(request.query_params)
    uploads: dict[str, Upload] = {}
    if request.headers.get("content-type", "").startswith("application/json"):
        return Call(values | await request.json(), uploads)
    async with request.form(max_part_size=1 << 20) as form:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                uploads[name] = (value.filename or name, await value.read())
            else:
                values[name] = json.loads(value) if name in JSON_FIELDS else value
    return Call(values, uploads)
