"""Talk with a child process: a line of JSON each way, and a body in memory that both share.

Bodies are pictures of many megabytes; through a pipe each of them would cost as much as a tenth of
its decoding. A request is answered before the next one is asked, so one memory serves both ways.
"""

import asyncio
import json
import mmap
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Self

START_S = 60.0
SHARED_BYTES = 64_000_000
LINE_BYTES = 1 << 22  # a first look has a small picture in it, faces have numbers
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT", "VIRTUAL_ENV", "TMPDIR")


class ChildLostError(Exception):
    """The child died, or was ended because it did not answer. ``slow`` says which."""

    def __init__(self, *, slow: bool) -> None:
        super().__init__("did not answer in time" if slow else "died")
        self.slow = slow


@dataclass(slots=True)
class Parent:
    """The child's side of the talk."""

    source: BinaryIO
    sink: BinaryIO
    shared: mmap.mmap

    @classmethod
    def reached_by(cls, handle: int, sink: BinaryIO) -> Self:
        """``handle`` is the shared memory's file, which is closed: the memory stays."""
        shared = mmap.mmap(handle, 0)
        os.close(handle)
        return cls(sys.stdin.buffer, sink, shared)

    def hear(self) -> tuple[dict[str, Any], bytes] | None:
        """The next request; None when the parent has nothing more to ask."""
        line = self.source.readline()
        if not line.endswith(b"\n"):
            return None
        said = json.loads(line)
        return said["head"], self.shared[: said["bytes"]]

    def say(self, head: Mapping[str, Any], *parts: bytes) -> None:
        end = 0
        for part in parts:
            self.shared[end : end + len(part)] = part
            end += len(part)
        self.sink.write(_line(head, end))
        self.sink.flush()


@dataclass(slots=True)
class Child:
    """The parent's side. One question at a time."""

    process: asyncio.subprocess.Process
    shared: mmap.mmap

    @classmethod
    async def start(
        cls,
        module: str,
        *arguments: str,
        environment: Mapping[str, str],
        shared_bytes: int = SHARED_BYTES,
        launched_by: Callable[[list[str]], list[str]] = list,
    ) -> tuple[Self, dict[str, Any]]:
        """``python -m module PARENT HANDLE ARGUMENTS``, and what it says before it is asked.

        ``launched_by`` may put another program before it, which becomes this one.
        """
        passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        with tempfile.TemporaryFile() as file:
            file.truncate(shared_bytes)
            handle = file.fileno()
            own = [sys.executable, "-m", module, str(os.getpid()), str(handle), *arguments]
            process = await asyncio.create_subprocess_exec(
                *launched_by(own),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LINE_BYTES,
                env=passed_on | dict(environment),
                pass_fds=(handle,),
                start_new_session=True,
            )
            child = cls(process, mmap.mmap(handle, 0))
        try:
            said, _ = await child._answer(START_S)
        except ChildLostError as error:
            await child.end()
            raise RuntimeError(f"{module} does not start") from error
        except BaseException:
            await child.end()
            raise
        return child, said

    async def ask(
        self, head: Mapping[str, Any], body: bytes, within_s: float
    ) -> tuple[dict[str, Any], bytes]:
        assert self.process.stdin is not None  # noqa: S101  it was asked for
        self.shared[: len(body)] = body
        try:
            self.process.stdin.write(_line(head, len(body)))
        except (OSError, RuntimeError) as error:
            raise ChildLostError(slow=False) from error
        return await self._answer(within_s)

    async def _answer(self, within_s: float) -> tuple[dict[str, Any], bytes]:
        assert self.process.stdout is not None  # noqa: S101  it was asked for
        try:
            async with asyncio.timeout(within_s):
                said = json.loads(await self.process.stdout.readuntil(b"\n"))
                return said["head"], self.shared[: said["bytes"]]
        except TimeoutError as error:
            raise ChildLostError(slow=True) from error
        except (OSError, EOFError, ValueError, LookupError, TypeError) as error:
            raise ChildLostError(slow=False) from error
        except asyncio.LimitOverrunError as error:
            raise ChildLostError(slow=False) from error

    async def end(self) -> None:
        if self.process.returncode is None:
            # Not by its own `kill`, which takes the exit status away from the loop that waits.
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)
        await self.process.wait()
        self.shared.close()


def _line(head: Mapping[str, Any], count: int) -> bytes:
    return json.dumps({"head": head, "bytes": count}).encode() + b"\n"
