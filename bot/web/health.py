"""What operators and their programs ask: does it live, is it ready, how is it, what is wrong.

`/healthz` says only that this process answers. `/readyz` and `/metrics` are for programs of this
machine, or for whoever brings the token; to everybody else they do not exist.
"""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from bot.web import metrics
from bot.web.guard import hostname, is_outside
from bot.web.visitors import Visitors
from storage import access_store, doorbell, gauge_store
from storage.database import Database, Tx

WORKER_S = 60.0  # a worker that was seen within is there
ANSWER_S = 3.0  # of each of the others
SCRAPE_S = 8.0  # Prometheus waits for ten
COUNT_EVERY_S = 60.0
SAFE = frozenset({"GET", "HEAD"})

Counts = Mapping[tuple[str, str], int]
Findings = Sequence[tuple[str, str, str, str]]  # mark, what, what is said, and the fix
Checkup = Callable[[], Awaitable[Findings]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """``folders`` by the name that they have in the metrics; ``checkup`` examines this machine;
    ``admins`` are those of the settings.
    """

    redis_url: str = field(default="", repr=False)
    metrics_token: str = field(default="", repr=False)
    folders: Mapping[str, Path] = field(default_factory=dict)
    admins: frozenset[str] = frozenset()
    checkup: Checkup | None = None


@dataclass(frozen=True, slots=True)
class Health:
    db: Database
    operations: Operations = field(default_factory=Operations)
    _counted: list[tuple[float, Counts]] = field(default_factory=list)
    _examining: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def alive(self, _: Request) -> Response:
        """The process runs, and its event loop comes round."""
        return PlainTextResponse("ok\n")

    async def missing(self) -> list[str]:
        """What a job would need and is not there."""
        checks = {"database": self._database, "redis": self._redis, "worker": self._worker}
        return [name for name, check in checks.items() if not await _in_time(check)]

    async def ready(self) -> Response:
        missing = await self.missing()
        said = {"ready": not missing, "missing": missing}
        return JSONResponse(said, 503 if missing else 200)

    async def metrics(self) -> Response:
        try:
            async with asyncio.timeout(SCRAPE_S), self.db.read() as tx:
                gauges = await gauge_store.read(tx, await self._unindexed(tx))
        except (SQLAlchemyError, TimeoutError, OSError):
            return PlainTextResponse("the database does not answer\n", 503)
        text = await asyncio.to_thread(metrics.text, gauges, self.operations.folders)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    async def _unindexed(self, tx: Tx) -> Counts:
        """Whoever scrapes often must not make the database read all its rows each time."""
        now = time.monotonic()
        if not self._counted or now - self._counted[0][0] > COUNT_EVERY_S:
            self._counted[:] = [(now, await gauge_store.count_unindexed(tx))]
        return self._counted[0][1]

    async def examined(self, request: Request, visitors: Visitors) -> Response:
        """What `lorabot doctor --json` says, to an admin at this page; else there is nothing."""
        person = visitors.recognise(request)
        if self.operations.checkup is None or person is None or not await self._steers(person):
            raise HTTPException(404)
        async with self._examining:
            found = await self.operations.checkup()
        names = ("health", "what", "said", "fix")
        return JSONResponse([dict(zip(names, one, strict=True)) for one in found])

    async def _steers(self, person: str) -> bool:
        if person in self.operations.admins:
            return True
        async with self.db.read() as tx:
            return (await access_store.get(tx, person)).is_admin

    async def _database(self) -> bool:
        async with self.db.read() as tx:
            await gauge_store.seen(tx)
        return True

    async def _worker(self) -> bool:
        async with self.db.read() as tx:
            return any(one.age_s < WORKER_S for one in await gauge_store.seen(tx))

    async def _redis(self) -> bool:
        if not self.operations.redis_url:
            return True
        client = Redis.from_url(
            self.operations.redis_url,
            socket_timeout=ANSWER_S,
            **doorbell.options(self.operations.redis_url),
        )
        try:
            return bool(await client.ping())
        finally:
            await client.aclose()


async def _in_time(check: Callable[[], Awaitable[bool]]) -> bool:
    try:
        async with asyncio.timeout(ANSWER_S):
            return await check()
    except (SQLAlchemyError, RedisError, OSError, TimeoutError):
        return False


def operated(app: ASGIApp, health: Health) -> ASGIApp:
    """The doors for programs, beside the page's own: they come without its host and cookie."""
    doors = {"/readyz": health.ready, "/metrics": health.metrics}

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        open_ = doors.get(scope["path"]) if scope["type"] == "http" else None
        if open_ is None:
            await app(scope, receive, send)
            return
        known = scope["method"] in SAFE and may_ask(scope, health.operations.metrics_token)
        answer = await open_() if known else PlainTextResponse("Not Found\n", 404)
        answer.headers["cache-control"] = "no-store"
        answer.headers["x-content-type-options"] = "nosniff"
        await answer(scope, receive, send)

    return either


def may_ask(scope: Scope, token: str) -> bool:
    """A program on this machine that came directly, or one that has the token."""
    headers = Headers(scope=scope)
    kind, _, brought = headers.get("authorization", "").partition(" ")
    if token and kind.lower() == "bearer":
        return hmac.compare_digest(brought.strip().encode(), token.encode())
    return not is_outside(scope, hostname(headers.get("host", "")), headers)
