"""Wake workers through arq and Redis. Losing a ring loses nothing: workers also look themselves."""

import asyncio
import builtins
import json
import logging
from typing import Any

from arq.connections import ArqRedis, RedisSettings
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import BusyLoadingError, ConnectionError, RedisError, TimeoutError  # noqa: A004

log = logging.getLogger(__name__)

QUEUE = "lorabot"
RING = "ring"
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
    settings.retry = Retry(ExponentialBackoff(cap=1, base=0.05), 60)
    settings.retry_on_timeout = True
    settings.retry_on_error = [ConnectionError, TimeoutError, OSError, BusyLoadingError]
    return settings


class Doorbell:
    """The bot's side: it must answer at once, so a ring that does not get through is dropped."""

    def __init__(self, url: str | None) -> None:
        self._redis: ArqRedis | None = None
        if url is not None:
            pool = ConnectionPool.from_url(
                url, socket_timeout=RING_S, socket_connect_timeout=RING_S
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
            log.info("the doorbell is out of order (%s)", type(error).__name__)
            return False
        return True

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()
