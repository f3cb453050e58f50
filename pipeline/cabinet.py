"""What was found out and cut so far, on the disk: after a kill the work goes on where it was."""

import hashlib
import json
import os
import tempfile
from pathlib import Path

from pictures import seen as seen_module
from pictures.frame import Cut
from pictures.seen import UNSEEN, Seen


class Cabinet:
    """A folder for this user alone. Each file is whole or not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def seen(self, sha256: str) -> Seen:
        try:
            return seen_module.from_json(json.loads(self._notes(sha256).read_text()))
        except (OSError, ValueError, AttributeError):
            return UNSEEN

    def note(self, sha256: str, seen: Seen) -> None:
        self._put(self._notes(sha256), json.dumps(seen_module.to_json(seen)).encode())

    def picture(self, sha256: str, cut: Cut) -> Path:
        """Where the picture with this cut lies, or would lie."""
        name = hashlib.sha256(repr(cut).encode()).hexdigest()[:16]
        return self.folder / f"{sha256}-{name}.png"

    def put_picture(self, sha256: str, cut: Cut, png: bytes) -> Path:
        path = self.picture(sha256, cut)
        self._put(path, png)
        return path

    def tile(self, sha256: str) -> bytes:
        try:
            return (self.folder / f"{sha256}.jpg").read_bytes()
        except FileNotFoundError:
            return b""

    def put_tile(self, sha256: str, jpeg: bytes) -> None:
        self._put(self.folder / f"{sha256}.jpg", jpeg)

    def _notes(self, sha256: str) -> Path:
        return self.folder / f"{sha256}.json"

    def _put(self, path: Path, data: bytes) -> None:
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=".new-")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(name).rename(path)
