"""The processes that train: started, spoken to, and ended on every way out.

Each has a group of its own, dies with this process, sees nothing of our environment that it does
not need, has no network, and opens no files but those of its run. A ``Crew`` keeps one between
jobs, so that the next starts at once.
"""

import asyncio
import math
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline import confined, grants
from pipeline.reach import Reach

LOOK_S = 0.02
CHUNK_BYTES = 16_000  # read at once: even all newlines do not hold up the others
KEPT = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "VIRTUAL_ENV",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
    "HF_HOME",
)
KEPT_PREFIXES = ("CUDA_", "NVIDIA_", "OMP_", "MKL_", "PYTORCH_", "TORCH_")

Child = asyncio.subprocess.Process


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a trainer works: its folder, whether it may use the network, or at least talk with its
    like over the loopback (``together``), and which files it may open; None: all that we may.
    """

    folder: Path | None = None
    network: bool = False
    together: bool = False
    reach: Reach | None = None


ANYWHERE = Place()


async def spawn(
    argv: list[str], *handles: int, place: Place = ANYWHERE, spoken_to: bool = False
) -> Child:
    """``handles`` are open files that it inherits."""
    pipe = asyncio.subprocess.PIPE
    reach = place.reach
    if reach is not None:
        await asyncio.to_thread(grants.make_ready, reach)
        # What is to be run may be read.
        reach = reach.reading(*(Path(word) for word in argv if word.endswith(".py")))
    return await asyncio.create_subprocess_exec(
        *confined.command(argv, network=place.network, together=place.together, reach=reach),
        cwd=place.folder,
        stdin=pipe if spoken_to else asyncio.subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        env=environment() | ({} if reach is None else reach.environment(os.environ)),
        limit=CHUNK_BYTES,
        pass_fds=handles,
        start_new_session=True,
    )


def environment() -> dict[str, str]:
    """No token and no secret: the trainer needs none."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or name.startswith(KEPT_PREFIXES)
    }
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(part for part in (root, kept.get("PYTHONPATH", "")) if part)
    # What lies in the folder that it works in is nothing to import.
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}


def one_card(number: int, given: Mapping[str, str]) -> dict[str, str]:
    """What a worker of one card adds to its environment: nothing below it sees another card.
    Numbered as the driver's own tool does, among those that the operator left us.
    """
    visible = [one.strip() for one in given.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    mine = visible[number] if number < len(visible) else str(number)
    return {"CUDA_VISIBLE_DEVICES": mine, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


async def end(child: Child, grace_s: float, *, gently: bool = False) -> None:
    """Nothing of the group is left afterwards."""
    if gently:
        signal_group(child, signal.SIGTERM)
    await gone(child, grace_s)
    signal_group(child, signal.SIGKILL)
    await gone(child, math.inf)


async def dismiss(child: Child) -> None:
    """Ended, and its pipes closed: a process that left the group may hold them."""
    await end(child, 0)
    child._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001  there is no other way


async def gone(child: Child, within_s: float, enough: Callable[[], bool] = lambda: False) -> None:
    """Its own ``wait`` also waits for whoever has inherited its pipes, which may be long."""
    until = time.monotonic() + within_s
    while child.returncode is None and time.monotonic() < until and not enough():  # noqa: ASYNC110  nobody tells
        await asyncio.sleep(LOOK_S)


def signal_group(child: Child, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)


class Crew:
    """One trainer that stays between jobs. ``argv`` starts it; it ends by itself when idle."""

    def __init__(self, argv: list[str], place: Place = ANYWHERE) -> None:
        self._argv = argv
        self._place = place
        self._child: Child | None = None
        self._marks: list[tuple[int, int]] = []

    async def take(self, run_file: str) -> Child | None:
        """The trainer that waits, with this run to do, or None. It is nobody's until it is given
        back.
        """
        child, self._child = self._child, None
        if child is None:
            return None
        if await asyncio.to_thread(self._seen) != self._marks or not await self._told(
            child, run_file
        ):
            await dismiss(child)
            return None
        return child

    async def fresh(self, run_file: str) -> Child:
        """A new one, with this run to do."""
        self._marks = await asyncio.to_thread(self._seen)
        child = await spawn(self._argv, place=self._place, spoken_to=True)
        await self._told(child, run_file)
        return child

    def give_back(self, child: Child) -> None:
        """It did its run to the end, well or not, and waits for the next."""
        self._child = child

    async def close(self) -> None:
        if self._child is not None:
            await dismiss(self._child)
            self._child = None

    def _seen(self) -> list[tuple[int, int]]:
        return [] if self._place.reach is None else self._place.reach.marks()

    @staticmethod
    async def _told(child: Child, run_file: str) -> bool:
        assert child.stdin is not None  # noqa: S101  it is a pipe
        if child.returncode is not None:
            return False
        with suppress(OSError):
            child.stdin.write(f"{run_file}\n".encode())
            await child.stdin.drain()
            return True
        return False
