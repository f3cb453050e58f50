"""The whole service as real processes, to be watched, killed and started again by tests."""

import asyncio
import os
import re
import signal
import socket
import sys
from pathlib import Path
from typing import Self

import psutil

from tests import tiny_base

START_S = 60.0
STOP_S = 30.0
ADDRESS = re.compile(rb"http://127\.0\.0\.1:\d+")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Service:
    """``lorabot up`` on its own data folder. ``start`` again after a kill keeps folder and port."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.data = folder / "data"
        self.loras = folder / "loras"
        self.loras.mkdir(exist_ok=True)
        self.log = folder / "up.log"
        kept = ("PATH", "HOME", "LANG", "VIRTUAL_ENV")
        self.environment = {name: os.environ[name] for name in kept if name in os.environ} | {
            "DATA_DIR": str(self.data),
            "LORA_DIR": str(self.loras),
            "WEB_PORT": str(free_port()),
            # The miniature gains nothing from a second thread, and busy machines lose a lot.
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(Path(__file__).parents[1]),
            **settings,
        }
        self.address = f"http://127.0.0.1:{self.environment['WEB_PORT']}"
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> Self:
        """Returns when the address was printed, as a person would wait for it."""
        await asyncio.to_thread(tiny_base.lay, self.data)
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "lorabot", "up"),
                cwd=self.data.parent,
                env=self.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        async with asyncio.timeout(START_S):
            while line := await self.process.stdout.readline():
                if ADDRESS.search(line):
                    return self
        raise AssertionError(f"no address; the log says: {self.log.read_text()[-2000:]}")

    async def stop(self) -> int:
        """Ctrl+C."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(STOP_S):
            await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode

    async def kill(self) -> None:
        """Kill the parent with -9; its children must follow by themselves."""
        assert self.process is not None
        children = self.children()
        self.process.kill()
        await self.process.communicate()
        gone, alive = await asyncio.to_thread(psutil.wait_procs, children, timeout=STOP_S)
        assert not alive, [one.cmdline() for one in alive]
        assert len(gone) == len(children)

    def children(self) -> list[psutil.Process]:
        assert self.process is not None
        found: list[psutil.Process] = psutil.Process(self.process.pid).children(recursive=True)
        return found

    def child(self, *words: str) -> psutil.Process | None:
        """The newest process below whose command line ends with all ``words`` in it."""
        for one in reversed(self.children()):
            try:
                line = " ".join(one.cmdline())
            except psutil.Error:
                continue
            if all(word in line for word in words) and "die_with_parent" not in line:
                return one
        return None

    async def kill_child(self, *words: str) -> None:
        """Kill one with -9 and wait until it is gone."""
        found = self.child(*words)
        assert found is not None, (words, [one.cmdline() for one in self.children()])
        found.kill()
        # A zombie until its parent reads it; gone for every purpose.
        await asyncio.to_thread(psutil.wait_procs, [found], timeout=STOP_S)

    async def until_child(self, *words: str, within_s: float = 30.0) -> psutil.Process:
        async with asyncio.timeout(within_s):
            # The kernel tells nobody when a process starts.
            while (found := self.child(*words)) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            return found
