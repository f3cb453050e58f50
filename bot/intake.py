"""The first look at an upload: is it a picture that opens, how large is it, did it come before?

Cheap enough to answer at once; what faces are on it, the worker finds out later.
"""

import asyncio
import hashlib
import io
import struct
import warnings
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache

from PIL import Image, UnidentifiedImageError

from storage.job import Args, Photo

MAX_FILE_BYTES = 50_000_000
MAX_PIXELS = 64_000_000
SMALLEST = 128  # pixels on the short side
OPENERS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
MAX_ENTRIES = 200
MAX_UNPACKED_BYTES = 500_000_000
ZIP_MAGIC = b"PK\x03\x04"
LOCKED_FLAG = 1  # of an entry: it is encrypted
AT_ONCE = 2
# All that decoders were seen to raise, or may, on bytes that somebody made up.
BROKEN = (
    *(OSError, ValueError, SyntaxError, RuntimeError, EOFError, LookupError, ArithmeticError),
    *(struct.error, MemoryError, Image.DecompressionBombError),
)


@cache
def _threads() -> ThreadPoolExecutor:
    """Few at a time: pictures are large when they are unpacked."""
    return ThreadPoolExecutor(AT_ONCE, thread_name_prefix="intake")


@dataclass(frozen=True, slots=True)
class Looked:
    """A usable picture; ``photo`` gives it the number that the chat will call it by."""

    sha256: str
    file_bytes: int
    width: int
    height: int

    def photo(self, number: int) -> Photo:
        return Photo(
            sha256=self.sha256,
            number=number,
            file_bytes=self.file_bytes,
            width=self.width,
            height=self.height,
        )


@dataclass(frozen=True, slots=True)
class Refused:
    """A text key of `photo.*` and its arguments; the number is added by whoever counts."""

    code: str
    args: Args = field(default_factory=dict)


class ZipRefusedError(Exception):
    """The archive cannot be used; ``code`` is a text key of `zip.*`."""

    def __init__(self, code: str, **args: int) -> None:
        super().__init__(code)
        self.code = code
        self.args_of_text: Args = args


def is_zip(data: bytes) -> bool:
    return data.startswith(ZIP_MAGIC)


async def check(data: bytes) -> Looked | Refused:
    """The first look, off the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_threads(), look, data)


def look(data: bytes) -> Looked | Refused:
    if len(data) > MAX_FILE_BYTES:
        limit = MAX_FILE_BYTES // 1_000_000
        return Refused("photo.big", {"size": len(data) // 1_000_000, "limit": limit})
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            width, height = _size(data)
    except UnidentifiedImageError:
        return Refused("photo.type")
    except BROKEN:
        return Refused("photo.broken")
    if width * height > MAX_PIXELS:
        return Refused("photo.pixels")
    if min(width, height) < SMALLEST:
        return Refused("photo.small", {"width": width, "height": height})
    return Looked(hashlib.sha256(data).hexdigest(), len(data), width, height)


def _size(data: bytes) -> tuple[int, int]:
    """The size, after the picture was decoded to its end: a broken one says so only there."""
    with Image.open(io.BytesIO(data), formats=OPENERS) as image:
        size = image.size
        if size[0] * size[1] <= MAX_PIXELS:
            # A JPEG decodes at an eighth of its size, which reads every byte all the same.
            image.draft("RGB", (SMALLEST, SMALLEST))
            image.load()
        return size


def photos_in_zip(data: bytes) -> Iterator[bytes]:
    """The bytes of each file that may be a picture. Nothing is written to the disk, names are only
    looked at for hidden files, and sizes are counted while reading, because an archive may lie.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except zipfile.BadZipFile as error:
        raise ZipRefusedError("zip.bad") from error
    with archive:
        entries = [one for one in archive.infolist() if not one.is_dir()]
        if len(entries) > MAX_ENTRIES:
            raise ZipRefusedError("zip.many", most=MAX_ENTRIES)
        if any(one.flag_bits & LOCKED_FLAG for one in entries):
            raise ZipRefusedError("zip.locked")
        left = MAX_UNPACKED_BYTES
        for entry in entries:
            hidden = entry.filename.rpartition("/")[2].startswith((".", "__"))
            if hidden or entry.filename.startswith("__MACOSX/"):
                continue
            unpacked = _read(archive, entry, min(left, MAX_FILE_BYTES + 1))
            left -= len(unpacked)
            if not is_zip(unpacked):
                yield unpacked


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes:
    try:
        with archive.open(entry) as file:
            unpacked = file.read(most)
            if len(unpacked) >= most and file.read(1):
                raise ZipRefusedError("zip.large")
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError) as error:
        raise ZipRefusedError("zip.bad") from error
    return unpacked
