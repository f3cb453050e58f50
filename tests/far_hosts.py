"""Bot and workers on hosts of their own, which meet at servers that none of them runs."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from pipeline.worker import BEAT_S
from storage import clock, job_store, redis_server, worker_store
from storage.blobs import Blobs
from storage.database import Database
from storage.job import Job, JobState
from tests import tiny_base
from tests.conftest import eventually
from tests.separate_hosts import Host, Lan
from tests.service import free_port
from tests.web_client import WebPerson

ROOT = Path(__file__).parents[1]
STOP_S = 15.0
WEB_PORT = 8765

# A whole worker, whose trainer is a stand-in that behaves as argv[1] says.
WORKER = """
import asyncio, signal, sys
from pipeline import worker
from storage.settings import Settings
from tests.stand_in_trainer import StandIn

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await worker.serve(Settings(), stop=stop, backend=StandIn(sys.argv[1]))

asyncio.run(main())
"""
# The page answers this machine alone, and each host is one: a socket's path leads inside.
DOOR = """
import asyncio, sys

async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()

async def enter(reader, writer):
    try:
        inner = await asyncio.open_connection("127.0.0.1", int(sys.argv[2]))
    except OSError:
        writer.close()
        return
    await asyncio.gather(pump(reader, inner[1]), pump(inner[0], writer))

async def main():
    async with await asyncio.start_unix_server(enter, sys.argv[1]) as server:
        await server.serve_forever()

asyncio.run(main())
"""


@dataclass
class Far:
    """Both hosts, the servers that they meet at, and a view of our own on these."""

    lan: Lan
    folder: Path
    shared: dict[str, str]
    database: Database
    blobs: Blobs

    @property
    def loras(self) -> Path:
        return self.folder / "loras"

    @asynccontextmanager
    async def running(
        self, host: Host, *command: str, **settings: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """A process on that host, with the host's own data folder; ended with its children."""
        data = self.folder / f"host{host.number}"
        data.mkdir(exist_ok=True)
        # The stand-in reads no base; that there is one is enough.
        (data / "bases.toml").write_text(tiny_base.LIST.format(path=data, steps=20))
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        own = {"DATA_DIR": str(data), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        with (self.folder / f"host{host.number}.log").open("ab") as log:
            one = await asyncio.create_subprocess_exec(
                *host.command(sys.executable, *command),
                cwd=data,
                env=kept | own | self.shared | settings,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        below = psutil.Process(one.pid)
        try:
            yield one
        finally:
            children = below.children(recursive=True) if one.returncode is None else []
            with suppress(ProcessLookupError):
                one.terminate()
            try:
                await asyncio.wait_for(one.wait(), STOP_S)
            except TimeoutError:
                one.kill()
                await one.wait()
            for child in children:
                with suppress(psutil.Error):
                    child.kill()

    def worker(
        self, host: Host, mode: str
    ) -> AbstractAsyncContextManager[asyncio.subprocess.Process]:
        return self.running(host, "-c", WORKER, mode, LORA_DIR=str(self.loras))

    @asynccontextmanager
    async def person(self, host: Host) -> AsyncIterator[WebPerson]:
        """Somebody who sits at that host."""
        path = self.folder / "door"
        async with self.running(host, "-c", DOOR, str(path), str(WEB_PORT)):
            address = f"http://127.0.0.1:{WEB_PORT}"
            one = WebPerson(address)
            await one.http.aclose()
            one.http = httpx.AsyncClient(
                base_url=address,
                headers={"origin": address},
                timeout=httpx.Timeout(60, read=None),
                transport=httpx.AsyncHTTPTransport(uds=str(path)),
            )

            async def answers() -> bool:
                with suppress(httpx.TransportError):
                    return (await one.http.get("/healthz")).is_success
                return False

            await eventually(answers, within_s=60)
            async with one:
                yield one

    async def jobs(self) -> list[Job]:
        async with self.database.read() as tx:
            ids = await tx.exec_driver_sql("SELECT id FROM jobs ORDER BY created_at")
            found = [await job_store.get(tx, str(row[0])) for row in ids]
        return [job for job in found if job is not None]

    async def until(self, number: int, *states: JobState, within_s: float = 60) -> Job:
        """The person's job of that number, as soon as it is there and in one of these states."""

        async def look() -> Job | None:
            known = await self.jobs()
            found = known[number] if len(known) > number else None
            return found if found is not None and found.state in states else None

        found = await eventually(look, within_s)
        assert isinstance(found, Job)
        return found

    async def until_step(self, number: int, fence: int = 1) -> Job:
        async def look() -> Job | None:
            known = await self.jobs()
            found = known[number] if len(known) > number else None
            far = found is not None and found.progress is not None and found.progress.step > 0
            return found if far and found is not None and found.fence >= fence else None

        found = await eventually(look, 60)
        assert isinstance(found, Job)
        return found

    async def until_online(self, count: int) -> None:
        async def look() -> bool:
            async with self.database.read() as tx:
                now = await clock.now(tx)
                return await worker_store.online(tx, now=now, within_s=2 * BEAT_S) >= count

        await eventually(look, 60)

    async def artifacts(self, job: Job) -> list[str]:
        return await self.blobs.older(f"artifacts/{job.id}", before=time.time() + 60)


@asynccontextmanager
async def valkey(address: str) -> AsyncIterator[str]:
    """A server for several hosts: by its address, with a word."""
    port, word = free_port(), "a-word-for-tests"
    options = ("--bind", address, "--port", str(port), "--requirepass", word, "--save", "")
    one = await asyncio.create_subprocess_exec(
        *(str(redis_server.find_binary()), *options), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        yield f"redis://:{word}@{address}:{port}/0"
    finally:
        one.terminate()
        await one.wait()


def trainers(worker: asyncio.subprocess.Process) -> list[psutil.Process]:
    found = []
    for one in psutil.Process(worker.pid).children(recursive=True):
        with suppress(psutil.Error):
            if "stand_in_trainer" in " ".join(one.cmdline()):
                found.append(one)
    return found
