"""The finished file behind a signed link. The link alone opens it: it is pressed in other apps."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from bot.links import LinkRead, Links
from bot.texts.catalog import Catalog, nearest
from bot.web.ranges import Part, Whole, wanted
from storage import job_store
from storage.blob_store import artifact_prefix
from storage.blobs import Blobs, Opened, StoreError
from storage.database import Database

log = logging.getLogger(__name__)

LATER_S = 30  # a client that was sent away may ask again
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


@dataclass(frozen=True, slots=True)
class Found:
    """A file of a job's, by its key; its name for people."""

    key: str
    name: str
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloads:
    db: Database
    blobs: Blobs
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
            file = await self.blobs.open(found.key)
        except FileNotFoundError as error:
            raise HTTPException(410, words.text("link.deleted")) from error
        except StoreError as error:
            log.warning("a download has to wait (%s)", error)
            later = {"retry-after": str(LATER_S)}
            raise HTTPException(503, words.text("link.away"), later) from error
        part = wanted(request.method, request.headers, found.etag, file.size)
        return await _answer(request.method, file, found, part)

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
            return Found(made.key, made.name, f'"{made.sha256}"')
        if not link.part.startswith(f"{artifact_prefix(job.id)}/"):
            return None
        # The keys of what was published beside the file name its content.
        folder, _, name = link.part.rpartition("/")
        return Found(link.part, name, f'"{folder.rpartition("/")[2]}"')

    def _of_nobody(self, key: str) -> Found | None:
        """An export: its place is as secret as the link, and it is deleted after some days."""
        folder, _, name = key.rpartition("/")
        if not key.startswith("exports/"):
            return None
        return Found(key, name, f'"{folder.rpartition("/")[2]}"')


async def _answer(method: str, file: Opened, found: Found, part: Part | Whole) -> Response:
    headers = {
        "accept-ranges": "bytes",
        "cache-control": "private, no-cache",
        "content-disposition": disposition(found.name),
        "etag": found.etag,
    }
    match part:
        case Part(first, last):
            headers["content-range"] = f"bytes {first}-{last}/{file.size}"
        case Whole.ALL:
            pass
        case _:
            await file.close()
            told = {"content-range": f"bytes */{file.size}"} if part is Whole.OUTSIDE else {}
            return Response(status_code=part.value, headers={"etag": found.etag, **told})
    taken = part if isinstance(part, Part) else Part(0, file.size - 1)
    if method == "HEAD":
        taken = Part(0, -1)
        headers["content-length"] = str(file.size)
    else:
        headers["content-length"] = str(len(taken))
    return StreamingResponse(
        _read(file, taken),
        status_code=206 if isinstance(part, Part) else 200,
        headers=headers,
        media_type="application/octet-stream",
    )


async def _read(file: Opened, part: Part) -> AsyncIterator[bytes]:
    """What goes wrong here breaks the download off, and so tells it: the client goes on later."""
    try:
        async for piece in file.read(part.first, part.last):
            yield piece
    except (StoreError, FileNotFoundError) as error:
        log.warning("a download broke off (%s)", type(error).__name__)
        raise
    finally:
        await file.close()


def disposition(name: str) -> str:
    """A name to save under. Whatever is not plain goes into the encoded form alone: RFC 6266."""
    plain = "".join(letter if letter in PLAIN else "_" for letter in name)
    named = f'attachment; filename="{plain}"'
    return named if plain == name else f"{named}; filename*=UTF-8''{quote(name, safe='')}"


def _language(request: Request) -> str:
    return request.headers.get("accept-language", "").partition(",")[0].partition(";")[0].strip()
