"""Photos out of a ZIP. Nothing is written to the disk, and nothing in it is believed."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping

MAX_FILE_BYTES = 50_000_000
MAX_ENTRIES = 200
MAX_UNPACKED_BYTES = 500_000_000
ZIP_MAGIC = b"PK\x03\x04"
LOCKED_FLAG = 1  # of an entry: it is encrypted
# All others unpack without a bound on their memory, and no camera or phone writes them.
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
# All that the library was seen to raise on bytes that somebody made up.
BROKEN = (
    *(zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError, LookupError),
    *(OverflowError, MemoryError, struct.error, zlib.error),
)


class ZipRefusedError(Exception):
    """The archive cannot be used; ``code`` is a text key of `zip.*`."""

    def __init__(self, code: str, **args: int) -> None:
        super().__init__(code)
        self.code = code
        self.args_of_text: Mapping[str, int] = args


def is_zip(data: bytes) -> bool:
    return data.startswith(ZIP_MAGIC)


def photos_in_zip(data: bytes) -> Iterator[bytes]:
    """The bytes of each file that may be a picture, one at a time. Nothing is written to the disk,
    names are only looked at for hidden files, and sizes are counted while reading, because an
    archive may lie.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except BROKEN as error:
        raise ZipRefusedError("zip.bad") from error
    with archive:
        left = MAX_UNPACKED_BYTES
        for entry in _wanted(archive):
            unpacked = _read(archive, entry, min(left, MAX_FILE_BYTES + 1))
            left -= len(unpacked)
            if not is_zip(unpacked):
                yield unpacked


def _wanted(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    entries = [one for one in archive.infolist() if one.filename and not _is_beside(one)]
    if len(entries) > MAX_ENTRIES:
        raise ZipRefusedError("zip.many", most=MAX_ENTRIES)
    if any(one.flag_bits & LOCKED_FLAG for one in entries):
        raise ZipRefusedError("zip.locked")
    if any(one.compress_type not in METHODS for one in entries):
        raise ZipRefusedError("zip.bad")
    return entries


def _is_beside(entry: zipfile.ZipInfo) -> bool:
    """A folder, or what systems put beside the files that a person chose."""
    name = entry.filename
    return (
        name.endswith("/")
        or name.startswith("__MACOSX/")
        or (name.rpartition("/")[2].startswith((".", "__")))
    )


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, most: int) -> bytes:
    try:
        with archive.open(entry) as file:
            unpacked = file.read(most)
            if len(unpacked) >= most and file.read(1):
                raise ZipRefusedError("zip.large")
    except BROKEN as error:
        raise ZipRefusedError("zip.bad") from error
    return unpacked
