"""Files that a call brings or names."""

import io

from PIL import Image

from tests.bot_api.call import Call
from tests.bot_api.files import Files
from tests.bot_api.refusals import bad_request
from tests.bot_api.shown import Json

PHOTO_BYTES = 10 << 20
SMALL_BYTES, SMALL_SIDE = 200_000, 320


def media_of(files: Files, kind: str, source: str, call: Call) -> tuple[Json, bytes]:
    """A file of this call (``attach://field``) or one that the server has already."""
    if source.startswith("attach://"):
        field_name = source.removeprefix("attach://")
        if field_name not in call.uploads:
            raise bad_request(f"there is no file {field_name} in the request")
        name, data = call.uploads[field_name]
        if not data:
            raise bad_request("file must be non-empty")
        held = files.hold(data, name, f"{kind}s")
    elif source.startswith("file://"):
        name, data = files.read(source)
        held = files.hold(data, name, f"{kind}s")
    else:
        held = files.find(source)
        name = held.path
    size = len(held.data)
    common: Json = {"file_id": held.file_id, "file_unique_id": held.path, "file_size": size}
    if kind == "photo":
        if size > PHOTO_BYTES:
            raise bad_request("PHOTO_INVALID_DIMENSIONS")
        return {"photo": [common | {"width": 512, "height": 512}]}, held.data
    return {"document": common | {"file_name": name}}, held.data


def add_small(files: Files, media: tuple[Json, bytes], source: str, call: Call) -> None:
    """A document's thumbnail comes with the document, and is small; otherwise it is ignored."""
    document = media[0].get("document")
    _, data = call.uploads.get(source.removeprefix("attach://"), ("", b""))
    if not isinstance(document, dict) or not data or len(data) >= SMALL_BYTES:
        return
    with Image.open(io.BytesIO(data)) as image:
        if image.format == "JPEG" and max(image.size) <= SMALL_SIDE:
            size = {"width": image.width, "height": image.height}
            held = files.hold(data, "small.jpg", "thumbnails")
            document["thumbnail"] = size | {
                "file_id": held.file_id,
                "file_unique_id": held.path,
            }
