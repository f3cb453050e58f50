"""Processes that are kept alive, killed, frozen and thawed; and a look for what they left behind.

Each has the run's folder in its environment as TMPDIR. So have its children: that is how a process
that should be gone is found, whoever its parent is by now.
"""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from storage.die_with_parent import under

PAUSE_S = (0.2, 1.5)  # between an end and the next start, as a supervisor's
STOP_S = 40.0


class Member:
    """One process, started again after each end. ``odd_ends`` are those that nobody caused."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        seed: int,
    ) -> None:
        self.name = name
        self.odd_ends: list[int] = []
        self.frozen = False
        self._argv = list(argv)
        self._environment = dict(environment)
        self._folder = folder
        self._dice = random.Random(f"{seed} {name}")
        self._caused = False
        self._closing = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """0 while there is none."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else 0

    def start(self) -> None:
        self._keeping = asyncio.create_task(self._keep())

    def send(self, number: signal.Signals) -> None:
        """An end that is meant."""
        self._caused = True
        self._signal(number)

    def freeze(self) -> None:
        self.frozen = True
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.frozen = False
        self._signal(signal.SIGCONT)

    def below(self) -> list[psutil.Process]:
        """Its children, and theirs."""
        with contextlib.suppress(psutil.Error):
            found: list[psutil.Process] = psutil.Process(self.pid).children(recursive=True)
            return found
        return []

    async def close(self) -> int:
        """SIGTERM, and what it came to."""
        self._closing.set()
        self.thaw()
        self.send(signal.SIGTERM)
        code = 0
        if self._process is not None:
            try:
                code = await asyncio.wait_for(self._process.wait(), STOP_S)
            except TimeoutError:
                self._process.kill()
                code = await self._process.wait()
        if self._keeping is not None:
            await self._keeping
        return code

    def _signal(self, number: signal.Signals) -> None:
        if pid := self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def _keep(self) -> None:
        while not self._closing.is_set():
            self._caused = False
            with (self._folder / f"{self.name}.log").open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *under(self._argv),
                    cwd=self._folder,
                    env=self._environment,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            code = await self._process.wait()
            if not self._caused:
                self.odd_ends.append(code)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), self._dice.uniform(*PAUSE_S))


def marked(folder: Path, root: Path) -> dict[str, str]:
    """An environment that tells the processes of this run from all others."""
    kept = ("PATH", "HOME", "LANG", "VIRTUAL_ENV")
    own = {name: os.environ[name] for name in kept if name in os.environ}
    (folder / "tmp").mkdir(exist_ok=True)
    marks = {"TMPDIR": str(folder / "tmp"), "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    return own | marks


def left_over(folder: Path) -> list[str]:
    """The command lines of processes of this run that still live."""
    mark = f"TMPDIR={folder / 'tmp'}".encode()
    found = []
    for home in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if home.name.isdigit() and mark in (home / "environ").read_bytes().split(b"\0"):
                line = (home / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if line:  # a zombie has none
                    found.append(line)
    return found


async def all_gone(folder: Path, within_s: float) -> list[str]:
    """Wait until nothing is left; what is there after that."""
    until = time.monotonic() + within_s
    while (left := left_over(folder)) and time.monotonic() < until:  # noqa: ASYNC110  nobody tells
        await asyncio.sleep(0.1)
    return left
