"""What every request passes first: which host it names, who sent it, what it may do.

The chat belongs to the person at this machine. A request that came in through the public address,
or through a proxy, gets downloads and nothing else.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
OPEN_TO_ALL = ("/dl/", "/static/", "/healthz")
PROXY_MARKS = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
SAFE_METHODS = frozenset({"GET", "HEAD"})
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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope["method"], scope["path"], Headers(scope=scope))
        await (refusal or self.app)(scope, receive, send_guarded)

    def _refusal(self, method: str, path: str, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "")
        name = hostname(host)
        if name not in LOOPBACK and (not name or name != self.public_host):
            return PlainTextResponse(
                "This address is not one of mine. Use 127.0.0.1, or set PUBLIC_URL.\n", 421
            )
        outside = name not in LOOPBACK or any(mark in headers for mark in PROXY_MARKS)
        if outside and not path.startswith(OPEN_TO_ALL):
            return PlainTextResponse("Only download links work at this address.\n", 404)
        if method not in SAFE_METHODS and not same_origin(headers.get("origin", ""), host):
            return PlainTextResponse("This request came from another page.\n", 403)
        return None


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
