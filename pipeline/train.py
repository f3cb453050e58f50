"""Run a backend's process: stream its messages, and end it on every way out.

A process of one run inherits the device's lock and holds it for as long as it lives. One that
stays between runs does not: it has no work but what this process gives it, and dies with it.
"""

import asyncio
import fcntl
import math
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.crew import CHUNK_BYTES, Child, Crew, Place, dismiss, end, gone, signal_group, spawn
from pipeline.reach import Reach
from storage import host
from trainer.run import (
    EXIT_RESUMABLE,
    Ended,
    Failed,
    Failure,
    Finished,
    Message,
    Progress,
    RunSpec,
    Sampled,
)

GRACE_S = 20.0  # SIGTERM finishes a step and writes a checkpoint
STALL_S = 900.0  # loading a large base is silent, but never for so long
BUSY_S = 60.0  # how long a device's last trainer may take to go away
EXIT_S = 5.0  # from its last words to its end
LINE_BYTES = 64_000
PID = "trainer.pid"
TAIL_BYTES = 64_000


class Backend(Protocol):
    """A module with these two functions is a backend."""

    def command(self, spec: RunSpec, workdir: Path) -> list[str]: ...
    def parse(self, line: str) -> Message | None: ...


class DeviceBusyError(Exception):
    """Another trainer still holds the device."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Ended because we asked; with a checkpoint if it had the time."""


Outcome = Finished | Failed | Stopped
Tell = Callable[[Progress], None]
Drawn = Callable[[Sampled], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """``home`` is the job's folder, ``lock`` the device's, ``log`` gets the end of what the trainer
    said beside its messages; ``halt`` asks to stop, and ``patience`` is then asked how long a
    checkpoint may take, ``grace_s`` at most. ``drawn`` hears of samples. With a ``crew`` its
    trainer does the run. ``network``: it may use the network; ``reach``: of all other files than
    those in ``home`` it may open these alone.
    """

    spec: RunSpec
    home: Path
    lock: Path
    log: Path
    halt: asyncio.Event
    patience: Callable[[], float] = lambda: GRACE_S
    stall_s: float = STALL_S
    grace_s: float = math.inf
    crew: Crew | None = None
    drawn: Drawn | None = None
    network: bool = False
    reach: Reach | None = None


async def train(backend: Backend, order: Order, tell: Tell) -> Outcome:
    """Until it has finished, failed or been stopped. A finish without a file is a failure."""
    for folder in (order.spec.output.parent, order.log.parent):
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    argv = backend.command(order.spec, order.home)
    async with _device(order) as lock:
        # Of an earlier claim, whose worker is frozen, on another device: it has lost the job.
        await asyncio.to_thread(end_stray, order.home)
        crew = order.crew if order.spec.devices == 1 else None
        if crew is None:
            home = order.home.absolute()
            reach = None if order.reach is None else order.reach.writing(home)
            together = order.spec.devices > 1
            place = Place(folder=home, network=order.network, together=together, reach=reach)
            child = await spawn(argv, lock, place=place)
            return await _run(_Stream(backend, tell, order.drawn), order, child)
        if (staying := await crew.take(argv[-1])) is not None:
            stream = _Stream(backend, tell, order.drawn)
            outcome = await _run(stream, order, staying, crew)
            if stream.last is not None or order.halt.is_set():
                return outcome
            # It had nothing more to say: it was ending, or dead, before it could hear of this run.
        return await _run(
            _Stream(backend, tell, order.drawn), order, await crew.fresh(argv[-1]), crew
        )


async def _run(stream: "_Stream", order: Order, child: Child, crew: Crew | None = None) -> Outcome:
    try:
        _note(order.home, child.pid)
        return await _watch(stream, order, child)
    finally:
        if crew and stream.ended is not None and child.returncode is None:
            crew.give_back(child)
        else:
            await dismiss(child)
        _forget(order.home, child.pid)


def _note(home: Path, pid: int) -> None:
    """Which process trains here, in a way that no later process can be taken for it."""
    (home / PID).write_text(f"{pid} {host.started(pid)} {host.boot_id()}\n", encoding="ascii")


def _forget(home: Path, pid: int) -> None:
    """By now it may be a later claim that trains here."""
    note = home / PID
    with suppress(OSError):
        if note.read_text(encoding="ascii").split()[:1] == [str(pid)]:
            note.unlink()


def end_stray(home: Path) -> bool:
    """End the trainer of a worker that died or froze and has lost the job. True: there was one."""
    try:
        pid, began, *boot = (home / PID).read_text(encoding="ascii").split()
        number = int(pid)
        stray = int(began) and host.alive(number, int(began)) and boot == host.boot_id().split()
    except (OSError, ValueError):
        return False
    if stray:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(number, signal.SIGKILL)
    return bool(stray)


def device_is_free(lock: Path) -> bool:
    """No trainer holds it at this moment."""
    handle = _open(lock)
    try:
        return _locked(handle)
    finally:
        os.close(handle)


def _open(lock: Path) -> int:
    lock.parent.mkdir(parents=True, exist_ok=True)
    return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@asynccontextmanager
async def _device(order: Order) -> AsyncIterator[int]:
    """The device's lock. The trainer inherits it, so that even an orphan keeps the next one out."""
    handle = _open(order.lock)
    try:
        until = time.monotonic() + BUSY_S
        while not _locked(handle):
            if time.monotonic() > until or order.halt.is_set():
                raise DeviceBusyError(order.lock.name)
            await asyncio.sleep(0.2)
        yield handle
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _watch(stream: "_Stream", order: Order, child: Child) -> Outcome:
    reading = asyncio.create_task(stream.read(child))
    halting = asyncio.create_task(order.halt.wait())
    tail = asyncio.create_task(_keep_tail(child, order.log))
    tasks = (reading, halting, tail)
    try:
        while child.returncode is None and not (reading.done() or halting.done()):
            quiet = time.monotonic() - stream.heard_at
            if quiet > order.stall_s:
                detail = f"no message for {quiet:.0f} s"
                return Failed(code=Failure.STALLED, detail=detail)
            both = (reading, halting)
            wait = min(order.stall_s - quiet + 0.01, 1.0)
            await asyncio.wait(both, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        stopped = child.returncode is None and not reading.done()
        await _settle(stream, order, child, stopped=stopped)
        # Its last words are still in the pipe.
        await asyncio.wait((reading,), timeout=EXIT_S)
        made = await asyncio.to_thread(order.spec.output.is_file)
        code = child.returncode if stream.ended is None else stream.ended
        return _outcome(code, stream.last, made=made, stopped=stopped)
    finally:
        if stream.ended is None:
            await end(child, 0)
            await asyncio.wait((tail,), timeout=1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _settle(stream: "_Stream", order: Order, child: Child, *, stopped: bool) -> None:
    """Until the run is over: asked to stop it, or waiting for its process to go."""
    if stopped:
        signal_group(child, signal.SIGTERM)
        grace_s = min(order.grace_s, order.patience())
        await gone(child, grace_s, lambda: stream.ended is not None)
    if stream.ended is None:
        await end(child, 0 if stopped else EXIT_S)


def _outcome(code: int | None, last: Message | None, *, made: bool, stopped: bool) -> Outcome:
    match last:
        case Finished() if code == 0 and made:
            return last
        case Failed():
            return last
    if stopped or code == EXIT_RESUMABLE:
        return Stopped()
    if code == 0:
        return Failed(code=Failure.ARTIFACT, detail="the trainer ended well, but left no file")
    if code == -signal.SIGKILL:
        # The kernel's way of saying that memory ran out; also what an operator's kill looks like.
        return Failed(code=Failure.KILLED, detail="the trainer was killed")
    return Failed(code=Failure.INTERNAL, detail=f"the trainer ended with {code}")


class _Stream:
    """Reads lines as they come; a flood of anything else costs neither memory nor time."""

    def __init__(self, backend: Backend, tell: Tell, drawn: Drawn | None) -> None:
        self.last: Message | None = None
        self.ended: int | None = None  # the code of a run whose process stays
        self.heard_at = time.monotonic()
        self._backend = backend
        self._tell = tell
        self._drawn = drawn

    async def read(self, child: Child) -> None:
        assert child.stdout is not None  # noqa: S101  it is a pipe
        rest = b""
        while self.ended is None and (chunk := await child.stdout.read(CHUNK_BYTES)):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._hear(line)
            # What is longer than any message of ours is none: its end does not matter.
            rest = rest[:LINE_BYTES]
            await asyncio.sleep(0)
        self._hear(rest)

    def _hear(self, line: bytes) -> None:
        message = self._backend.parse(line.decode("utf-8", "replace").strip()) if line else None
        if message is None:
            return
        if isinstance(message, Ended):
            self.ended = message.code
            return
        self.last, self.heard_at = message, time.monotonic()
        if isinstance(message, Progress):
            self._tell(message)
        elif isinstance(message, Sampled) and self._drawn is not None:
            self._drawn(message)


async def _keep_tail(child: Child, log: Path) -> None:
    """The end of what the trainer said on its other channel; the beginning is thrown away."""
    assert child.stderr is not None  # noqa: S101  it is a pipe
    kept = bytearray()
    try:
        while chunk := await child.stderr.read(CHUNK_BYTES):
            kept += chunk
            del kept[:-TAIL_BYTES]
    finally:
        with suppress(OSError):
            # The process is over, or about to be: one small write holds nobody up.
            log.write_bytes(kept)  # noqa: ASYNC240
