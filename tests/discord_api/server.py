"""The server: REST in, the world, REST out. Faults are ordered beforehand, by route."""

import asyncio
import json
import time
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from tests.discord_api import checks, refusals
from tests.discord_api.interactions import Interactions
from tests.discord_api.people import Member
from tests.discord_api.refusals import FloodError, RefusedError
from tests.discord_api.session import GatewaySide
from tests.discord_api.world import TEXT, Channel, World

TOKEN = "made-up.token.of-a-test-bot"
Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[Any]]


@dataclass
class Bucket:
    """A rate limit of one route and its first id: so many calls in so many seconds."""

    limit: int = 50
    window_s: float = 1.0
    calls: deque[float] = field(default_factory=deque)

    def take(self) -> float:
        """Seconds to wait; 0: go on."""
        now = time.monotonic()
        while self.calls and now - self.calls[0] > self.window_s:
            self.calls.popleft()
        if len(self.calls) >= self.limit:
            return self.window_s - (now - self.calls[0])
        self.calls.append(now)
        return 0.0


class DiscordApi:
    """``calls`` counts by route's name, ``seen`` keeps (route, status, moment)."""

    def __init__(self, token: str = TOKEN) -> None:
        self.token = token
        self.url = ""
        self.world = World()
        self.interactions = Interactions(self.world)
        self.gateway = GatewaySide(token)
        self.cdn: dict[str, bytes] = {}
        self.commands: list[Json] = []
        self.calls: Counter[str] = Counter()
        self.seen: list[tuple[str, int, float]] = []
        self.limits: dict[str, tuple[int, float]] = {}
        self.download_s = 0.0
        self.hall: Channel | None = None
        self._faults: defaultdict[str, deque[Exception]] = defaultdict(deque)
        self._lost: Counter[str] = Counter()
        self._buckets: dict[str, Bucket] = {}
        self._runner: web.AppRunner | None = None
        bot = self.world.user("Lorabot")
        bot["bot"] = True
        self.world.bot = self.gateway.user = bot
        self.town = self.world.open(TEXT, guild=self.world.snowflake())
        self.gateway.guilds = [self.world.server(self.town)]

    def open_gallery(self, *, nsfw: bool = False) -> Channel:
        """Before the bot comes: another channel of the same server."""
        hall = self.hall = self.world.open(TEXT, guild=self.town.guild, nsfw=nsfw, gallery=True)
        self.gateway.guilds = [self.world.server(self.town, hall)]
        return hall

    # --- starting, faults ------------------------------------------------------------------------

    async def start(self, port: int = 0) -> Self:
        app = web.Application(client_max_size=200_000_000)
        for name, method, path, handler in self._routes():
            app.router.add_route(method, f"/api/v10{path}", self._guarded(name, handler))
        app.router.add_get("/gateway/", self.gateway.serve)
        app.router.add_get("/cdn/{name}", self._file)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        address = self._runner.addresses[0]
        self.url = f"http://{address[0]}:{address[1]}/api/v10"
        self.gateway.url = f"ws://{address[0]}:{address[1]}/gateway/"
        return self

    async def stop(self) -> None:
        if self._runner is not None:
            await self.gateway.close()
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def person(self, name: str = "Ada", language: str = "en-US") -> Member:
        return Member(self, self.world.user(name), language)

    def refuse(self, route: str, what: tuple[int, int, str], times: int = 1) -> None:
        self._faults[route].extend([RefusedError(what)] * times)

    def flood(self, route: str, retry_after: float, *, everywhere: bool = False) -> None:
        self._faults[route].append(FloodError(retry_after, everywhere=everywhere))

    def lose_answer(self, route: str) -> None:
        """The next call has its effect, and the connection breaks before the answer."""
        self._lost[route] += 1

    # --- routes ----------------------------------------------------------------------------------

    def _routes(self) -> list[tuple[str, str, str, Handler]]:
        channel, webhook = "/channels/{channel}", "/webhooks/{app}/{token}"
        one = "/messages/{message}"
        return [
            ("me", "GET", "/users/@me", self._me),
            ("application", "GET", "/oauth2/applications/@me", self._application),
            ("application", "GET", "/applications/@me", self._application),
            ("gateway", "GET", "/gateway/bot", self._gateway),
            ("register", "PUT", "/applications/{app}/commands", self._register),
            ("open_dm", "POST", "/users/@me/channels", self._open_dm),
            ("history", "GET", f"{channel}/messages", self._history),
            ("create", "POST", f"{channel}/messages", self._create),
            ("edit", "PATCH", channel + one, self._edit),
            ("delete", "DELETE", channel + one, self._delete),
            ("thread", "POST", f"{channel}/threads", self._thread),
            ("member", "GET", "/guilds/{guild}/members/{user}", self._member),
            ("join", "PUT", f"{channel}/thread-members/{{user}}", self._join),
            ("callback", "POST", "/interactions/{id}/{token}/callback", self._callback),
            ("follow_up", "POST", webhook, self._follow_up),
            ("change_answer", "PATCH", webhook + one, self._change_answer),
            ("delete_answer", "DELETE", webhook + one, self._delete_answer),
        ]

    def _guarded(
        self, name: str, handler: Handler
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def call(request: web.Request) -> web.Response:
            self.calls[name] += 1
            headers: dict[str, str] = {}
            try:
                headers = self._check(name, request)
                if self._faults[name]:
                    raise self._faults[name].popleft()
                result = await handler(request)
            except RefusedError as refusal:
                return self._noted(
                    name, _json(refusal.body, status=refusal.status, headers=headers)
                )
            except FloodError as flood:
                return self._noted(name, _flooded(flood, headers))
            if self._lost[name]:
                self._lost[name] -= 1
                assert request.transport is not None
                request.transport.abort()
            if result is None:
                return self._noted(name, web.Response(status=204, headers=headers))
            return self._noted(name, _json(result, headers=headers))

        return call

    def _noted(self, name: str, answer: web.Response) -> web.Response:
        self.seen.append((name, answer.status, time.monotonic()))
        return answer

    def _check(self, name: str, request: web.Request) -> dict[str, str]:
        """Who asks, and whether it is too often; the headers that every answer has."""
        by_token = "token" in request.match_info
        if not by_token and request.headers.get("Authorization") != f"Bot {self.token}":
            raise RefusedError(refusals.UNAUTHORIZED)
        major = request.match_info.get("channel") or request.match_info.get("token") or ""
        limit, window = self.limits.get(name, (50, 1.0))
        bucket = self._buckets.setdefault(f"{name} {major}", Bucket(limit, window))
        wait = bucket.take()
        headers = {
            "X-RateLimit-Limit": str(bucket.limit),
            "X-RateLimit-Remaining": str(bucket.limit - len(bucket.calls)),
            "X-RateLimit-Reset-After": f"{bucket.window_s:.3f}",
            "X-RateLimit-Reset": f"{time.time() + bucket.window_s:.3f}",
            "X-RateLimit-Bucket": f"bucket-of-{name}",
            "Via": "1.1 google",
        }
        if wait:
            raise FloodError(wait)
        return headers

    async def _me(self, _: web.Request) -> Json:
        return self.world.bot

    async def _application(self, _: web.Request) -> Json:
        bot = self.world.bot
        return {
            "id": bot["id"],
            "name": "Lorabot",
            "icon": None,
            "description": "",
            "flags": 0,
            "bot_public": False,
            "bot_require_code_grant": False,
            "verify_key": "00",
            "owner": bot,
            "team": None,
            "interactions_endpoint_url": None,
        }

    async def _gateway(self, _: web.Request) -> Json:
        limit = {"total": 1000, "remaining": 999, "reset_after": 0, "max_concurrency": 1}
        return {"url": self.gateway.url, "shards": 1, "session_start_limit": limit}

    async def _register(self, request: web.Request) -> list[Json]:
        body = await request.json()
        checks.commands(body)
        self.commands = body
        return [{**one, "id": str(self.world.snowflake()), "version": "1"} for one in body]

    async def _open_dm(self, request: web.Request) -> Json:
        body = await request.json()
        return self.world.dm(int(body["recipient_id"])).raw()

    async def _history(self, request: web.Request) -> list[Json]:
        number, after = _number(request, "channel"), int(request.query.get("after", 0))
        self.world.channel(number)
        found = [one for one in self.world.messages.values() if one.channel == number]
        newest = [one for one in found if one.number > after and not one.only_for and not one.gone]
        most = int(request.query.get("limit", 50))
        return [one.raw() for one in newest[:most]][::-1]

    async def _create(self, request: web.Request) -> Json:
        body, files = await self._message(request)
        shown = await self.world.post(_number(request, "channel"), body, files)
        return shown.raw()

    async def _edit(self, request: web.Request) -> Json:
        number, message = _number(request, "channel"), _number(request, "message")
        before = self.world.lasting(number, message)
        body, files = await self._message(request, before.flags)
        return (await self.world.edit(number, message, body, files)).raw()

    async def _delete(self, request: web.Request) -> None:
        number, message = _number(request, "channel"), _number(request, "message")
        await self.world.remove(self.world.lasting(number, message))

    async def _thread(self, request: web.Request) -> Json:
        body = await request.json()
        raw = self.world.thread(_number(request, "channel"), body).raw()
        await self.gateway.tell("THREAD_CREATE", {**raw, "newly_created": True})
        return raw

    async def _member(self, request: web.Request) -> Json:
        user = _number(request, "user")
        if user in self.world.strangers or user not in self.world.users:
            raise RefusedError(refusals.UNKNOWN_MEMBER)
        return {"user": self.world.users[user], "roles": [], "joined_at": None, "flags": 0}

    async def _join(self, request: web.Request) -> None:
        thread = self.world.channel(_number(request, "channel"))
        thread.members.add(_number(request, "user"))

    async def _callback(self, request: web.Request) -> None:
        body = await request.json()
        await self.interactions.acknowledge(_number(request, "id"), _token(request), body)

    async def _follow_up(self, request: web.Request) -> Json:
        self.interactions.alive(_token(request))
        body, files = await self._message(request)
        return (await self.interactions.follow_up(_token(request), body, files)).raw()

    async def _change_answer(self, request: web.Request) -> Json:
        name = request.match_info["message"]
        before = self.interactions.find(_token(request), name)
        body, files = await self._message(request, before.flags)
        return (await self.interactions.change(_token(request), name, body, files)).raw()

    async def _delete_answer(self, request: web.Request) -> None:
        found = self.interactions.find(_token(request), request.match_info["message"])
        await self.world.remove(found)

    async def _message(self, request: web.Request, flags: int = 0) -> tuple[Json, dict[str, bytes]]:
        """Its body and files, checked as the document says."""
        body, files = await _read(request)
        if any(len(data) > self.world.out_file_bytes for data in files.values()):
            raise RefusedError(refusals.TOO_LARGE)
        checks.message(body, set(files), layout=bool(flags & checks.LAYOUT))
        return body, files

    async def _file(self, request: web.Request) -> web.Response:
        await asyncio.sleep(self.download_s)
        name = request.match_info["name"]
        self.calls["cdn"] += 1
        if name not in self.cdn:
            return web.Response(status=404, text="This content is no longer available.")
        return web.Response(body=self.cdn[name])


async def _read(request: web.Request) -> tuple[Json, dict[str, bytes]]:
    if request.content_type != "multipart/form-data":
        return await request.json(), {}
    form = await request.post()
    body = json.loads(str(form["payload_json"]))
    names = {f"files[{one['id']}]": one["filename"] for one in body.get("attachments", [])}
    files: dict[str, bytes] = {}
    for name, field_of in form.items():
        if isinstance(field_of, web.FileField):
            assert names[name] == field_of.filename
            files[field_of.filename] = field_of.file.read()
    return body, files


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Like Discord's: the type without a word about the encoding."""
    kind = {"Content-Type": "application/json"}
    return web.Response(body=json.dumps(body), status=status, headers={**(headers or {}), **kind})


def _flooded(flood: FloodError, headers: dict[str, str]) -> web.Response:
    body = {"message": "You are being rate limited.", "retry_after": flood.retry_after}
    more = {"Retry-After": f"{flood.retry_after:.3f}", "X-RateLimit-Remaining": "0"}
    more["X-RateLimit-Scope"] = "global" if flood.everywhere else "user"
    if flood.everywhere:
        more["X-RateLimit-Global"] = "true"
    answer = {**body, "global": flood.everywhere, "code": 0}
    return _json(answer, status=429, headers={**headers, **more})


def _number(request: web.Request, what: str) -> int:
    return int(request.match_info[what])


def _token(request: web.Request) -> str:
    return request.match_info["token"]
