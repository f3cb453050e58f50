"""``lorabot chat``: the whole bot with a terminal as its only network.

Where nothing runs on this data folder yet, a worker is started beside it and ends with it.
"""

import asyncio
import os
import signal
from contextlib import suppress

from bot.frontends.console import CHAT, Console
from lorabot import compose, up
from pictures import limits
from pictures.sandbox import Cells
from storage import job_lists
from storage.database import Database
from storage.job import LIVE
from storage.settings import Settings

LOOK_S = 0.5


async def chat(settings: Settings) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    database = await Database.open(settings.database)
    console = Console()
    cells = Cells(limits=limits.load(settings.data_dir))
    tasks = [
        asyncio.create_task(_leave(console, database, stop)),
        asyncio.create_task(_work_beside(settings, stop)),
    ]
    try:
        await compose.converse(settings, database, [console], cells, stop)
    finally:
        stop.set()
        await cells.close()
        await asyncio.gather(*tasks)
        await database.close()
    return 0


async def _work_beside(settings: Settings, stop: asyncio.Event) -> None:
    """A worker of our own, unless somebody else's service has one."""
    if up.is_up(settings.data_dir):
        return
    with suppress(up.AlreadyRunningError), up.only_one(settings.data_dir):
        log = settings.data_dir / "logs" / "worker.log"
        await up.keep("worker", dict(os.environ), stop, log)


async def _leave(console: Console, database: Database, stop: asyncio.Event) -> None:
    """When the input has ended, stay until what was ordered here is delivered."""
    done = asyncio.create_task(console.done.wait())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({done, stopping}, return_when=asyncio.FIRST_COMPLETED)
    while not stop.is_set():
        async with database.read() as tx:
            jobs = await job_lists.of_person(tx, CHAT)
        # The last words of a job are its result and its final status; both are shown by then.
        waiting = [job for job in jobs if job.state in LIVE or job.sent_version < job.version]
        if not waiting:
            break
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await stop.wait()
    stop.set()
    for task in (done, stopping):
        task.cancel()
