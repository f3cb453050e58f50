"""One worker, producer or trainer of a job queue beside ours; `torture_peers.py` starts it.

It runs in an environment of its own, with arq, SAQ or taskiq in it, and imports nothing of ours.
Each queue is there twice: as it comes, and with the settings that it offers for long jobs. One job
at a time, always: there is one trainer to a device.
"""

import asyncio
import fcntl
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMES_LONGER = 5  # a job's time limit where one has to be set
BEAT_S = 3.0  # as our lease
TRIES = 1000
SWEEP_S = 1
Send = Callable[[str], Awaitable[Any]]


@dataclass(frozen=True)
class Place:
    """``tuned`` says which of the two ways; ``seconds`` is how long a trainer sleeps."""

    library: str
    tuned: bool
    socket: str
    journal: Path
    seconds: float


class TrainerDiedError(Exception):
    pass


def note(journal: Path, *words: object) -> None:
    line = " ".join(str(word) for word in (f"{time.time():.3f}", *words)) + "\n"
    handle = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, line.encode())
    os.close(handle)


async def train(place: Place, job: str) -> None:
    """One job: its trainer is a child process, and a finished one is committed."""
    note(place.journal, "start", job, os.getpid())
    argv = (sys.executable, __file__, "trainer", str(place.journal), job, str(place.seconds))
    child = await asyncio.create_subprocess_exec(*argv)
    try:
        code = await child.wait()
    finally:
        if child.returncode is None:
            child.kill()
    if code:
        raise TrainerDiedError(job)
    note(place.journal, "commit", job, os.getpid())


def trainer(journal: Path, job: str, seconds: float) -> None:
    handle = os.open(journal.parent / f"{job}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        note(journal, "beside", job)
    time.sleep(seconds)


# --- arq -----------------------------------------------------------------------------------------


def arq_settings(place: Place) -> Any:
    from arq.connections import RedisSettings
    from redis import exceptions
    from redis.asyncio.retry import Retry
    from redis.backoff import ExponentialBackoff

    if not place.tuned:
        return RedisSettings(unix_socket_path=place.socket)
    return RedisSettings(
        unix_socket_path=place.socket,
        retry=Retry(ExponentialBackoff(cap=1, base=0.05), 60),
        retry_on_error=[
            *(exceptions.ConnectionError, exceptions.TimeoutError),
            *(exceptions.BusyLoadingError, OSError),
        ],
    )


def arq_work(place: Place) -> None:
    from arq.worker import Retry, Worker, func

    async def arq_train(_: dict[str, Any], job: str) -> None:
        try:
            await train(place, job)
        except TrainerDiedError:
            if place.tuned:
                raise Retry(defer=0) from None
            raise

    own: dict[str, Any] = {"max_jobs": 1}
    if place.tuned:
        own |= {
            "job_timeout": TIMES_LONGER * place.seconds,
            "max_tries": TRIES,
            "poll_delay": 0.05,
            "keep_result": 0,
        }
    asyncio.set_event_loop(asyncio.new_event_loop())
    jobs = [func(arq_train, name="train")]
    Worker(functions=jobs, redis_settings=arq_settings(place), **own).run()


@asynccontextmanager
async def arq_sender(place: Place) -> AsyncIterator[Send]:
    from arq import create_pool

    pool = await create_pool(arq_settings(place))
    yield lambda job: pool.enqueue_job("train", job, _job_id=job)


# --- SAQ -----------------------------------------------------------------------------------------


def saq_queue(place: Place) -> Any:
    from redis.asyncio import Redis
    from saq.queue.redis import RedisQueue

    return RedisQueue(Redis(unix_socket_path=place.socket))


async def saq_work(place: Place) -> None:
    from saq import Worker

    async def saq_train(ctx: dict[str, Any], *, job: str) -> None:
        beating = asyncio.create_task(beat(ctx["job"]))
        try:
            await train(place, job)
        finally:
            beating.cancel()

    async def beat(job: Any) -> None:
        while place.tuned:
            await asyncio.sleep(BEAT_S / 4)
            await job.update()

    queue = saq_queue(place)
    timers: dict[str, Any] = {"timers": {"sweep": SWEEP_S}} if place.tuned else {}
    await Worker(queue, functions=[("train", saq_train)], concurrency=1, **timers).start()


@asynccontextmanager
async def saq_sender(place: Place) -> AsyncIterator[Send]:
    queue = saq_queue(place)
    own: dict[str, Any] = {}
    if place.tuned:
        own = {"heartbeat": round(BEAT_S), "retries": TRIES, "timeout": 0}
    yield lambda job: queue.enqueue("train", key=job, job=job, **own)


# --- taskiq --------------------------------------------------------------------------------------


def taskiq_broker(place: Place) -> tuple[Any, Any]:
    from taskiq import SmartRetryMiddleware
    from taskiq_redis import RedisStreamBroker

    own: dict[str, Any] = {}
    if place.tuned:
        own = {
            "idle_timeout": round(1000 * TIMES_LONGER * place.seconds),
            "xread_count": 1,
            "unacknowledged_lock_timeout": 10.0,
            "consumer_id": "0",
        }
    broker = RedisStreamBroker(f"unix://{place.socket}", **own)
    if place.tuned:
        broker = broker.with_middlewares(
            SmartRetryMiddleware(
                default_retry_count=TRIES, default_retry_label=True, default_delay=0
            )
        )

    async def taskiq_train(job: str) -> None:
        await train(place, job)

    return broker, broker.register_task(taskiq_train, task_name="train")


async def taskiq_work(place: Place) -> None:
    from taskiq.api import run_receiver_task

    broker, _ = taskiq_broker(place)
    # It leaves signals to its command line; that one cancels what runs, too.
    receiving = asyncio.ensure_future(
        run_receiver_task(broker, max_async_tasks=1, run_startup=True)
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, receiving.cancel)
    try:
        await receiving
    except asyncio.CancelledError:
        os._exit(0)


@asynccontextmanager
async def taskiq_sender(place: Place) -> AsyncIterator[Send]:
    broker, task = taskiq_broker(place)
    await broker.startup()
    yield lambda job: task.kicker().with_task_id(job).kiq(job)


# --- both sides ----------------------------------------------------------------------------------

SENDERS = {"arq": arq_sender, "saq": saq_sender, "taskiq": taskiq_sender}


async def produce(place: Place) -> None:
    """A job for each line; again and again until Redis has taken it."""
    loop = asyncio.get_running_loop()
    while job := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        while True:
            try:
                async with asyncio.timeout(5), SENDERS[place.library](place) as send:
                    await send(job)
                break
            except Exception:  # noqa: BLE001  whatever a library raises when Redis is away
                await asyncio.sleep(0.2)
        note(place.journal, "sent", job)


def work(place: Place) -> None:
    match place.library:
        case "arq":
            arq_work(place)
        case "saq":
            asyncio.run(saq_work(place))
        case "taskiq":
            asyncio.run(taskiq_work(place))


def main(role: str, *rest: str) -> None:
    if role == "trainer":
        journal, job, seconds = rest
        return trainer(Path(journal), job, float(seconds))
    library, tuned, socket, journal, seconds = rest
    place = Place(library, tuned == "tuned", socket, Path(journal), float(seconds))
    if role == "produce":
        return asyncio.run(produce(place))
    return work(place)


if __name__ == "__main__":
    main(*sys.argv[1:])
