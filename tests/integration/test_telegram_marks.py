"""Small signs under photos, through the real client: only where attention is needed."""

import io
import zipfile

import pytest
from PIL import Image

from bot import marker
from storage import mark_store
from storage.database import Database
from tests.bot_api import BotApi, Person
from tests.bot_api.adapter import Start, up_to_the_photos
from tests.bot_api.refusals import bad_request
from tests.conftest import eventually
from tests.drawn import photos

LOOK, OUT = "🤔", "👎"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marker, "PACE_S", 0.05)


def bright() -> bytes:
    """Half of it is white: it works, but is worth a question."""
    with Image.open(io.BytesIO(photos(9)[-1])) as drawn:
        whole = drawn.convert("RGB")
    whole.paste((255, 255, 255), (0, 0, whole.width * 2 // 3, whole.height))
    out = io.BytesIO()
    whole.save(out, "PNG")
    return out.getvalue()


def signs(person: Person) -> list[str]:
    """Under the person's own photos, in their order."""
    return [one.reaction for one in person.chat.messages if one.media and not one.from_bot]


async def test_only_photos_that_need_attention_get_a_sign(bot: Start, ada: Person) -> None:
    good = photos(3)
    async with bot():
        await up_to_the_photos(ada)
        for number, one in enumerate(good, start=1):
            # Parts of an album come in any order; here the numbers matter.
            await ada.sends_photos([one])
            await ada.reads(f"{number} photo")
        await ada.sends_photos([good[0]])
        await ada.sends_photos([bright()])
        await eventually(lambda: _signs(ada, ["", "", "", OUT, LOOK]))
        # Taken out by the person, and taken back.
        await ada.presses_when("🖼 All photos")
        await ada.reads("in use")
        await ada.presses("✅ 1")
        await eventually(lambda: _signs(ada, [OUT, "", "", OUT, LOOK]))
        await ada.presses_when("❌ 1")
        await eventually(lambda: _signs(ada, ["", "", "", OUT, LOOK]))


async def test_a_file_that_is_no_photo_gets_a_sign_too(bot: Start, ada: Person) -> None:
    async with bot():
        await up_to_the_photos(ada)
        await ada.sends_photos(1)
        await ada.sends_file(b"no picture at all", "photo.png", "image/png")
        await eventually(lambda: _signs(ada, ["", OUT]))


async def test_before_the_consent_there_is_no_sign(
    bot: Start, api: BotApi, ada: Person, database: Database
) -> None:
    good = photos(2)
    async with bot(consent="always"):
        await ada.sends_photos(good)
        await ada.reads("2 photos so far")
        await ada.sends_photos([good[0]])
        await ada.reads("2 photos so far")
        assert not api.methods.reactions
        await ada.presses("I agree – start")
        await eventually(lambda: _signs(ada, ["", "", OUT]))
        await ada.says("/cancel")
        await ada.presses_when("Delete it")
        await eventually(lambda: _forgotten(database, ada))


async def test_a_chat_without_reactions_is_left_alone(bot: Start, api: BotApi, ada: Person) -> None:
    good = photos(2)
    api.refuse("setMessageReaction", bad_request("REACTION_INVALID"), times=100)
    async with bot():
        await up_to_the_photos(ada)
        await ada.sends_photos(good)
        await ada.reads("2 photos")
        for _ in range(4):
            await ada.sends_photos([good[0]])
        await eventually(lambda: _called(api, marker.REFUSALS))
        await ada.sends_photos([photos(3)[2]])
        await ada.reads("3 photos")
    assert api.calls["setmessagereaction"] == marker.REFUSALS
    assert not api.methods.reactions


async def test_a_message_that_was_deleted_stops_no_other(bot: Start, ada: Person) -> None:
    good = photos(2)
    async with bot(consent="always"):
        await ada.sends_photos(good)
        await ada.reads("2 photos so far")
        await ada.sends_photos([good[0]])
        await ada.sends_photos([good[1]])
        await ada.reads("2 photos so far")
        doubled = [one for one in ada.chat.messages if one.media][2]
        ada.chat.messages.remove(doubled)
        await ada.presses("I agree – start")
        await eventually(lambda: _signs(ada, ["", "", OUT]))


async def test_a_flood_makes_them_wait_and_none_is_lost(
    bot: Start, api: BotApi, ada: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marker, "PACE_S", 0.3)
    good = photos(2)
    async with bot():
        await up_to_the_photos(ada)
        await ada.sends_photos(good)
        await ada.reads("2 photos")
        api.flood("setMessageReaction", 1)
        await ada.sends_photos([good[0]])
        await ada.sends_photos([good[1]])
        await eventually(lambda: _signs(ada, ["", "", OUT, OUT]))
    first, second = (at for _, _, at in api.methods.reactions)
    assert second - first >= 0.25


async def test_photos_of_one_zip_get_none(bot: Start, api: BotApi, ada: Person) -> None:
    good = photos(2)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number, picture in enumerate([*good, good[0]]):
            archive.writestr(f"{number}.png", picture)
    async with bot():
        await up_to_the_photos(ada)
        await ada.sends_file(out.getvalue(), "set.zip", "application/zip")
        await ada.reads("2 photos")
        await ada.sends_photos([good[1]])
        # The photo beside it is the same as one in the ZIP, which has no message of its own.
        await ada.reads("the same as")
    assert not api.methods.reactions


async def _signs(person: Person, expected: list[str]) -> bool:
    return signs(person) == expected


async def _called(api: BotApi, count: int) -> bool:
    return api.calls["setmessagereaction"] >= count


async def _forgotten(database: Database, person: Person) -> bool:
    async with database.read() as tx:
        return not await mark_store.of_chat(tx, person.name)
