"""Files of one request, streamed to disk: nothing is trusted, neither names nor declared sizes."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect, Request

from bot.web.refusals import Refusal

STALL_S = 60.0  # a body that says nothing for so long has been left
SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    files: int = 30
    file_bytes: int = 50_000_000
    request_bytes: int = 500_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    path: Path
    sha256: str
    file_bytes: int
    suffix: str


class Intake:
    """Turns the parser's calls into files in ``folder``; it runs in a thread, chunk by chunk."""

    def __init__(self, folder: Path, caps: Caps) -> None:
        self.folder = folder
        self.caps = caps
        self.files: list[Uploaded] = []
        self.complete = False
        self._open: BinaryIO | None = None
        self._hash = hashlib.sha256()
        self._suffix = ""
        self._header = [b"", b""]
        self._disposition = b""

    def parser(self, boundary: bytes) -> MultipartParser:
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_headers_finished": self._start_file,
                "on_part_data": self._write,
                "on_part_end": self._finish_file,
                "on_end": self._end,
            },
        )

    def close(self) -> None:
        if self._open is not None:
            self._open.close()

    def _begin(self) -> None:
        self._disposition = b""
        self._header = [b"", b""]

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def _header_end(self) -> None:
        name, value = self._header
        if name.lower() == b"content-disposition":
            self._disposition = value
        self._header = [b"", b""]

    def _start_file(self) -> None:
        if len(self.files) >= self.caps.files:
            raise Refusal(413, key="web.too_many", most=self.caps.files)
        _, options = parse_options_header(self._disposition)
        suffix = Path(options.get(b"filename", b"").decode("utf-8", "replace")).suffix.lower()
        self._suffix = suffix if SUFFIX.fullmatch(suffix) else ""
        self._hash = hashlib.sha256()
        self._open = (self.folder / str(len(self.files))).open("wb")

    def _write(self, data: bytes, start: int, end: int) -> None:
        if self._open is None:
            return
        if self._open.tell() + end - start > self.caps.file_bytes:
            raise Refusal(413, key="web.file_large", limit=self.caps.file_bytes // 1_000_000)
        self._hash.update(data[start:end])
        self._open.write(data[start:end])

    def _finish_file(self) -> None:
        if self._open is None:
            return
        file_bytes = self._open.tell()
        self._open.close()
        done = Uploaded(
            path=Path(self._open.name),
            sha256=self._hash.hexdigest(),
            file_bytes=file_bytes,
            suffix=self._suffix,
        )
        self._open = None
        self.files.append(done)

    def _end(self) -> None:
        self.complete = True


async def read(request: Request, folder: Path, caps: Caps) -> list[Uploaded]:
    """The request's files, now in ``folder``. What cannot be taken is a Refusal."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise Refusal(400, key="web.not_upload")
    intake = Intake(folder, caps)
    try:
        parser = intake.parser(options[b"boundary"])
        async for chunk in _body(request, caps.request_bytes):
            await asyncio.to_thread(parser.write, chunk)
    except (FormParserError, ClientDisconnect) as error:
        raise Refusal(400, key="web.upload_broke") from error
    except OSError as error:
        raise Refusal(507, key="web.no_room") from error
    finally:
        intake.close()
    if not intake.complete or not intake.files:
        raise Refusal(400, key="web.upload_broke")
    return intake.files


async def _body(request: Request, most: int) -> AsyncIterator[bytes]:
    """The body's chunks, counted as they come: the declared length is only a first hint."""
    too_large = Refusal(413, key="web.all_large", limit=most // 1_000_000)
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > most:
        raise too_large
    seen = 0
    chunks = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(STALL_S):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise Refusal(408, key="web.upload_stalled") from error
        seen += len(chunk)
        if seen > most:
            raise too_large
        yield chunk
