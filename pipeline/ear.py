"""Hear the doorbell, through arq."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from arq.worker import Worker, func
from redis.exceptions import RedisError

from storage import doorbell

log = logging.getLogger(__name__)

HEAR_S = 0.02  # the bell is heard within
REDIS_PAUSE_S = 1.0


async def listen(url: str, rung: Callable[[], None]) -> None:
    """Redis may be killed, wiped or absent: then it rings later."""

    async def ring(_: dict[Any, Any]) -> None:
        rung()

    told = ""
    while True:
        said = await doorbell.fault(url)
        if said and said != told:
            log.warning("the doorbell is out of order: %s; jobs are looked for without it", said)
        told = said
        if said:
            await asyncio.sleep(REDIS_PAUSE_S)
            continue
        ear = Worker(
            functions=[func(ring, name=doorbell.RING, keep_result=0, max_tries=1)],  # type: ignore[arg-type]  # it is a coroutine function
            queue_name=doorbell.QUEUE,
            redis_settings=doorbell.redis_settings(url),
            handle_signals=False,
            poll_delay=HEAR_S,
            max_jobs=10,
            job_serializer=doorbell.serialize,
            job_deserializer=doorbell.deserialize,
            health_check_interval=3600,
            log_results=False,
        )
        try:
            await ear.async_run()
        except (RedisError, OSError, EOFError) as error:
            log.info("the doorbell is out of order (%s)", type(error).__name__)
        finally:
            # Its own way of closing asks Redis for one more thing, which may not be there.
            if ear._pool is not None:  # noqa: SLF001
                with suppress(RedisError, OSError):
                    await ear._pool.aclose(close_connection_pool=True)  # noqa: SLF001
        await asyncio.sleep(REDIS_PAUSE_S)
