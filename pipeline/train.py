"""Run a backend's process: stream its messages, and end it on every way out.

The process has a group of its own, dies with this one, holds the device's lock for as long as it
lives, and sees nothing of our environment that it does not need.
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

from storage import host
from storage.die_with_parent import under
from trainer.run import EXIT_RESUMABLE, Failed, Failure, Finished, Message, Progress, RunSpec

GRACE_S = 20.0  # SIGTERM finishes a step and writes a checkpoint
STALL_S = 900.0  # loading a large base is silent, but never for so long
BUSY_S = 60.0  # how long a device's last trainer may take to go away
EXIT_S = 5.0  # from its last words to its end
LOOK_S = 0.02
CHUNK_BYTES = 16_000  # read at once: even all newlines do not hold up the others
LINE_BYTES = 64_000
PID = "trainer.pid"
TAIL_BYTES = 64_000
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """``home`` is the job's folder, ``lock`` the device's, ``log`` gets the end of what the trainer
    said beside its messages; ``halt`` asks to stop, and ``patience`` is then asked how long a
    checkpoint may take, ``grace_s`` at most.
    """

    spec: RunSpec
    home: Path
    lock: Path
    log: Path
    halt: asyncio.Event
    patience: Callable[[], float] = lambda: GRACE_S
    stall_s: float = STALL_S
    grace_s: float = math.inf


async def train(backend: Backend, order: Order, tell: Tell) -> Outcome:
    """Until it has finished, failed or been stopped. A finish without a file is a failure."""
    for folder in (order.spec.output.parent, order.log.parent):
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    argv = backend.command(order.spec, order.home)
    async with _device(order) as lock:
        child = await asyncio.create_subprocess_exec(
            *under(argv),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(),
            limit=CHUNK_BYTES,
            pass_fds=(lock,),
            start_new_session=True,
        )
        try:
            _note(order.home, child.pid)
            return await _watch(backend, order, child, tell)
        finally:
            await _end(child, 0)
            # A process that left the group may hold the pipes; nobody listens any more.
            child._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001  there is no other way
            (order.home / PID).unlink(missing_ok=True)


def _note(home: Path, pid: int) -> None:
    """Which process trains here, in a way that no later process can be taken for it."""
    (home / PID).write_text(f"{pid} {host.started(pid)} {host.boot_id()}\n", encoding="ascii")


def end_stray(home: Path) -> bool:
    """End the trainer of a worker that died without it. True: there was one."""
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


def _environment() -> dict[str, str]:
    """No token and no secret: the trainer needs none."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or name.startswith(KEPT_PREFIXES)
    }
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(part for part in (root, kept.get("PYTHONPATH", "")) if part)
    return kept | {"PYTHONUNBUFFERED": "1", "PYTHONPATH": path}


async def _watch(
    backend: Backend, order: Order, child: asyncio.subprocess.Process, tell: Tell
) -> Outcome:
    stream = _Stream(backend, tell)
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
        grace_s = min(order.grace_s, order.patience()) if stopped else EXIT_S
        await _end(child, grace_s, gently=stopped)
        # Its last words are still in the pipe.
        await asyncio.wait((reading,), timeout=EXIT_S)
        made = await asyncio.to_thread(order.spec.output.is_file)
        return _outcome(child.returncode, stream.last, made=made, stopped=stopped)
    finally:
        await _end(child, 0)
        await asyncio.wait((tail,), timeout=1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


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

    def __init__(self, backend: Backend, tell: Tell) -> None:
        self.last: Message | None = None
        self.heard_at = time.monotonic()
        self._backend = backend
        self._tell = tell

    async def read(self, child: asyncio.subprocess.Process) -> None:
        assert child.stdout is not None  # noqa: S101  it is a pipe
        rest = b""
        while chunk := await child.stdout.read(CHUNK_BYTES):
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
        self.last, self.heard_at = message, time.monotonic()
        if isinstance(message, Progress):
            self._tell(message)


async def _keep_tail(child: asyncio.subprocess.Process, log: Path) -> None:
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


async def _end(child: asyncio.subprocess.Process, grace_s: float, *, gently: bool = False) -> None:
    """Nothing of the group is left afterwards."""
    if gently:
        _signal_group(child, signal.SIGTERM)
    await _gone(child, grace_s)
    _signal_group(child, signal.SIGKILL)
    await _gone(child, math.inf)


async def _gone(child: asyncio.subprocess.Process, within_s: float) -> None:
    """Its own ``wait`` also waits for whoever has inherited its pipes, which may be long."""
    until = time.monotonic() + within_s
    while child.returncode is None and time.monotonic() < until:  # noqa: ASYNC110  nobody tells
        await asyncio.sleep(LOOK_S)


def _signal_group(child: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)
