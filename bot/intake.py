"""Download what people sent, and look: each picture becomes an event, and so does each refusal."""

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bot.blocklist import Blocklist
from bot.events import Event, FileRefused, PhotoReceived
from bot.frontend import Attachment, Frontend, NetworkError
from pictures import archive, look
from pictures.look import Refused
from pictures.sandbox import Cells
from storage.blob_store import photo_key
from storage.blobs import Blobs
from storage.job import Photo

log = logging.getLogger(__name__)

FETCH_TRIES = 3
TAKEN_AT_ONCE = 4
FETCH_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """``frontends`` by platform: each has a limit of its own."""

    blobs: Blobs
    cells: Cells
    frontends: Mapping[str, Frontend]
    blocklist: Blocklist

    async def take(self, attachments: Sequence[Attachment], platform: str) -> list[Event]:
        """A request may bring many large files; few of them are in memory at once."""
        gate = asyncio.Semaphore(TAKEN_AT_ONCE)

        async def one(attachment: Attachment) -> list[Event]:
            async with gate:
                found = await self._look_into(attachment, platform)
            # Of several, as in a ZIP, a mark could not say which.
            return [_brought_by(found[0], attachment.ref)] if len(found) == 1 else found

        taken = await asyncio.gather(*map(one, attachments))
        return [event for some in taken for event in some]

    async def _look_into(self, attachment: Attachment, platform: str) -> list[Event]:
        limit = self.frontends[platform].limits.in_file_bytes
        if (attachment.file_bytes or 0) > limit:
            args = {"size": (attachment.file_bytes or 0) // 1_000_000, "limit": limit // 1_000_000}
            return [FileRefused("photo.big", args)]
        data = await _fetch(attachment)
        if data is None:
            return [FileRefused("photo.fetch")]
        if not archive.is_zip(data):
            return [await self._keep(data)]
        pictures = archive.photos_in_zip(data)
        found: list[Event] = []
        try:
            # One at a time: unpacked, all together would be too much to hold.
            while (one := await asyncio.to_thread(next, pictures, None)) is not None:
                found.append(await self._keep(one))
        except archive.ZipRefusedError as error:
            # What came before the fault is whole, and is kept.
            return [*found, FileRefused(error.code, error.args_of_text)]
        unfit = [one for one in found if isinstance(one, FileRefused) and one.code == "photo.type"]
        # What is in the ZIP beside pictures is no news to anybody.
        return [one for one in found if one not in unfit] or [FileRefused("zip.empty")]

    async def _keep(self, data: bytes) -> Event:
        looked = await self.cells.look(data)
        if isinstance(looked, Refused):
            return FileRefused(looked.code, looked.args)
        sha256 = look.key_of(data)
        if await asyncio.to_thread(self.blocklist.blocks, sha256, looked):
            return FileRefused("photo.policy")
        try:
            await self.blobs.put(photo_key(sha256), data)
        except OSError as error:
            # A store that is away, a full disk: nothing is said to have arrived that is not kept.
            log.error("a photo could not be kept: %s", error)  # noqa: TRY400  the sentence says all
            return FileRefused("photo.fetch")
        # The conversation gives the number: only it knows how many came before.
        photo = Photo(
            sha256=sha256,
            number=1,
            file_bytes=len(data),
            width=looked.width,
            height=looked.height,
        )
        return PhotoReceived(photo, json.dumps(look.to_json(looked)))


def _brought_by(event: Event, ref: str) -> Event:
    return replace(event, ref=ref) if isinstance(event, PhotoReceived | FileRefused) else event


async def _fetch(attachment: Attachment) -> bytes | None:
    for left in reversed(range(FETCH_TRIES)):
        try:
            return await attachment.fetch()
        except NetworkError as error:
            if error.permanent or not left:
                return None
            await asyncio.sleep(FETCH_PAUSE_S)
    return None
