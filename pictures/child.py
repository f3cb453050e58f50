"""Talk with a child process over its standard input and output: a JSON header and a body each way.

4 bytes length, the header, 8 bytes length, the body       (big endian)
"""

import asyncio
import json
import os
import signal
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Self

HEAD, BODY = struct.Struct(">I"), struct.Struct(">Q")
START_S = 60.0
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT", "VIRTUAL_ENV", "TMPDIR")


class ChildLostError(Exception):
    """The child died, or was ended because it did not answer. ``slow`` says which."""

    def __init__(self, *, slow: bool) -> None:
        super().__init__("did not answer in time" if slow else "died")
        self.slow = slow


def message(head: Mapping[str, Any], *parts: bytes) -> bytes:
    text = json.dumps(head).encode()
    return b"".join(
        (HEAD.pack(len(text)), text, BODY.pack(sum(len(part) for part in parts)), *parts)
    )


def read_message(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """The child's side. None at the end of the stream."""
    start = stream.read(HEAD.size)
    if len(start) < HEAD.size:
        return None
    head = json.loads(stream.read(HEAD.unpack(start)[0]))
    (length,) = BODY.unpack(stream.read(BODY.size))
    return head, stream.read(length)


@dataclass(slots=True)
class Child:
    """The parent's side. One question at a time."""

    process: asyncio.subprocess.Process

    @classmethod
    async def start(
        cls, module: str, *arguments: str, environment: Mapping[str, str]
    ) -> tuple[Self, dict[str, Any]]:
        """``python -m module PARENT ARGUMENTS``, and what it says of itself before it is asked."""
        passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        child = cls(
            await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", module, str(os.getpid()), *arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=passed_on | dict(environment),
                start_new_session=True,
            )
        )
        try:
            said, _ = await child.ask(b"", START_S)
        except ChildLostError as error:
            await child.end()
            raise RuntimeError(f"{module} does not start") from error
        except BaseException:
            await child.end()
            raise
        return child, said

    async def ask(self, request: bytes, within_s: float) -> tuple[dict[str, Any], bytes]:
        """With no request, what it says by itself."""
        sink, source = self.process.stdin, self.process.stdout
        assert sink is not None  # noqa: S101  they were asked for
        assert source is not None  # noqa: S101
        try:
            async with asyncio.timeout(within_s):
                sink.write(request)
                await sink.drain()
                (length,) = HEAD.unpack(await source.readexactly(HEAD.size))
                head = json.loads(await source.readexactly(length))
                (length,) = BODY.unpack(await source.readexactly(BODY.size))
                return head, await source.readexactly(length)
        except TimeoutError as error:
            raise ChildLostError(slow=True) from error
        except (OSError, EOFError, ValueError) as error:
            raise ChildLostError(slow=False) from error

    async def end(self) -> None:
        if self.process.returncode is None:
            # Not by its own `kill`, which takes the exit status away from the loop that waits.
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)
        await self.process.wait()
