"""Photos that somebody names on the command line: a folder, or a ZIP."""

from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from bot.texts.catalog import Catalog
from pictures import archive, look
from storage.job import Photo


class OrderError(Exception):
    """The order cannot be carried out; the message is for the person who typed it."""


@dataclass(slots=True)
class Source:
    """Uploads by number. A folder's files stay where they are, a ZIP's are held in memory."""

    files: list[Path] = field(default_factory=list)
    held: list[bytes] = field(default_factory=list)

    @classmethod
    def open(cls, path: Path) -> "Source":
        if path.is_dir():
            names = sorted(one for one in path.iterdir() if one.is_file())
            return cls(files=[one for one in names if not one.name.startswith(".")])
        if not path.is_file():
            raise OrderError(f"There is no folder or ZIP called {path}.")
        try:
            return cls(held=list(archive.photos_in_zip(path.read_bytes())))
        except archive.ZipRefusedError as error:
            raise OrderError(f"{path} is not a ZIP of photos: {error}") from error

    def __len__(self) -> int:
        return len(self.files) + len(self.held)

    def data(self, number: int) -> bytes:
        return self.held[number - 1] if self.held else self.files[number - 1].read_bytes()

    def photos(self, screen: Console) -> tuple[Photo, ...]:
        """Each content once; the number is its place in the folder."""
        found: dict[str, Photo] = {}
        for number in range(1, len(self) + 1):
            data = self.data(number)
            key = look.key_of(data)
            if key in found:
                said = {"number": number, "other": found[key].number}
                screen.print(Catalog.load("en").text("photo.duplicate", said), markup=False)
                continue
            found[key] = Photo(sha256=key, number=number, file_bytes=len(data))
        return tuple(found.values())
