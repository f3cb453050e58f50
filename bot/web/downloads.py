"""The finished file behind a signed link. The link alone opens it: it is pressed in other apps."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from bot.links import LinkRead, Links
from bot.texts.catalog import Catalog, nearest
from bot.web.ranges import Part, Whole, wanted
from storage import job_store
from storage.blob_store import LocalBlobs, artifact_prefix
from storage.database import Database

CHUNK_BYTES = 1 << 18
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


@dataclass(frozen=True, slots=True)
class Found:
    """A file of a job's, in its place; its name for people."""

    path: Path
    name: str
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloads:
    db: Database
    blobs: LocalBlobs
    links: Links

    async def file(self, request: Request) -> Response:
        """GET and HEAD, whole or in one part, which is how a broken download goes on."""
        words = Catalog.load(nearest(_language(request)))
        link = self.links.read(request.path_params["token"])
        if link is None:
            raise HTTPException(404, words.text("link.nothing"))
        if link.expired:
            raise HTTPException(410, words.text("link.old"))
        try:
            found = await self._find(link)
            if found is None:
                raise HTTPException(404, words.text("link.nothing"))
            file = await asyncio.to_thread(found.path.open, "rb")
        except FileNotFoundError as error:
            raise HTTPException(410, words.text("link.deleted")) from error
        # From here on the file is held: whoever deletes it does not cut off this download.
        size = await asyncio.to_thread(file.seek, 0, 2)
        part = wanted(request.method, request.headers, found.etag, size)
        return _answer(request.method, file, found, part, size)

    async def _find(self, link: LinkRead) -> Found | None:
        """None: the link names nothing of this person's. FileNotFoundError: no longer."""
        if not link.job_id:
            return self._of_nobody(link.part)
        async with self.db.read() as tx:
            job = await job_store.get(tx, link.job_id)
        if job is None or job.person != link.person:
            return None
        made = job.artifact
        if made is None:
            raise FileNotFoundError
        if not link.part:
            return Found(self.blobs.path(made.key), made.name, f'"{made.sha256}"')
        if not link.part.startswith(f"{artifact_prefix(job.id)}/"):
            return None
        # The keys of what was published beside the file name its content.
        folder, _, name = link.part.rpartition("/")
        return Found(self.blobs.path(link.part), name, f'"{folder.rpartition("/")[2]}"')

    def _of_nobody(self, key: str) -> Found | None:
        """An export: its place is as secret as the link, and it is deleted after some days."""
        folder, _, name = key.rpartition("/")
        if not key.startswith("exports/"):
            return None
        return Found(self.blobs.path(key), name, f'"{folder.rpartition("/")[2]}"')


def _answer(method: str, file: BinaryIO, found: Found, part: Part | Whole, size: int) -> Response:
    headers = {
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-disposition": disposition(found.name),
        "etag": found.etag,
    }
    match part:
        case Part(first, last):
            headers["content-range"] = f"bytes {first}-{last}/{size}"
        case Whole.ALL:
            pass
        case _:
            file.close()
            told = {"content-range": f"bytes */{size}"} if part is Whole.OUTSIDE else {}
            return Response(status_code=part.value, headers={"etag": found.etag, **told})
    taken = part if isinstance(part, Part) else Part(0, size - 1)
    if method == "HEAD":
        file.close()
        taken = Part(0, -1)
        headers["content-length"] = str(size)
    else:
        headers["content-length"] = str(len(taken))
    return StreamingResponse(
        _read(file, taken),
        status_code=206 if isinstance(part, Part) else 200,
        headers=headers,
        media_type="application/octet-stream",
    )


async def _read(file: BinaryIO, part: Part) -> AsyncIterator[bytes]:
    """Piece by piece, in threads: a slow reader costs one piece of memory."""
    at = part.first
    try:
        while at <= part.last:
            size = min(CHUNK_BYTES, part.last + 1 - at)
            piece = await asyncio.to_thread(_piece, file, at, size)
            if not piece:
                # Cut short under our hands: to end here breaks the download, and so tells it.
                raise OSError("the file has become shorter")
            at += len(piece)
            yield piece
    finally:
        file.close()


def _piece(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


def disposition(name: str) -> str:
    """A name to save under. Whatever is not plain goes into the encoded form alone: RFC 6266."""
    plain = "".join(letter if letter in PLAIN else "_" for letter in name)
    named = f'attachment; filename="{plain}"'
    return named if plain == name else f"{named}; filename*=UTF-8''{quote(name, safe='')}"


def _language(request: Request) -> str:
    return request.headers.get("accept-language", "").partition(",")[0].partition(";")[0].strip()
