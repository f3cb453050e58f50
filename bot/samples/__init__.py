"""The demo's own photos, for people who have none at hand."""

from importlib.resources import files

from bot.frontend import Attachment


def attachments() -> tuple[Attachment, ...]:
    """A drawn creature that the demo base has never seen, in twelve pictures."""
    found = sorted(
        (one for one in files(__name__).iterdir() if one.name.endswith(".jpg")),
        key=lambda one: one.name,
    )
    return tuple(_attachment(one.read_bytes()) for one in found)


def _attachment(data: bytes) -> Attachment:
    async def fetch() -> bytes:
        return data

    return Attachment(fetch=fetch, file_bytes=len(data), suffix=".jpg")
