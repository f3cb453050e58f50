"""Photos of every kind through the steps: upright, RGB, square, or refused with a reason."""

import io
import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bot import intake
from pipeline import artifact, prepare
from pipeline.sample import Sample
from pipeline.steps import crop, decode
from storage.job import Photo
from tests.drawn import photo, photos
from tests.jobs import PARAMS
from tests.stand_in_trainer import lora


def bytes_of(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def decoded(data: bytes) -> Sample:
    return decode.apply(Sample(photo=Photo(sha256="", number=7, file_bytes=0), data=data), PARAMS)


def corner(sample: Sample, x: int = 5, y: int = 5) -> tuple[int, int, int]:
    assert sample.image is not None
    assert sample.image.mode == "RGB"
    found = sample.image.getpixel((x, y))
    assert isinstance(found, tuple)
    return (int(found[0]), int(found[1]), int(found[2]))


def half_red() -> Image.Image:
    """Red above, blue below: which way is up can be seen."""
    image = Image.new("RGB", (160, 120), (0, 0, 255))
    image.paste((255, 0, 0), (0, 0, 160, 60))
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


@pytest.mark.parametrize("orientation", TURNS)
def test_every_exif_orientation_comes_out_upright(orientation: int) -> None:
    turn = TURNS[orientation]
    stored = half_red() if turn is None else half_red().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    sample = decoded(bytes_of(stored, "JPEG", exif=exif, quality=95))
    assert sample.image is not None
    assert sample.image.width > sample.image.height
    red, blue = corner(sample), corner(sample, 5, sample.image.height - 5)
    assert red[0] > 200 > blue[0]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF"])
def test_every_format_is_read(form: str) -> None:
    assert corner(decoded(bytes_of(half_red(), form)))[0] > 200


def test_cmyk_grey_and_palette_become_rgb() -> None:
    assert corner(decoded(bytes_of(half_red().convert("CMYK"), "JPEG")))[0] > 180
    assert corner(decoded(bytes_of(half_red().convert("P"))))[0] > 200
    assert corner(decoded(bytes_of(Image.new("L", (128, 128), 77)))) == (77, 77, 77)


def test_what_is_transparent_is_white_and_not_what_lay_hidden_there() -> None:
    image = Image.new("RGBA", (128, 128), (0, 255, 0, 0))
    assert corner(decoded(bytes_of(image))) == (255, 255, 255)


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    deep = Image.fromarray(np.full((128, 128), 32768, dtype=np.uint16))
    assert abs(corner(decoded(bytes_of(deep)))[0] - 127) <= 1


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
    "empty": b"",
    "text": b"hello" * 99,
    "cut": photo(1, form="JPEG")[:900],
    "cut png": photo(1)[:700],
    "bomb": png_header(60000, 60000),
    "large": png_header(9000, 9000),
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg' width='200' height='200'></svg>",
    "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 200 200\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_refused_by_the_bot_and_by_the_worker(name: str) -> None:
    sample = decoded(HOSTILE[name])
    assert sample.rejection is not None
    assert sample.rejection.code == "photo.broken"
    assert sample.rejection.number == 7
    assert isinstance(intake.look(HOSTILE[name]), intake.Refused)


def test_a_tiny_picture_is_refused_with_its_size() -> None:
    sample = decoded(bytes_of(Image.new("RGB", (40, 300))))
    assert sample.rejection is not None
    assert sample.rejection.code == "photo.small"
    assert sample.rejection.args == {"width": 40, "height": 300}
    assert intake.look(bytes_of(Image.new("RGB", (40, 300)))) == intake.Refused(
        "photo.small", {"width": 40, "height": 300}
    )


def test_a_reduced_jpeg_still_covers_the_resolution() -> None:
    large = bytes_of(Image.new("RGB", (3000, 2000), (9, 99, 9)), "JPEG")
    image = decode.decode(large, 512)
    assert 512 <= min(image.size) < 1100


def test_the_crop_is_the_middle_square() -> None:
    image = Image.new("RGB", (300, 100), (0, 0, 0))
    image.paste((255, 255, 255), (100, 0, 200, 100))
    sample = Sample(photo=Photo(sha256="", number=1, file_bytes=0), image=image)
    square = crop.apply(sample, PARAMS).image
    assert square is not None
    assert square.size == (64, 64)
    # The neighbours shine through at the very edge: Lanczos looks three pixels far.
    assert np.asarray(square).min() > 240


def prepared(folder: Path, uploads: list[bytes]) -> prepare.Report:
    numbered = {str(n): data for n, data in enumerate(uploads, start=1)}
    given = [Photo(sha256=key, number=int(key), file_bytes=0) for key in numbered]
    return prepare.prepare(given, PARAMS, folder, lambda one: numbered[one.sha256], lambda _: None)


def test_a_dataset_is_a_folder_without_metadata_or_names(tmp_path: Path) -> None:
    report = prepared(tmp_path / "set", [*photos(3), b"junk", photos(1)[0]])
    assert report.kept == (1, 2, 3)
    assert [(one.number, one.code) for one in report.rejections] == [
        (4, "photo.broken"),
        (5, "photo.duplicate"),
    ]
    names = sorted(path.name for path in (tmp_path / "set").iterdir())
    assert names == [
        *("0001.png", "0001.txt", "0002.png", "0002.txt", "0003.png", "0003.txt"),
        "report.json",
    ]
    with Image.open(tmp_path / "set" / "0001.png") as picture:
        assert (picture.size, picture.mode, picture.info) == ((64, 64), "RGB", {})
    assert (tmp_path / "set" / "0001.txt").read_text() == "mochix person"


def test_a_finished_dataset_is_used_again_and_another_order_makes_it_anew(tmp_path: Path) -> None:
    first = prepared(tmp_path / "set", photos(3))
    made = (tmp_path / "set" / "0001.png").stat().st_mtime_ns
    assert prepared(tmp_path / "set", photos(3)) == first
    assert (tmp_path / "set" / "0001.png").stat().st_mtime_ns == made
    assert prepared(tmp_path / "set", photos(4)).kept == (1, 2, 3, 4)


def test_a_dataset_that_was_never_finished_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "0009.png").write_bytes(b"half")
    assert prepared(tmp_path / "set", photos(2)).kept == (1, 2)
    assert not (tmp_path / "set" / "0009.png").exists()


@pytest.mark.parametrize(
    "broken",
    [
        {"zero": True},
        {"nan": True},
        {"missing": True},
        {"hash": True},
        {"name": "transformer.blocks.0"},
    ],
    ids=str,
)
def test_a_file_that_is_not_a_lora_is_refused(tmp_path: Path, broken: dict[str, object]) -> None:
    (tmp_path / "x").write_bytes(lora("mochix", broken=broken))
    with pytest.raises(artifact.BadArtifactError):
        artifact.check(tmp_path / "x", "mochix")


@pytest.mark.parametrize(
    "data", [b"", b"\xff" * 99, b"\x02" + b"\0" * 7 + b"[]", b"\x08" + b"\0" * 7 + b"nonsense"]
)
def test_a_lying_header_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(artifact.BadArtifactError):
        artifact.check(tmp_path / "x", "mochix")


def test_a_good_file_passes_and_another_trigger_does_not(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(lora("mochix"))
    assert artifact.check(tmp_path / "x", "mochix").modules == 1
    with pytest.raises(artifact.BadArtifactError):
        artifact.check(tmp_path / "x", "other")


def test_a_copy_takes_the_next_free_name_and_finds_itself_again(tmp_path: Path) -> None:
    folder = tmp_path / "loras"
    folder.mkdir()
    (folder / "m.safetensors").write_bytes(b"theirs")
    (tmp_path / "x").write_bytes(lora("a"))
    assert artifact.copy_beside(tmp_path / "x", folder, "m") == "m_2.safetensors"
    assert artifact.copy_beside(tmp_path / "x", folder, "m") == "m_2.safetensors"
    assert sorted(path.name for path in folder.iterdir()) == ["m.safetensors", "m_2.safetensors"]


def zipped(*entries: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return out.getvalue()


def test_a_zip_gives_its_pictures_whatever_they_are_called() -> None:
    inner = zipped(("a.png", photo(1)))
    data = zipped(
        ("../../evil.png", photo(1)),
        ("/abs.png", photo(2)),
        ("__MACOSX/x.png", b"x"),
        ("in.zip", inner),
    )
    assert list(intake.photos_in_zip(data)) == [photo(1), photo(2)]


def test_a_zip_bomb_is_refused_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MAX_UNPACKED_BYTES", 1_000_000)
    with pytest.raises(intake.ZipRefusedError, match=r"zip\.large"):
        list(intake.photos_in_zip(zipped(("a", b"\0" * 900_000), ("b", b"\0" * 900_000))))


def test_a_zip_with_too_many_files_or_a_password_or_nothing_is_refused() -> None:
    many = zipped(*((f"{n}", b"") for n in range(intake.MAX_ENTRIES + 1)))
    with pytest.raises(intake.ZipRefusedError, match=r"zip\.many"):
        list(intake.photos_in_zip(many))
    locked = bytearray(zipped(("a", b"x")))
    locked[6] |= 1  # the flag in the local header
    locked[locked.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    with pytest.raises(intake.ZipRefusedError, match=r"zip\.locked"):
        list(intake.photos_in_zip(bytes(locked)))
    with pytest.raises(intake.ZipRefusedError, match=r"zip\.bad"):
        list(intake.photos_in_zip(b"PK\x03\x04 not a zip"))


def test_a_picture_larger_than_we_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "MAX_FILE_BYTES", 100)
    assert intake.look(photo(1)).code == "photo.big"  # type: ignore[union-attr]


def test_params_say_what_is_wrong() -> None:
    for change, said in (
        ({"rank": 512}, "rank 512 is outside 1..256"),
        ({"resolution": 65}, "not a multiple of 8"),
        ({"trigger": "two words"}, "trigger word"),
        ({"family": "sd9"}, "is not one of"),
    ):
        with pytest.raises(ValueError, match=said):
            replace(PARAMS, **change)
