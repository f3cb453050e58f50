"""Uploads of every kind: upright, RGB, cut as asked, without metadata; or refused with a reason."""

import io
import random
import struct
import zipfile
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image, ImageCms

from pictures import archive, decode, frame
from pictures.box import Box
from pictures.decode import RefusedError
from pictures.develop import develop
from pictures.frame import Cut, Shape
from pictures.limits import DEFAULT, Limits
from pictures.order import Wanted
from tests.drawn import photo

ORIENTATION, DESCRIPTION = 0x0112, 0x010E


@pytest.fixture(autouse=True)
def decoders(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the child that opens uploads."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    decode.prepare_decoders()


def bytes_of(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def decoded(
    data: bytes, cover: tuple[int, int] = (4096, 4096), limits: Limits = DEFAULT
) -> Image.Image:
    """Upright, and as large as it has to be to cover so many pixels."""
    opened = decode.open_header(data, limits)
    return decode.upright(decode.load(opened, cover, limits), opened.turn)


def pixel(image: Image.Image, x: int = 5, y: int = 5) -> tuple[int, int, int]:
    assert image.mode == "RGB"
    found = image.getpixel((x, y))
    assert isinstance(found, tuple)
    return int(found[0]), int(found[1]), int(found[2])


def refusal(data: bytes, limits: Limits = DEFAULT) -> tuple[str, dict[str, int]]:
    with pytest.raises(RefusedError) as refused:
        decoded(data, limits=limits)
    return refused.value.code, refused.value.args_of_text


def half_red() -> Image.Image:
    """Red above, blue below: which way is up can be seen."""
    image = Image.new("RGB", (200, 150), (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, 200, 75))
    return image


TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def talkative(orientation: int = 1) -> dict[str, object]:
    exif = Image.Exif()
    exif[ORIENTATION], exif[DESCRIPTION] = orientation, "where I live"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return {"exif": exif, "icc_profile": profile}


def stored(upright: Image.Image, orientation: int) -> bytes:
    """As a camera stores it that was held so."""
    turn = TURNS[orientation]
    image = upright if turn is None else upright.transpose(turn)
    return bytes_of(image, "JPEG", quality=95, **talkative(orientation))


@pytest.mark.parametrize("orientation", TURNS)
def test_every_exif_orientation_comes_out_upright(orientation: int) -> None:
    image = decoded(stored(half_red(), orientation))
    assert image.size == (200, 150)
    assert pixel(image)[0] > 200 > pixel(image, 5, 145)[0]


@pytest.mark.parametrize("orientation", TURNS)
def test_a_cut_is_the_same_however_the_camera_was_held(orientation: int) -> None:
    """In each quarter another colour; the cut is the lower left one."""
    quarters = half_red()
    quarters.paste((0, 255, 0), (0, 75, 100, 150))
    cut = Cut(Box(0, 75, 100, 150), (64, 48))
    done = develop(stored(quarters, orientation), Wanted(cut=cut), DEFAULT)
    with Image.open(io.BytesIO(done.png)) as image:
        assert image.size == (64, 48)
        colours = np.asarray(image)[8:-8, 8:-8].reshape(-1, 3).mean(axis=0)
    assert colours == pytest.approx((0, 255, 0), abs=8)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_every_format_is_read(form: str) -> None:
    assert pixel(decoded(bytes_of(half_red(), form)))[0] > 200


def test_a_phone_s_two_pictures_in_one_jpeg_are_read() -> None:
    data = bytes_of(half_red(), "MPO", save_all=True, append_images=[half_red()])
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.format == "MPO"
    assert pixel(decoded(data))[0] > 200


def test_cmyk_grey_and_palette_become_rgb() -> None:
    assert pixel(decoded(bytes_of(half_red().convert("CMYK"), "JPEG")))[0] > 180
    assert pixel(decoded(bytes_of(half_red().convert("P"))))[0] > 200
    assert pixel(decoded(bytes_of(Image.new("L", (128, 128), 77)))) == (77, 77, 77)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGBA", "CMYK", "YCbCr", "I;16", "F"])
def test_every_colour_mode_becomes_rgb(mode: str) -> None:
    form = "PNG" if mode in ("1", "L", "LA", "P", "RGBA", "I;16") else "TIFF"
    assert decoded(bytes_of(Image.new(mode, (130, 140)), form)).mode == "RGB"


@pytest.mark.parametrize("ground", [255, 0])
def test_what_is_transparent_is_the_ground_and_not_what_lay_hidden_there(ground: int) -> None:
    clear = bytes_of(Image.new("RGBA", (128, 128), (0, 255, 0, 0)))
    assert pixel(decoded(clear, limits=Limits(ground=ground))) == (ground, ground, ground)


def test_a_transparent_colour_of_a_palette_is_the_ground_too() -> None:
    image = Image.new("P", (128, 128), 1)
    image.putpalette((0, 0, 0, 0, 200, 0))
    assert pixel(decoded(bytes_of(image, transparency=1))) == (255, 255, 255)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    deep = Image.fromarray(np.full((128, 128), 32768, dtype=np.uint16))
    assert abs(pixel(decoded(bytes_of(deep)))[0] - 127) <= 1


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and has next to nothing in it."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


HOSTILE = {
    "empty": (b"", "photo.type"),
    "text": (b"hello" * 99, "photo.type"),
    "cut": (photo(1, form="JPEG")[:900], "photo.broken"),
    "cut png": (photo(1)[:700], "photo.broken"),
    "bomb": (png_header(60000, 60000), "photo.pixels"),
    "large": (png_header(9000, 9000), "photo.pixels"),
    "svg": (
        b"<svg xmlns='http://www.w3.org/2000/svg' width='200' height='200'></svg>",
        "photo.type",
    ),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 200 200\n", "photo.type"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_refused_with_their_reason(name: str) -> None:
    data, code = HOSTILE[name]
    assert refusal(data) == (code, {})


def test_what_is_too_small_or_too_long_is_refused_with_its_size() -> None:
    tiny, strip = Image.new("RGB", (40, 150)), Image.new("RGB", (200, 900))
    assert refusal(bytes_of(tiny)) == ("photo.tiny", {"width": 40, "height": 150})
    assert refusal(bytes_of(strip)) == ("photo.long", {"width": 200, "height": 900})


def test_a_file_larger_than_we_read_is_refused() -> None:
    limits = Limits(file_bytes=3_000_000)
    assert refusal(b"\0" * 4_000_000, limits) == ("photo.big", {"size": 4, "limit": 3})


def test_a_reduced_jpeg_still_covers_the_resolution() -> None:
    large = bytes_of(Image.new("RGB", (3000, 2000), (9, 99, 9)), "JPEG")
    assert 512 <= min(decoded(large, (512, 512)).size) < 1100


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "L"])
def test_a_large_picture_is_reduced_upright_and_still_covers_the_resolution(mode: str) -> None:
    image = Image.new("RGB", (1200, 900), (0, 0, 255))
    image.paste((255, 255, 255), (0, 0, 600, 900))
    small = decoded(bytes_of(image.convert(mode), "PNG", **talkative(6)), (64, 64))
    assert (small.mode, small.width < small.height) == ("RGB", True)
    assert 3 * 64 <= small.width < 900
    # Turned clockwise, left is above.
    assert pixel(small, small.width // 2, 5) == (255, 255, 255)
    assert pixel(small, small.width // 2, small.height - 5) != (255, 255, 255)


def test_without_a_face_the_cut_is_the_largest_round_the_middle() -> None:
    found = frame.place(Box(0, 0, 300, 100), (0.5, 0.5), Shape(resolution=64, square=True))
    assert found == Cut(Box(100, 0, 200, 100), (64, 64))


def test_a_cut_has_nothing_of_what_lies_beside_it() -> None:
    image = Image.new("RGB", (450, 150), (0, 0, 0))
    image.paste((255, 255, 255), (150, 0, 300, 150))
    done = develop(bytes_of(image), Wanted(cut=Cut(Box(150, 0, 300, 150), (64, 64))), DEFAULT)
    with Image.open(io.BytesIO(done.png)) as square:
        assert square.size == (64, 64)
        # The neighbours shine through at the very edge: Lanczos looks three pixels far.
        assert np.asarray(square).min() >= 240


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_no_metadata_of_an_upload_leaves_the_child(form: str) -> None:
    # Of just the size of the cut, so that no step has to make a new picture.
    with Image.open(io.BytesIO(photo(1, (128, 128)))) as drawn:
        upload = bytes_of(drawn, form, **talkative())
    cut = Cut(Box(0, 0, 128, 128), (128, 128))
    done = develop(upload, Wanted(look=True, cut=cut, tile=200), DEFAULT)
    for data in (done.png, done.tile):
        with Image.open(io.BytesIO(data)) as picture:
            assert not {"exif", "icc_profile", "xmp", "comment"} & picture.info.keys()
        assert b"where I live" not in data


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_whatever_is_wrong_with_a_file_it_is_a_picture_or_a_refusal(form: str) -> None:
    dice = random.Random(form)
    with Image.open(io.BytesIO(photo(1, (136, 160)))) as drawn:
        whole = bytes_of(drawn, form, **({} if form in ("GIF", "BMP") else talkative(6)))
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(dice.choice((1, 3, 20))):
            place = dice.randrange(dice.choice((64, 400, len(data))) % len(data) or len(data))
            data[place] = dice.choice((0, 255, dice.randrange(256)))
        if not dice.randrange(4):
            del data[dice.randrange(len(data)) :]
        with suppress(RefusedError):
            assert decoded(bytes(data)).mode == "RGB"


def zipped(*entries: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in entries:
            packed.writestr(name, data)
    return out.getvalue()


def test_a_zip_gives_its_pictures_whatever_they_are_called() -> None:
    inner = zipped(("a.png", photo(1)))
    data = zipped(
        ("../../evil.png", photo(1)),
        ("/abs.png", photo(2)),
        ("__MACOSX/x.png", b"x"),
        ("in.zip", inner),
    )
    assert list(archive.photos_in_zip(data)) == [photo(1), photo(2)]


def test_a_zip_bomb_is_refused_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 1_000_000)
    with pytest.raises(archive.ZipRefusedError, match=r"zip\.large"):
        list(archive.photos_in_zip(zipped(("a", b"\0" * 900_000), ("b", b"\0" * 900_000))))


def test_a_zip_with_too_many_files_or_a_password_or_nothing_is_refused() -> None:
    many = zipped(*((f"{n}", b"") for n in range(archive.MAX_ENTRIES + 1)))
    with pytest.raises(archive.ZipRefusedError, match=r"zip\.many"):
        list(archive.photos_in_zip(many))
    locked = bytearray(zipped(("a", b"x")))
    locked[6] |= 1  # the flag in the local header
    locked[locked.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    with pytest.raises(archive.ZipRefusedError, match=r"zip\.locked"):
        list(archive.photos_in_zip(bytes(locked)))
    with pytest.raises(archive.ZipRefusedError, match=r"zip\.bad"):
        list(archive.photos_in_zip(b"PK\x03\x04 not a zip"))
