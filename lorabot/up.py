"""Everything on one machine: a parent that starts Redis, the bot and the worker, and keeps them.

Each is a process of its own, so that none can take another down; one that dies is started again
with a growing pause. All of them end with this process, however it ends.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.cards import Cards
from storage.die_with_parent import under
from storage.redis_server import RedisServer
from storage.settings import Settings

log = logging.getLogger(__name__)

EXIT_CONFIG = 78
STEADY_S = 30.0  # a child that lived this long starts again at once
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class AlreadyRunningError(Exception):
    """Another lorabot runs on this data folder."""


@contextlib.contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold the data folder's lock; the kernel lets go of it when this process ends."""
    with (data_dir / "run" / "up.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(str(data_dir)) from None
        yield


def is_up(data_dir: Path) -> bool:
    try:
        with only_one(data_dir):
            return False
    except AlreadyRunningError:
        return True


async def start(
    command: str, environment: dict[str, str], log_file: Path | None
) -> asyncio.subprocess.Process:
    """A child that dies with this process and is out of reach of the terminal's Ctrl+C."""
    argv = under([sys.executable, "-m", "lorabot", command])
    with contextlib.ExitStack() as open_files:
        out = None
        if log_file is not None:
            log_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            out = open_files.enter_context(log_file.open("ab"))
        return await asyncio.create_subprocess_exec(
            *argv, env=environment, start_new_session=True, stdout=out, stderr=out
        )


async def keep(
    command: str, environment: dict[str, str], stop: asyncio.Event, log_file: Path | None = None
) -> bool:
    """Run ``lorabot <command>`` until ``stop``; False when its settings are wrong. What it says
    goes to this terminal, or into ``log_file``.
    """
    failures = 0
    while not stop.is_set():
        began = time.monotonic()
        child = await start(command, environment, log_file)
        ended = asyncio.ensure_future(child.wait())
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ended.done():
            child.terminate()
            await ended
            return True
        if ended.result() == EXIT_CONFIG:
            stop.set()
            return False
        failures = 0 if time.monotonic() - began > STEADY_S else failures + 1
        pause = PAUSES_S[min(failures, len(PAUSES_S) - 1)]
        log.warning("%s ended with %s; again in %.1f s", command, ended.result(), pause)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await stop.wait()
    return True


async def up(settings: Settings) -> int:
    """Run bot and worker until a signal. Returns the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    try:
        with only_one(settings.data_dir):
            return await _run(settings, stop)
    except AlreadyRunningError as error:
        print(f"lorabot already runs on {error}. Stop it first, or set another DATA_DIR.")
        return 1


async def places(settings: Settings) -> list[dict[str, str]]:
    """What each worker adds to its environment: where there are several cards, the number of its
    own. As many as there are cards, unless WORKERS says otherwise.
    """
    count = len(await Cards().ask()) if settings.gpu is None else 1
    wanted = settings.workers or max(1, count)
    if wanted == 1:
        return [{}]
    return [{"GPU": str(number)} for number in range(wanted)]


async def _run(settings: Settings, stop: asyncio.Event) -> int:
    environment = dict(os.environ)
    redis = None
    if settings.redis_url is None:
        redis = RedisServer(settings.redis_socket)
        if path := await redis.start():
            environment["REDIS_URL"] = f"unix://{path}"
    try:
        workers = [environment | own for own in await places(settings)]
        kept = await asyncio.gather(
            keep("bot", environment, stop), *(keep("worker", own, stop) for own in workers)
        )
    finally:
        if redis is not None:
            await redis.stop()
    return 0 if all(kept) else EXIT_CONFIG
