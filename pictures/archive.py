"""Photos out of a ZIP. Nothing is written to the disk, and nothing in it is believed."""

import io
import zipfile
from collections.abc import Iterator, Mapping

MAX_FILE_BYTES = 50_000_000
MAX_ENTRIES = 200
MAX_UNPACKED_BYTES = 500_000_000
ZIP_MAGIC = b"PK\x03\x04"
LOCKED_FLAG = 1  # of an entry: it is encrypted


class ZipRefusedError(Exception):
    """The archive cannot be used; ``code`` is a text key of `zip.*`."""

    def __init__(self, code: str, **args: int) -> None:
        super().__init__(code)
        self.code = code
        self.args_of_text: Mapping[str, int] = args


def is_zip(data: bytes) -> bool:
    return data.startswith(ZIP_MAGIC)


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
