"""A proxy between us and an HTTP server that breaks what it is told to break.

Each connection carries one request, so that each request has a fate of its own.
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum
from urllib.parse import urlsplit

HEAD_BYTES = 1 << 16
PIECE = 1 << 16
CUT_BYTES = 100_000  # so much of a body comes through before it is cut
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Fault(Enum):
    BROKEN = 500  # answers of the server, as it were
    BUSY = 503
    FORBIDDEN = 403
    RESET = "reset"  # the connection, before anything else
    CUT_DOWN = "cut down"  # in the middle of what comes
    CUT_UP = "cut up"  # in the middle of what goes
    NO_ANSWER = "no answer"  # done, and the answer lost
    SILENT = "silent"  # nothing at all, and the line stays open


class FaultyProxy:
    def __init__(self, behind: str) -> None:
        at = urlsplit(behind)
        self._behind = (at.hostname, at.port)
        self._fault: Fault | None = None
        self._only = re.compile(b"")
        self._left = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.address = ""
        self.broken: list[str] = []  # first lines of requests that a fault met
        self.passed: list[str] = []

    def fail(self, fault: Fault, *, times: int = 1_000_000, only: str = "") -> None:
        """``only`` is looked for in the first line of a request."""
        self._fault, self._left, self._only = fault, times, re.compile(only.encode())

    def heal(self) -> None:
        self._fault = None

    def met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError, asyncio.IncompleteReadError):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                await self._request(head, reader, writer)
            finally:
                writer.close()

    def _fate(self, first: bytes) -> Fault | None:
        meets = self._fault is not None and self._left > 0 and self._only.search(first)
        (self.broken if meets else self.passed).append(first.decode())
        if not meets:
            return None
        self._left -= 1
        return self._fault

    async def _request(
        self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        match self._fate(head.partition(b"\r\n")[0]):
            case Fault.RESET:
                _reset(writer)
            case Fault.SILENT:
                await asyncio.Event().wait()
            case Fault.BROKEN | Fault.BUSY | Fault.FORBIDDEN as fault:
                await _drain(reader, head)
                answer = (
                    f"HTTP/1.1 {fault.value} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                )
                writer.write(answer.encode())
                await writer.drain()
            case fault:
                await self._forward(fault, head, reader, writer)

    async def _forward(
        self,
        fault: Fault | None,
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        inner_reader, inner = await asyncio.open_connection(*self._behind, limit=HEAD_BYTES)
        try:
            inner.write(head[:-2] + b"connection: close\r\n\r\n")
            up = CUT_BYTES if fault is Fault.CUT_UP else None
            if not await _pump(reader, inner, _length(head), up):
                return _reset(writer)
            if fault is Fault.NO_ANSWER:
                await inner_reader.read(PIECE)
                return _reset(writer)
            answer = await inner_reader.readuntil(b"\r\n\r\n")
            writer.write(answer[:-2] + b"connection: close\r\n\r\n")
            size = 0 if head.startswith(b"HEAD") else _length(answer)
            down = CUT_BYTES if fault is Fault.CUT_DOWN else None
            if not await _pump(inner_reader, writer, size, down):
                _reset(writer)
        finally:
            inner.close()
        return None


def _length(head: bytes) -> int:
    found = LENGTH.search(head)
    return int(found[1]) if found else 0


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, size: int, cut: int | None
) -> bool:
    """``size`` bytes, or False after at most ``cut`` of them, and at most half."""
    wanted = size if cut is None else min(cut, size // 2)
    done = 0
    while done < wanted:
        piece = await reader.read(min(PIECE, wanted - done))
        if not piece:
            return False
        done += len(piece)
        writer.write(piece)
        await writer.drain()
    return cut is None


async def _drain(reader: asyncio.StreamReader, head: bytes) -> None:
    left = _length(head)
    while left > 0 and (piece := await reader.read(min(PIECE, left))):
        left -= len(piece)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Not an orderly end: what a cable that is pulled, or a crash, looks like."""
    transport = writer.transport
    taken = transport.get_extra_info("socket")
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    transport.abort()


@asynccontextmanager
async def faulty_proxy(behind: str) -> AsyncIterator[FaultyProxy]:
    proxy = FaultyProxy(behind)
    server = await asyncio.start_server(proxy.met, "127.0.0.1", 0, limit=HEAD_BYTES)
    proxy.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
