"""Run a backend's process: stream its messages, and end it on every way out.

The process has a group of its own, dies with this one, holds the device's lock for as long as it
lives, and sees nothing of our environment that it does not need.
"""

import asyncio
import fcntl
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from storage.die_with_parent import under
from trainer.run import EXIT_RESUMABLE, Failed, Failure, Finished, Message, Progress, RunSpec

GRACE_S = 20.0  # SIGTERM finishes a step and writes a checkpoint
STALL_S = 900.0  # loading a large base is silent, but never for so long
BUSY_S = 60.0  # how long a device's last trainer may take to go away
LINE_BYTES = 64_000
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
    said beside its messages; ``halt`` asks to stop.
    """

    spec: RunSpec
    home: Path
    lock: Path
    log: Path
    halt: asyncio.Event
    stall_s: float = STALL_S
    grace_s: float = GRACE_S


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
            limit=LINE_BYTES,
            pass_fds=(lock,),
            start_new_session=True,
        )
        try:
            return await _watch(backend, order, child, tell)
        finally:
            await _end(child, 0)


@asynccontextmanager
async def _device(order: Order) -> AsyncIterator[int]:
    """The device's lock. The trainer inherits it, so that even an orphan keeps the next one out."""
    order.lock.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(order.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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
    try:
        while not reading.done() and not halting.done():
            quiet = time.monotonic() - stream.heard_at
            if quiet > order.stall_s:
                detail = f"no message for {quiet:.0f} s"
                return Failed(code=Failure.STALLED, detail=detail)
            wait = min(order.stall_s - quiet + 0.01, 5.0)
            both = (reading, halting)
            await asyncio.wait(both, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        stopped = halting.done() and not reading.done()
        await _end(child, order.grace_s if stopped else 5.0, gently=stopped)
        await reading
        made = await asyncio.to_thread(order.spec.output.is_file)
        return _outcome(child.returncode, stream.last, made=made, stopped=stopped)
    finally:
        await _end(child, 0)
        await asyncio.wait((tail,), timeout=1)
        for task in (reading, halting, tail):
            task.cancel()
        await asyncio.gather(reading, halting, tail, return_exceptions=True)


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
        while True:
            try:
                line = await child.stdout.readline()
            except ValueError:
                continue  # longer than any message of ours; it was thrown away
            if not line:
                return
            message = self._backend.parse(line.decode("utf-8", "replace").strip())
            if message is None:
                continue
            self.last, self.heard_at = message, time.monotonic()
            if isinstance(message, Progress):
                self._tell(message)


async def _keep_tail(child: asyncio.subprocess.Process, log: Path) -> None:
    """The end of what the trainer said on its other channel; the beginning is thrown away."""
    assert child.stderr is not None  # noqa: S101  it is a pipe
    kept = bytearray()
    try:
        while chunk := await child.stderr.read(LINE_BYTES):
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
    if grace_s and child.returncode is None:
        with suppress(TimeoutError):
            await asyncio.wait_for(child.wait(), grace_s)
    _signal_group(child, signal.SIGKILL)
    await child.wait()


def _signal_group(child: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, number)
