"""What a dataset must survive: metadata, made-up bytes, a second worker on the same folder."""

import io
import random
from pathlib import Path

import pytest
from PIL import Image, ImageCms

from pipeline import prepare
from pipeline.sample import Sample
from pipeline.steps import decode
from storage.job import Photo
from tests.drawn import photo, photos
from tests.jobs import PARAMS

ORIENTATION, DESCRIPTION = 0x0112, 0x010E


def bytes_of(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def drawn(size: tuple[int, int] = (96, 128)) -> Image.Image:
    return Image.open(io.BytesIO(photo(1, size)))


def talkative(orientation: int = 1) -> dict[str, object]:
    exif = Image.Exif()
    exif[ORIENTATION], exif[DESCRIPTION] = orientation, "where I live"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return {"exif": exif, "icc_profile": profile}


def decoded(data: bytes) -> Sample:
    return decode.apply(Sample(photo=Photo(sha256="", number=7, file_bytes=0), data=data), PARAMS)


def prepared(folder: Path, uploads: list[bytes]) -> prepare.Report:
    given = [Photo(sha256=str(n), number=n, file_bytes=0) for n in range(1, len(uploads) + 1)]
    return prepare.prepare(
        given, PARAMS, folder, lambda one: uploads[one.number - 1], lambda _: None
    )


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_no_metadata_of_an_upload_reaches_the_dataset(tmp_path: Path, form: str) -> None:
    # Of just the size of the dataset's pictures, so that no step has to make a new one.
    upload = bytes_of(drawn((64, 64)), form, **talkative())
    assert prepared(tmp_path / "set", [upload]).kept == (1,)
    data = (tmp_path / "set" / "0001.png").read_bytes()
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.info == {}
    assert b"where I live" not in data


def test_a_phone_s_two_pictures_in_one_jpeg_are_read() -> None:
    data = bytes_of(drawn(), "MPO", save_all=True, append_images=[drawn()])
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.format == "MPO"
    assert decoded(data).rejection is None


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "L"])
def test_a_large_picture_is_reduced_upright_and_still_covers_the_resolution(mode: str) -> None:
    image = Image.new("RGB", (1200, 900), (0, 0, 255))
    image.paste((255, 255, 255), (0, 0, 600, 900))
    sample = decoded(bytes_of(image.convert(mode), "PNG", **talkative(6)))
    assert sample.image is not None
    width, height = sample.image.size
    assert (sample.image.mode, width < height) == ("RGB", True)
    assert 3 * PARAMS.resolution <= width < 900
    # Turned clockwise, left is above.
    assert sample.image.getpixel((width // 2, 5)) == (255, 255, 255)
    assert sample.image.getpixel((width // 2, height - 5)) != (255, 255, 255)


FORMS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.filterwarnings("ignore")
def test_whatever_is_wrong_with_a_file_it_is_a_picture_or_a_refusal(form: str) -> None:
    dice = random.Random(form)
    whole = bytes_of(drawn(), form, **({} if form in ("GIF", "BMP") else talkative(6)))
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(dice.choice((1, 3, 20))):
            place = dice.randrange(dice.choice((64, 400, len(data))) % len(data) or len(data))
            data[place] = dice.choice((0, 255, dice.randrange(256)))
        if not dice.randrange(4):
            del data[dice.randrange(len(data)) :]
        sample = decoded(bytes(data))
        assert (sample.image is None) is (sample.rejection is not None)


def test_a_worker_that_lost_the_job_does_not_spoil_the_dataset_of_the_next(tmp_path: Path) -> None:
    uploads = photos(3)
    given = [Photo(sha256=str(n), number=n, file_bytes=0) for n in (1, 2, 3)]

    def read(one: Photo) -> bytes:
        if one.number == 2:
            # While the first is at its second photo, another does all of the work.
            assert prepared(tmp_path / "set", uploads).kept == (1, 2, 3)
        return uploads[one.number - 1]

    report = prepare.prepare(given, PARAMS, tmp_path / "set", read, lambda _: None)
    assert report.kept == (1, 2, 3)
    assert len(list((tmp_path / "set").glob("*.png"))) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_what_stops_the_work_leaves_no_dataset(tmp_path: Path) -> None:
    given = [Photo(sha256=str(n), number=n, file_bytes=0) for n in (1, 2)]

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare.prepare(given, PARAMS, tmp_path / "set", lambda one: photo(one.number), stop)
    assert not (tmp_path / "set").exists()
