"""Photos become a dataset: what is kept, in which order, and what a kill in the middle leaves."""

import errno
import io
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from pictures import look
from pictures.captions import Plan, Wishes
from pictures.frame import Shape
from pictures.limits import Limits
from pictures.sandbox import Cells
from pictures.verdict import Level, Remark, Verdict
from pipeline.cabinet import Cabinet
from pipeline.dataset import REPORT, SHEET
from pipeline.prepare import Tools, prepare
from pipeline.recipe import Recipe, enough
from pipeline.report import Report
from storage.job import Photo
from tests.drawn import photo, photos
from trainer.buckets import nearest

RECIPE = Recipe(
    plan=Plan(trigger="mochix", class_word="person", kind="person", style="sentence"),
    shape=Shape(resolution=64),
)
DESCRIPTION = 0x010E

Prepare = Callable[..., Awaitable[Report]]


class StoppedError(Exception):
    """Somebody wants the work to end."""


@pytest.fixture
def making(cells: Cells, tmp_path: Path) -> Prepare:
    """Prepares into one place; a test says what differs, and what happens meanwhile."""

    async def make(
        uploads: Sequence[bytes],
        recipe: Recipe = RECIPE,
        given: Sequence[Photo] = (),
        **tools: object,
    ) -> Report:
        given = given or numbered(uploads)
        data = {look.key_of(one): one for one in uploads}

        async def read(one: Photo) -> bytes:
            return data[one.sha256]

        usual = Tools(
            read=read, tell=lambda _: None, cells=cells, cabinet=Cabinet(tmp_path / "cabinet")
        )
        own = replace(usual, **tools)  # type: ignore[arg-type]  # a test names what it changes
        return await prepare(given, recipe, tmp_path / "set", own)

    return make


def numbered(uploads: Sequence[bytes]) -> list[Photo]:
    return [
        Photo(sha256=look.key_of(data), number=number, file_bytes=len(data))
        for number, data in enumerate(uploads, start=1)
    ]


def resaved(data: bytes, form: str, size: tuple[int, int], **options: object) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.resize(size).save(out, form, **options)
    return out.getvalue()


async def test_a_dataset_is_a_folder_of_pictures_and_captions(
    making: Prepare, tmp_path: Path
) -> None:
    report = await making(photos(3))
    assert report.kept == (1, 2, 3)
    names = sorted(path.name for path in (tmp_path / "set").iterdir())
    assert names == [
        *("0001.png", "0001.txt", "0002.png", "0002.txt", "0003.png", "0003.txt"),
        *(SHEET, REPORT),
    ]
    with Image.open(tmp_path / "set" / "0001.png") as picture:
        assert (picture.size, picture.mode, picture.info) == (nearest(320, 400, 64), "RGB", {})
    assert "mochix" in (tmp_path / "set" / "0001.txt").read_text()


async def test_what_cannot_be_used_is_left_out_with_its_reason(making: Prepare) -> None:
    again = resaved(photo(1), "JPEG", (240, 300))
    report = await making([*photos(3), b"junk", again])
    assert report.kept == (1, 2, 3)
    assert [(one.number, one.code, dict(one.args)) for one in report.rejections] == [
        (4, "photo.type", {}),
        (5, "photo.twin", {"other": 2}),
    ]


async def test_the_same_upload_twice_is_one_picture(making: Prepare) -> None:
    report = await making([photo(1), photo(2), photo(1)])
    assert report.kept == (1, 2)


async def test_pictures_stand_in_the_order_of_their_photos(making: Prepare, tmp_path: Path) -> None:
    uploads = photos(3)
    given = [replace(one, number=5 * one.number) for one in numbered(uploads)]
    assert (await making(uploads, given=given)).kept == (5, 10, 15)
    await making(uploads)
    first = (tmp_path / "set" / "0001.png").read_bytes()
    await making(uploads[::-1])
    assert (tmp_path / "set" / "0003.png").read_bytes() == first


async def test_the_person_s_choices_and_captions_count(making: Prepare, tmp_path: Path) -> None:
    uploads = [*photos(2), resaved(photo(3), "PNG", (128, 160))]
    first, second, small = numbered(uploads)
    given = [replace(first, choice="out"), second, small]
    recipe = replace(RECIPE, shape=Shape(resolution=512))
    report = await making(uploads, recipe, given=given)
    assert report.kept == (2,)
    assert [(one.number, one.code) for one in report.rejections] == [(3, "photo.small")]
    wanted = replace(small, choice="use", caption="mochix by the sea")
    assert (await making(uploads, recipe, given=[*given[:2], wanted])).kept == (2, 3)
    assert "by the sea" in (tmp_path / "set" / "0002.txt").read_text()


async def test_the_report_tells_of_each_photo_what_became_of_it(
    making: Prepare, tmp_path: Path
) -> None:
    await making([photo(1), b"junk"])
    report = json.loads((tmp_path / "set" / REPORT).read_text())
    assert report["counts"] == {"photos": 2, "kept": 1, "photo.type": 1}
    assert [(one["number"], one["picture"]) for one in report["lines"]] == [
        (1, "0001.png"),
        (2, ""),
    ]
    with Image.open(tmp_path / "set" / SHEET) as sheet:
        assert sheet.format == "JPEG"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
async def test_no_metadata_of_an_upload_reaches_the_dataset(
    making: Prepare, tmp_path: Path, form: str
) -> None:
    exif = Image.Exif()
    exif[DESCRIPTION] = "where I live"
    await making([resaved(photo(1), form, (128, 128), exif=exif)])
    for path in (tmp_path / "set").iterdir():
        assert b"where I live" not in path.read_bytes()


async def test_progress_counts_the_photos(making: Prepare) -> None:
    told: list[int] = []
    await making(photos(3), tell=told.append)
    assert told[:3] == [1, 2, 3]
    assert max(told) == 3


async def test_a_finished_dataset_is_used_again(making: Prepare, tmp_path: Path) -> None:
    first = await making(photos(3))
    made = (tmp_path / "set" / "0001.png").stat().st_mtime_ns
    again = await making(photos(3))
    assert (again.kept, again.rejections, again.digest) == (
        first.kept,
        first.rejections,
        first.digest,
    )
    assert (tmp_path / "set" / "0001.png").stat().st_mtime_ns == made


async def test_other_photos_make_it_anew(making: Prepare) -> None:
    await making(photos(3))
    assert (await making(photos(4))).kept == (1, 2, 3, 4)


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": Shape(resolution=128)},
        {"wishes": Wishes(added=("smiling",))},
        {"limits": Limits(blurred=1.0)},
        {"least": 8},
        {"plan": replace(RECIPE.plan, trigger="other")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_another_recipe_is_another_dataset(changes: dict[str, object]) -> None:
    other = replace(RECIPE, **changes)  # type: ignore[arg-type]  # named above
    given = numbered(photos(1))
    assert other.digest(given, "") != RECIPE.digest(given, "")
    assert RECIPE.digest(given, "faces") != RECIPE.digest(given, "")
    assert RECIPE.digest([replace(given[0], choice="use")], "") != RECIPE.digest(given, "")


async def test_a_dataset_that_was_never_finished_is_made_again(
    making: Prepare, tmp_path: Path
) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "0009.png").write_bytes(b"half")
    (tmp_path / "set" / REPORT).write_text('{"digest": ')
    assert (await making(photos(2))).kept == (1, 2)
    assert not (tmp_path / "set" / "0009.png").exists()


async def test_what_stops_the_work_leaves_no_dataset(making: Prepare, tmp_path: Path) -> None:
    def stop(count: int) -> None:
        if count == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        await making(photos(4), tell=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["cabinet"]


async def test_a_repetition_goes_on_where_the_last_one_was_stopped(making: Prepare) -> None:
    uploads = photos(4)
    read: list[int] = []

    async def reading(one: Photo) -> bytes:
        read.append(one.number)
        if read == [1, 2, 3]:
            raise StoppedError
        return uploads[one.number - 1]

    with pytest.raises(StoppedError):
        await making(uploads, read=reading)
    assert (await making(uploads, read=reading)).kept == (1, 2, 3, 4)
    # Two are at work at a time, so the second may have been ended with the third.
    assert read.count(1) == 1
    assert len(read) <= 6


async def test_notes_that_were_spoilt_are_made_again(making: Prepare, tmp_path: Path) -> None:
    before = await making(photos(2))
    for path in (tmp_path / "cabinet").glob("*.json"):
        path.write_text('{"look": 7}')
    (tmp_path / "set" / REPORT).unlink()
    assert (await making(photos(2))).lines == before.lines


async def test_a_worker_that_lost_the_job_does_not_spoil_the_dataset_of_the_next(
    making: Prepare, tmp_path: Path
) -> None:
    uploads = photos(3)

    async def read(one: Photo) -> bytes:
        if one.number == 2:
            # While the first is at its second photo, another does all of the work.
            assert (await making(uploads)).kept == (1, 2, 3)
        return uploads[one.number - 1]

    assert (await making(uploads, read=read)).kept == (1, 2, 3)
    assert len(list((tmp_path / "set").glob("*.png"))) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cabinet", "set"]


async def test_a_full_disk_is_told_as_a_full_disk(
    making: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(Cabinet, "put_tile", no_room)
    with pytest.raises(OSError, match="no room"):
        await making(photos(4))


def test_photos_that_only_a_network_doubts_fill_a_set_that_would_be_too_small() -> None:
    other = Remark("photo.other", Level.OUT, {})
    blurred = Remark("photo.blurred", Level.OUT, {})
    verdicts = (
        Verdict(number=1, remarks=(), used=True),
        Verdict(number=2, remarks=(blurred,), used=False),
        Verdict(number=3, remarks=(other,), used=False),
        Verdict(number=4, remarks=(other,), used=False),
    )
    assert [one.used for one in enough(verdicts, 2)] == [True, False, True, False]
    assert enough(verdicts, 1) == verdicts
