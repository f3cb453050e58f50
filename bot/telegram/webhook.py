"""Updates that Telegram brings by itself: each is committed before it hears that we have it.

Whoever does not know the secret learns nothing, not even that there is a door.
"""

import hashlib
import hmac
import json
import logging
from collections.abc import Awaitable, Callable

from sqlalchemy.exc import DBAPIError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from bot.telegram.inbox import Raw

log = logging.getLogger(__name__)

PATH = "/hook/telegram"
HEADER = "x-telegram-bot-api-secret-token"
MOST_BYTES = 1 << 20  # an update has some kilobytes; its files are fetched by their ids

Keep = Callable[[list[Raw]], Awaitable[None]]


class RefusedError(Exception):
    """An answer in place of an effect."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


def secret_of(server_secret: str, token: str) -> str:
    """The same after each start, another one for each bot, and nothing that leads to either."""
    words = f"telegram webhook {token}".encode()
    return hmac.new(server_secret.encode(), words, hashlib.sha256).hexdigest()


class Webhook:
    """One address of the bot's own web app. ``public_url`` is how Telegram reaches that app."""

    path = PATH

    def __init__(self, public_url: str, secret: str) -> None:
        self.url = public_url.rstrip("/") + PATH
        self.secret = secret
        self._keep: Keep | None = None

    def open(self, keep: Keep) -> None:
        """From here on updates are taken."""
        self._keep = keep

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._answer(Request(scope, receive))
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get(HEADER, "").encode(), self.secret.encode()):
            return PlainTextResponse("Nothing here.\n", 404)
        try:
            return await self._take(await _update(request))
        except RefusedError as refused:
            return refused.answer

    async def _take(self, update: Raw) -> Response:
        """Anything but a 2xx brings the update again, later."""
        if self._keep is None:
            return PlainTextResponse("Not yet.\n", 503, {"retry-after": "5"})
        try:
            await self._keep([update])
        except DBAPIError as error:
            log.warning("the database did not take an update (%s)", type(error.orig).__name__)
            return PlainTextResponse("Later.\n", 503, {"retry-after": "5"})
        return Response(status_code=200)


async def _update(request: Request) -> Raw:
    if request.method != "POST":
        raise RefusedError(PlainTextResponse("Only POST.\n", 405, {"allow": "POST"}))
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise RefusedError(PlainTextResponse("Only JSON.\n", 415))
    try:
        raw = json.loads(await _body(request))
    except (ValueError, RecursionError, ClientDisconnect):
        raw = None
    number = raw.get("update_id") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(number, int) or isinstance(number, bool):
        raise RefusedError(PlainTextResponse("Not an update.\n", 400))
    return raw


async def _body(request: Request) -> bytes:
    """Piece by piece: a length may be missing, or a lie."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            raise RefusedError(PlainTextResponse("Too large.\n", 413))
    return body
