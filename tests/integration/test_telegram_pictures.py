"""What a person sees of their photos on Telegram: the sheet, one photo, the way back."""

import io
from collections.abc import AsyncIterator

import pytest
from PIL import Image, ImageFilter

from tests.bot_api import Person
from tests.bot_api.adapter import Start, up_to_the_photos
from tests.bot_api.shown import Shown
from tests.conftest import eventually
from tests.drawn import photo


def size_of(shown: Shown) -> tuple[int, int]:
    with Image.open(io.BytesIO(shown.data)) as image:
        assert image.format == "JPEG"
        return image.size


def sharp(seed: int) -> bytes:
    """With grain, so that nobody calls it soft."""
    out = io.BytesIO()
    with Image.open(io.BytesIO(photo(seed))) as image:
        grain = Image.effect_noise(image.size, 60).convert("RGB")
        Image.blend(image, grain, 0.3).save(out, "PNG")
    return out.getvalue()


def blurred(seed: int) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(photo(seed))) as image:
        image.filter(ImageFilter.GaussianBlur(9)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
async def ada(bot: Start, ada: Person) -> AsyncIterator[Person]:
    """Somebody who has sent nine photos, of which the last is blurred."""
    async with bot():
        await up_to_the_photos(ada)
        await ada.sends_photos([sharp(number) for number in range(8)])
        await ada.reads("8 photos")
        await ada.sends_photos([blurred(50)])
        await ada.reads("#9 is blurred – not used.")
        yield ada


async def _shows_a_picture(person: Person) -> bool:
    return person.sees[-1].media is not None


async def _shows_text(person: Person) -> bool:
    return person.sees[-1].media is None


async def test_all_photos_come_as_one_picture_with_a_button_for_each(ada: Person) -> None:
    await ada.presses("🖼 All photos")
    shown = await ada.reads("8 of 9 in use")
    assert size_of(shown)[0] > 1000
    assert shown.labels == [*(f"✅ {number}" for number in range(1, 9)), "❌ 9", "← Back"]


async def test_a_number_takes_a_photo_out_and_the_picture_follows(ada: Person) -> None:
    await ada.presses("🖼 All photos")
    before = await ada.reads("8 of 9 in use")
    picture = before.data
    await ada.presses("✅ 3")
    after = await ada.reads("7 of 9 in use")
    assert after.message_id == before.message_id
    assert after.data != picture
    assert "❌ 3" in after.labels


async def test_a_blurred_photo_is_shown_and_the_person_decides(ada: Person) -> None:
    await ada.presses("🤔 Look at #9")
    await eventually(lambda: _shows_a_picture(ada))
    shown = ada.sees[-1]
    assert size_of(shown) == (320, 400)
    await ada.presses("Use it")
    tally = await ada.reads("✅ 9 good")
    assert tally.message_id != shown.message_id
    assert tally.media is None
    assert "✅ Done – use 9" in tally.labels


async def test_the_picture_loses_its_buttons_when_the_tally_comes_back(ada: Person) -> None:
    await ada.presses("🖼 All photos")
    shown = await ada.reads("8 of 9 in use")
    await ada.presses("← Back")
    await eventually(lambda: _shows_text(ada))
    assert shown.labels == []


async def test_a_photo_that_comes_while_the_sheet_is_shown_leads_back_to_the_tally(
    ada: Person,
) -> None:
    await ada.presses("🖼 All photos")
    await ada.reads("8 of 9 in use")
    await ada.sends_photos([photo(77)])
    shown = await ada.reads("10 photos")
    assert shown.media is None
