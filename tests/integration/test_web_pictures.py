"""Thumbnails: small, upright, and without what the camera wrote beside the picture."""

import io
from pathlib import Path

import pytest
from PIL import Image

from bot.web import thumbs

ORIENTATION, MAKER, GPS = 0x0112, 0x010F, 0x8825


def opened(data: bytes | None) -> Image.Image:
    assert data is not None
    return Image.open(io.BytesIO(data))


def test_a_thumbnail_is_small_and_upright_and_tells_nothing(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    exif[MAKER] = "a camera"
    exif.get_ifd(GPS)[1] = "N"
    Image.new("RGB", (1200, 800), "red").save(tmp_path / "a", "JPEG", exif=exif)
    with opened(thumbs.make(tmp_path / "a")) as small:
        assert small.size == (107, 160)
        assert not dict(small.getexif())
        assert "exif" not in small.info


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_colour_mode_becomes_a_jpeg(tmp_path: Path, mode: str) -> None:
    kind = "TIFF" if mode == "CMYK" else "PNG"
    Image.new(mode, (300, 300)).save(tmp_path / "a", kind)
    with opened(thumbs.make(tmp_path / "a")) as small:
        assert (small.format, small.mode, max(small.size)) == ("JPEG", "RGB", 160)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x89PNG\r\n\x1a\n" + b"\0" * 99])
def test_what_is_no_picture_has_no_thumbnail(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a").write_bytes(data)
    assert thumbs.make(tmp_path / "a") is None
    assert thumbs.make(tmp_path / "missing") is None
