"""What every request passes first: which host it names, who sent it, what it may do, how fast.

The chat belongs to the person at this machine. A request that came in through the public address,
or through a proxy, gets downloads and nothing else.
"""

import asyncio
import math
import time
from collections import Counter
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.rates import Rate, Rates

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
DOWNLOAD = "/dl/"
OPEN_TO_ALL = (DOWNLOAD, "/static/", "/healthz")
PROXY_MARKS = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
SAFE_METHODS = frozenset({"GET", "HEAD"})
ELSEWHERE = frozenset({"cross-site", "same-site"})  # what a browser says of another page's request
# A body's first seconds, and what it has to bring from then on: a slow phone does.
BODY_S = 30.0
SLOWEST_BYTES_S = 4_000
STALL_S = 60.0
# From one address. All who sit at this machine have the same one.
ASKED = Rate(burst=2000, per_s=200)
DOWNLOADED = Rate(burst=60, per_s=1)
DOWNLOADS_AT_ONCE = 16
HEADERS = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}


class Guard:
    """The outermost layer. Against DNS rebinding it knows its own names; against forged posts it
    compares the Origin with the Host; and no answer leaves without the headers.
    """

    def __init__(self, app: ASGIApp, *, public_url: str = "") -> None:
        self.app = app
        self.public_host = urlsplit(public_url).hostname or ""
        self._asked = Rates(ASKED)
        self._downloaded = Rates(DOWNLOADED)
        self._downloads: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers, address = Headers(scope=scope), address_of(scope)
        refusal = self._refusal(scope, headers) or self._hurry(scope["path"], address)
        if refusal is not None:
            await refusal(scope, receive, send_guarded)
            return
        if not scope["path"].startswith(DOWNLOAD):
            await self.app(scope, hurried(receive), send_guarded)
            return
        self._downloads[address] += 1
        try:
            await self.app(scope, hurried(receive), send_guarded)
        finally:
            self._downloads -= Counter((address,))

    def _refusal(self, scope: Scope, headers: Headers) -> PlainTextResponse | None:
        host, path, method = headers.get("host", ""), scope["path"], scope["method"]
        name = hostname(host)
        if name not in LOOPBACK and (not name or name != self.public_host):
            return PlainTextResponse(
                "This address is not one of mine. Use 127.0.0.1, or set PUBLIC_URL.\n", 421
            )
        if is_outside(scope, name, headers) and not path.startswith(OPEN_TO_ALL):
            return PlainTextResponse("Only download links work at this address.\n", 404)
        if method not in SAFE_METHODS and not same_origin(headers.get("origin", ""), host):
            return PlainTextResponse("This request came from another page.\n", 403)
        # A link may lead here from anywhere; another page's picture, script or frame may not.
        lured = headers.get("sec-fetch-site", "") in ELSEWHERE
        if lured and headers.get("sec-fetch-dest", "document") != "document":
            return PlainTextResponse("This request came from another page.\n", 403)
        return None

    def _hurry(self, path: str, address: str) -> PlainTextResponse | None:
        now = time.monotonic()
        wait = self._asked.wait_s(address, now)
        if path.startswith(DOWNLOAD):
            wait = wait or self._downloaded.wait_s(address, now)
            if not wait and self._downloads[address] >= DOWNLOADS_AT_ONCE:
                wait = 10.0
        if not wait:
            return None
        return PlainTextResponse(
            "Too many requests. Please wait a moment.\n",
            429,
            {"retry-after": str(math.ceil(wait))},
        )


def is_outside(scope: Scope, name: str, headers: Headers) -> bool:
    """From elsewhere than this machine: by its name or its address, by a proxy's marks, or in the
    HTTP/1.0 that proxies speak which tell nothing (nginx as it comes) and browsers never do.
    """
    marked = any(mark in headers for mark in PROXY_MARKS)
    old = scope.get("http_version") == "1.0"
    return name not in LOOPBACK or marked or old or not is_from_here(scope)


def is_from_here(scope: Scope) -> bool:
    """Whoever connected sits at this machine, as far as the network can tell."""
    client = scope.get("client")
    try:
        return client is None or ip_address(client[0]).is_loopback
    except ValueError:
        return False


def address_of(scope: Scope) -> str:
    """Whom to count the request for. The proxy's last word on it is the one that nobody forged."""
    said = Headers(scope=scope).get("x-forwarded-for", "").rpartition(",")[2].strip()
    client = scope.get("client")
    return said[:64] or (client[0] if client else "")


def hurried(receive: Receive) -> Receive:
    """The body, as long as it keeps coming; a slow one counts as broken off."""
    began = time.monotonic()
    seen, over = 0, False

    async def receive_soon() -> Message:
        nonlocal seen, over
        if over:
            return await receive()
        left = began + BODY_S + seen / SLOWEST_BYTES_S - time.monotonic()
        try:
            async with asyncio.timeout(min(STALL_S, max(0.0, left))):
                message = await receive()
        except TimeoutError:
            over = True
            return {"type": "http.disconnect"}
        seen += len(message.get("body", b""))
        over = not message.get("more_body", False)
        return message

    return receive_soon


def hostname(host: str) -> str:
    """The name in a Host header, without its port; empty when it is not a host at all."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def same_origin(origin: str, host: str) -> bool:
    """The Origin names this very host and port. A missing or `null` one does not."""
    scheme, _, rest = origin.partition("://")
    return scheme in {"http", "https"} and rest.lower() == host.lower()
