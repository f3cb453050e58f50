"""Files that the server holds, and how it hands them out."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.bot_api.refusals import RefusedError, bad_request

DOWNLOAD_BYTES = 20 << 20
UPLOAD_BYTES = 50 << 20


@dataclass(frozen=True)
class Held:
    file_id: str
    path: str
    data: bytes
    claimed_bytes: int  # a test may say that a file is large without making it so


@dataclass
class Files:
    """``most_at_once`` is how many downloads went on at the same time, each ``download_s`` long.

    ``folder`` puts the server into its local mode: files lie there, and limits are gone.
    ``upload_bytes`` is what it takes from the bot in one request, whatever its document says.
    """

    download_s: float = 0.0
    folder: Path | None = None
    upload_bytes: int = UPLOAD_BYTES
    most_at_once: int = 0
    downloads: int = 0
    _now: int = 0
    _held: dict[str, Held] = field(default_factory=dict)

    def hold(self, data: bytes, name: str, kind: str, *, claimed_bytes: int | None = None) -> Held:
        number = len(self._held)
        path = f"{kind}/file_{number}{Path(name).suffix}"
        size = len(data) if claimed_bytes is None else claimed_bytes
        held = Held(f"FILE-{kind}-{number}", path, data, size)
        self._held[held.file_id] = held
        return held

    def check_upload(self, file_bytes: int) -> None:
        if file_bytes > self.upload_bytes:
            raise RefusedError(413, "Request Entity Too Large")

    def read(self, address: str) -> tuple[str, bytes]:
        """Name and content of a file on this machine; only a server in its local mode does that."""
        if self.folder is None:
            raise bad_request("wrong file identifier/HTTP URL specified")
        path = Path(unquote(urlsplit(address).path))
        return path.name, path.read_bytes()

    def find(self, file_id: str) -> Held:
        if file_id not in self._held:
            raise bad_request("wrong file identifier/HTTP URL specified")
        return self._held[file_id]

    def get_file(self, file_id: str) -> dict[str, object]:
        if file_id not in self._held:
            raise bad_request("invalid file_id")
        held = self._held[file_id]
        if self.folder is None and held.claimed_bytes > DOWNLOAD_BYTES:
            raise bad_request("file is too big")
        return {
            "file_id": file_id,
            "file_unique_id": f"U{file_id}",
            "file_size": held.claimed_bytes,
            "file_path": self._place(held),
        }

    def forget(self) -> None:
        """As after a long time: no file id is known any more."""
        self._held.clear()

    async def download(self, path: str) -> bytes:
        found = [held for held in self._held.values() if held.path == path]
        if not found:
            raise RefusedError(404, "Not Found")
        self._now += 1
        self.downloads += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            await asyncio.sleep(self.download_s)
        finally:
            self._now -= 1
        return found[0].data

    def _place(self, held: Held) -> str:
        if self.folder is None:
            return held.path
        place = self.folder / held.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(held.data)
        return str(place)
