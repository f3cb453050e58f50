"""Calls to the Bot API by aiohttp, which needs a fraction of the time of the library's own client.

Whoever calls is told whether a call may have had its effect, and never its address: that holds the
token.
"""

import asyncio
import io
from collections.abc import Callable
from typing import IO, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from telegram import Bot
from telegram.request import BaseRequest, RequestData
from telegram.request._requestparameter import RequestParameter
from yarl import URL

from bot.frontend import NetworkError
from bot.telegram.errors import LostAnswerError, NotSentError

# A connection that was idle for longer may be closed at the other end just as it is used again.
IDLE_S = 5.0
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
# Nothing had been sent yet when these came up.
EARLY = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    aiohttp.ConnectionTimeoutError,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)


class Calls(BaseRequest):
    """All calls go to ``url``, over at most so many ``connections``. ``answer_s`` is what each
    stage may take: to get a connection, to open it, and each silence of the other side; with files
    also each silence while they go out is at most ``upload_s``.
    """

    def __init__(self, url: str, connections: int, *, answer_s: float, upload_s: float) -> None:
        self._url = url
        self._connections = connections
        self._answer_s = answer_s
        self._upload_s = upload_s
        self._session: aiohttp.ClientSession | None = None

    @property
    def read_timeout(self) -> float:
        return self._answer_s

    async def initialize(self) -> None:
        if self._session is not None:
            return
        # Proxies and certificates from the same places in which every other call of ours looks.
        secure = urlsplit(self._url).scheme == "https"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=self._connections,
                keepalive_timeout=IDLE_S,
                ssl=httpx.create_ssl_context() if secure else True,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self.USER_AGENT},
            proxy=proxy_of(self._url),
        )

    async def shutdown(self) -> None:
        if self._session is not None:
            await self._session.close()
        self._session = None

    async def do_request(  # noqa: PLR0913, PLR0917  the library's own
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: object = BaseRequest.DEFAULT_NONE,
        write_timeout: object = BaseRequest.DEFAULT_NONE,
        connect_timeout: object = BaseRequest.DEFAULT_NONE,
        pool_timeout: object = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        if self._session is None:
            raise NotSentError("the calls are not open")
        silence_s = _seconds(read_timeout, self._answer_s)
        opening_s = _seconds(connect_timeout, self._answer_s)
        timeout = aiohttp.ClientTimeout(
            connect=_seconds(pool_timeout, self._answer_s) + opening_s,
            sock_connect=opening_s,
            sock_read=silence_s,
        )
        stall_s = _seconds(write_timeout, self._upload_s) + silence_s
        try:
            async with asyncio.timeout(None) as stalled:
                form = None if request_data is None else _form(request_data, stalled, stall_s)
                async with self._session.request(
                    method,
                    url,
                    data=form,
                    headers=FORM if isinstance(form, bytes) else None,
                    timeout=timeout,
                    allow_redirects=False,
                ) as answer:
                    return answer.status, await answer.read()
        except EARLY as error:
            raise NotSentError(type(error).__name__) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise LostAnswerError(type(error).__name__) from None


async def call(bot: Bot, method: str, **values: object) -> Any:
    """One of the API's methods, for what is called all the time. Its answer stays JSON: the library
    takes longer to make objects of it than the call takes. Raises TelegramError.
    """
    given = [RequestParameter.from_input(*one) for one in values.items()]
    return await bot.request.post(f"{bot.base_url}/{method}", RequestData(given))


class ProxyError(NetworkError):
    """The environment wants us to go a way that we cannot go."""

    def __init__(self) -> None:
        super().__init__(
            "the proxy for Telegram must be one of HTTP: set HTTPS_PROXY to http://..., or name "
            "Telegram's host in NO_PROXY",
            permanent=True,
        )


class Pieces(io.BytesIO):
    """A file that says when a piece of it is taken to be sent."""

    def __init__(self, content: bytes, taken: Callable[[], None]) -> None:
        super().__init__(content)
        self._taken = taken

    def read(self, size: int | None = -1, /) -> bytes:
        self._taken()
        return super().read(size)


def _form(data: RequestData, stalled: asyncio.Timeout, stall_s: float) -> bytes | aiohttp.FormData:
    """The longer a file is, the longer it may take, as long as it moves."""
    fields = data.json_parameters
    if not data.contains_files:
        return URL.build(query=fields).raw_query_string.encode()

    def moves() -> None:
        stalled.reschedule(asyncio.get_running_loop().time() + stall_s)

    # Telegram takes names as they are.
    form = aiohttp.FormData(fields, quote_fields=False, default_to_multipart=True)
    for name, (file_name, content, kind) in data.multipart_data.items():
        piecewise: IO[bytes] = Pieces(content, moves) if isinstance(content, bytes) else content
        form.add_field(name, piecewise, filename=file_name, content_type=kind)
    return form


def proxy_of(url: str) -> str | None:
    """The HTTP proxy that the environment names for this address. Raises ProxyError."""
    at = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(at.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(at.hostname or ""):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if urlsplit(proxy).scheme not in {"http", "https"}:
        raise ProxyError
    return proxy


def _seconds(said: object, usual: float) -> float:
    return float(said) if isinstance(said, int | float) else usual
