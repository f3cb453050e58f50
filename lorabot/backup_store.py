"""The files of a store elsewhere, one after the other into a backup."""

from collections.abc import Callable

from lorabot.backup_file import Writer, is_ours
from storage.settings import Settings
from storage.stores import blobs_of

PATIENCE_S = 120.0  # longer than a store takes to start again


async def add_store(settings: Settings, writer: Writer, is_wanted: Callable[[str], bool]) -> None:
    """Those that lie there now. Each is on this machine only while it is written; one that somebody
    has deleted meanwhile is left out. Raises StoreError where the store is away.
    """
    from storage.remote_blobs import RemoteBlobs

    blobs = blobs_of(settings, patience_s=PATIENCE_S)
    assert isinstance(blobs, RemoteBlobs)  # noqa: S101  asked for with BLOB_URL only
    for key in await blobs.keys():
        name = f"blobs/{key}"
        if not (is_ours(name) and is_wanted(key)):
            continue
        try:
            async with blobs.local(key) as path:
                writer.add(name, path)
        except FileNotFoundError:
            continue
