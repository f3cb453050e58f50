"""Pictures on the page: small, upright, without what the camera wrote, and for one chat alone."""

import io
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from bot.frontend import Message, OutFile
from storage.database import Database
from tests.browser import Script, serving
from tests.drawn import photo
from tests.web_client import WebPerson

ORIENTATION, MAKER, GPS = 0x0112, 0x010F, 0x8825
PICTURE = b"\xff\xd8 a picture that the bot made"


@pytest.fixture
async def script(database: Database, tmp_path: Path) -> AsyncIterator[Script]:
    async with serving(database, tmp_path) as one:
        yield one


def bytes_of(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


async def uploaded(person: WebPerson, data: bytes) -> str:
    """The name under which the page asks for the picture's thumbnail."""
    await person.upload([data])
    shown = await person.until(
        lambda: next((one for one in person.messages.values() if one.get("files")), None)
    )
    return str(shown["files"][0])


async def shown(script: Script, person: WebPerson, key: str = "shown/draft/a.jpg") -> str:
    """The name under which the page asks for a picture of the bot's."""
    await person.until(lambda: person.chat)
    await script.blobs.put(key, PICTURE)
    path = script.blobs.path(key)
    picture = OutFile(path=path, name="a.jpg", file_bytes=len(PICTURE), key=key)
    await script.web.send(person.chat, Message(text="Look", picture=picture), key="look")
    return str((await person.until(lambda: person.said("Look")))["picture"])


async def status(person: WebPerson, path: str) -> int:
    return (await person.http.get(path)).status_code


async def test_a_thumbnail_is_small_and_upright_and_tells_nothing(script: Script) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[MAKER] = "a camera"
    exif.get_ifd(GPS)[1] = "N"
    data = bytes_of(Image.new("RGB", (1200, 800), "red"), "JPEG", exif=exif)
    async with WebPerson(script.web.address) as one:
        answer = await one.http.get(f"/thumb/{await uploaded(one, data)}")
    assert answer.headers["content-type"] == "image/jpeg"
    assert "private" in answer.headers["cache-control"]
    with Image.open(io.BytesIO(answer.content)) as small:
        assert small.size == (107, 160)
        assert not dict(small.getexif())
        assert "exif" not in small.info


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
async def test_every_colour_mode_becomes_a_jpeg(script: Script, mode: str) -> None:
    data = bytes_of(Image.new(mode, (300, 300)), "TIFF" if mode == "CMYK" else "PNG")
    async with WebPerson(script.web.address) as one:
        answer = await one.http.get(f"/thumb/{await uploaded(one, data)}")
    with Image.open(io.BytesIO(answer.content)) as small:
        assert (small.format, small.mode, max(small.size)) == ("JPEG", "RGB", 160)


@pytest.mark.parametrize("data", [b"PK\x03\x04", b"\x89PNG\r\n\x1a\n" + b"\0" * 99])
async def test_what_is_no_picture_has_no_thumbnail(script: Script, data: bytes) -> None:
    async with WebPerson(script.web.address) as one:
        assert await status(one, f"/thumb/{await uploaded(one, data)}") == 404


async def test_a_thumbnail_is_for_the_chat_that_sent_the_photo(script: Script) -> None:
    async with WebPerson(script.web.address) as one, WebPerson(script.web.address) as stranger:
        name = await uploaded(one, photo(1))
        assert await status(one, f"/thumb/{name}") == 200
        assert await status(stranger, f"/thumb/{name}") == 404
        async with httpx.AsyncClient(base_url=script.web.address) as nobody:
            assert (await nobody.get(f"/thumb/{name}")).status_code == 404


async def test_a_name_of_another_s_photo_cannot_be_made_up(script: Script) -> None:
    async with WebPerson(script.web.address) as one, WebPerson(script.web.address) as other:
        sha256 = (await uploaded(other, photo(2))).partition(".")[0]
        signature = (await uploaded(one, photo(1))).partition(".")[2]
        for name in (f"{sha256}.{signature}", sha256, f"{sha256}.", f"../{sha256}.{signature}"):
            assert await status(one, f"/thumb/{name}") == 404


async def test_a_photo_that_was_deleted_has_no_thumbnail_any_more(script: Script) -> None:
    async with WebPerson(script.web.address) as one:
        name = await uploaded(one, photo(1))
        await script.blobs.delete_prefix("photos")
        assert await status(one, f"/thumb/{name}") == 404


async def test_a_picture_of_the_bot_is_shown_in_its_chat_alone(script: Script) -> None:
    async with WebPerson(script.web.address) as one, WebPerson(script.web.address) as stranger:
        name = await shown(script, one)
        answer = await one.http.get(f"/shown/{name}")
        assert (answer.content, answer.headers["content-type"]) == (PICTURE, "image/jpeg")
        assert await status(stranger, f"/shown/{name}") == 404
        async with httpx.AsyncClient(base_url=script.web.address) as nobody:
            assert (await nobody.get(f"/shown/{name}")).status_code == 404


async def test_a_picture_of_another_draft_cannot_be_named(script: Script) -> None:
    async with WebPerson(script.web.address) as one:
        key, _, signature = (await shown(script, one)).rpartition(".")
        await script.blobs.put("shown/other/a.jpg", PICTURE)
        other = f"shown/other/a.jpg.{signature}"
        for name in (other, key, "shown/other/a.jpg", "artifacts/x", f"../{key}.{signature}"):
            assert await status(one, f"/shown/{name}") == 404


async def test_the_name_of_a_thumbnail_opens_nothing_else(script: Script) -> None:
    async with WebPerson(script.web.address) as one:
        thumbnail, picture = await uploaded(one, photo(1)), await shown(script, one)
        assert await status(one, f"/shown/{thumbnail}") == 404
        assert await status(one, f"/thumb/{picture}") == 404


async def test_a_picture_goes_with_its_draft(script: Script) -> None:
    async with WebPerson(script.web.address) as one:
        name = await shown(script, one)
        await script.blobs.delete_prefix("shown/draft")
        assert await status(one, f"/shown/{name}") == 404
