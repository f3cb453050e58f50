"""Pictures for the chat: one photo with numbered faces, or a contact sheet.

They are kept under their draft, and deleted with it.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path

from bot.frontend import OutFile
from bot.screen import Picture, Shelved
from pictures.look import Refused
from pictures.order import View
from pictures.sandbox import Cells
from pictures.sheet import TILE, sheet
from pictures.sheet import Tile as Printed
from storage.blob_store import photo_key
from storage.blobs import Blobs

SIDE = 1024  # pixels of one photo in the chat


def shown_prefix(draft: str) -> str:
    return f"shown/{draft}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Darkroom:
    blobs: Blobs
    cells: Cells

    async def print(self, picture: Picture | Shelved) -> OutFile | None:
        """A JPEG in the blob store; None where there is nothing to show any more."""
        if isinstance(picture, Shelved):
            return await self._shelved(picture)
        name = hashlib.sha256(repr(picture).encode()).hexdigest()[:32]
        key = f"{shown_prefix(picture.draft)}/{name}.jpg"
        if not await self.blobs.exists(key):
            jpeg = await (self._sheet(picture) if picture.sheet else self._photo(picture))
            if not jpeg:
                return None
            await self.blobs.put(key, jpeg)
        return await self._file(key)

    async def _shelved(self, picture: Shelved) -> OutFile | None:
        key = picture.key
        try:
            path = await self.blobs.at_hand(key)
            if picture.stay:
                folder, _, name = key.rpartition("/")
                key = f"{folder}/shown/{name}"
                await self.blobs.put_file(key, path)
            small = await self.blobs.at_hand(picture.small) if picture.small else None
            return await self._file(key, small)
        except FileNotFoundError:
            return None

    async def _file(self, key: str, small: Path | None = None) -> OutFile:
        path = await self.blobs.at_hand(key)
        size = (await asyncio.to_thread(path.stat)).st_size
        return OutFile(path=path, name=path.name, file_bytes=size, small=small, key=key)

    async def _photo(self, picture: Picture) -> bytes:
        return await self._view(picture.tiles[0].sha256, View(side=SIDE, boxes=picture.boxes))

    async def _sheet(self, picture: Picture) -> bytes:
        jpegs = await asyncio.gather(*(self._tile(tile.sha256) for tile in picture.tiles))
        tiles = [
            Printed(number=tile.number, jpeg=jpeg, used=tile.used, doubtful=tile.doubtful)
            for tile, jpeg in zip(picture.tiles, jpegs, strict=True)
        ]
        return await asyncio.to_thread(sheet, tiles)

    async def _tile(self, sha256: str) -> bytes:
        return await self._view(sha256, View(side=TILE))

    async def _view(self, sha256: str, view: View) -> bytes:
        try:
            data = await self.blobs.get(photo_key(sha256))
        except FileNotFoundError:
            return b""
        shown = await self.cells.view(data, view)
        return b"" if isinstance(shown, Refused) else shown.view
