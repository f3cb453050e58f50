"""The finished file behind a signed link. The link alone opens it: it is pressed in other apps."""

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from bot.links import Links
from storage import job_store
from storage.blob_store import LocalBlobs
from storage.database import Database

GONE = "Send /models to the bot, and it gives you a fresh link."


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloads:
    db: Database
    blobs: LocalBlobs
    links: Links

    async def file(self, request: Request) -> Response:
        """GET and HEAD, whole or in parts; the ETag is the file's own hash."""
        link = self.links.read(request.path_params["token"])
        if link is None:
            raise HTTPException(404, "Nothing lies behind this link.")
        if link.expired:
            raise HTTPException(410, f"This link is too old. {GONE}")
        async with self.db.read() as tx:
            job = await job_store.get(tx, link.job_id)
        if job is None or job.person != link.person or job.artifact is None:
            raise HTTPException(404, "Nothing lies behind this link.")
        if not await self.blobs.exists(job.artifact.key):
            raise HTTPException(410, "This file was deleted from the server.")
        etag = f'"{job.artifact.sha256}"'
        headers = {"etag": etag, "cache-control": "private, no-cache"}
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return FileResponse(
            self.blobs.path(job.artifact.key),
            filename=job.artifact.name,
            media_type="application/octet-stream",
            headers=headers,
        )
