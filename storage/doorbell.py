"""Wake workers through arq and Redis. Losing a ring loses nothing: workers also look themselves."""

import asyncio
import builtins
import json
import logging
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from arq.connections import ArqRedis, RedisSettings
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004
    NoPermissionError,
    RedisError,
    TimeoutError,  # noqa: A004
)

log = logging.getLogger(__name__)

QUEUE = "lorabot"
RING = "ring"
ASK_S = 5.0
RING_S = 0.3  # a person waits for the answer while the bell rings
STALE_S = 60  # a ring that nobody heard for so long is no news


def serialize(message: dict[str, Any]) -> bytes:
    """JSON, never pickle: whoever can write to Redis must not be able to run code here."""
    return json.dumps(message, default=str).encode()


def deserialize(data: bytes) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(data)
    return read


def redis_settings(url: str) -> RedisSettings:
    """For the worker's side: it waits out a Redis that is killed and started again."""
    settings = RedisSettings.from_dsn(url)
    parts = urlsplit(url)
    # It leaves out what an address may say besides.
    settings.username = unquote(parts.username) if parts.username else None
    settings.password = unquote(parts.password) if parts.password else None
    settings.ssl_check_hostname = True
    if given := parse_qs(parts.query).get("ssl_ca_certs"):
        settings.ssl_ca_certs = given[0]
    settings.retry = Retry(ExponentialBackoff(cap=1, base=0.05), 60)
    settings.retry_on_timeout = True
    settings.retry_on_error = [ConnectionError, TimeoutError, OSError, BusyLoadingError]
    return settings


def options(url: str) -> dict[str, Any]:
    """For a client: over TLS the server's name has to be the one that its certificate is for."""
    return {"ssl_check_hostname": True} if url.startswith("rediss://") else {}


def explain(error: BaseException) -> str:
    """What an operator can do something about. No address, no word of it."""
    said = str(error)
    if isinstance(error, NoPermissionError):
        return "Redis does not let our user do what it must"
    if isinstance(error, AuthenticationError) or "WRONGPASS" in said:
        return "Redis refuses our user or password"
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return "Redis has a certificate that we do not trust, or one for another name"
    return f"Redis does not answer ({type(error).__name__})"


async def fault(url: str, within_s: float = ASK_S) -> str:
    """Why nobody would hear a ring; empty where all is well."""
    client = Redis.from_url(
        url, socket_timeout=within_s, socket_connect_timeout=within_s, **options(url)
    )
    try:
        await client.ping()
        await client.zcard(QUEUE)
    except (RedisError, OSError) as error:
        return explain(error)
    finally:
        await client.aclose()
    return ""


class Doorbell:
    """The bot's side: it must answer at once, so a ring that does not get through is dropped."""

    def __init__(self, url: str | None) -> None:
        self._redis: ArqRedis | None = None
        self._fault = ""
        if url is not None:
            pool = ConnectionPool.from_url(
                url, socket_timeout=RING_S, socket_connect_timeout=RING_S, **options(url)
            )
            self._redis = ArqRedis(
                pool,
                job_serializer=serialize,
                job_deserializer=deserialize,
                default_queue_name=QUEUE,
            )
            self._redis.auto_close_connection_pool = True

    async def ring(self) -> bool:
        """True when Redis took it."""
        if self._redis is None:
            return False
        try:
            async with asyncio.timeout(RING_S):
                await self._redis.enqueue_job(RING, _expires=STALE_S)
        except (RedisError, OSError, builtins.TimeoutError) as error:
            said = explain(error)
            if said != self._fault:
                log.warning("the doorbell is out of order: %s; jobs start a little later", said)
            self._fault = said
            return False
        self._fault = ""
        return True

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()
