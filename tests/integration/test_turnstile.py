"""One person who floods the bot on a network: told once, and others do not notice."""

import time
from pathlib import Path

from pictures.sandbox import Cells
from storage import conversation_store, inbox_store
from storage.database import Database
from tests.bot_api import BotApi, Person
from tests.bot_api.adapter import Start, up_to_the_photos
from tests.conftest import eventually
from tests.discord_api import DiscordApi
from tests.discord_api.adapter import starter

TOO_MUCH = "more than I can take at once"


def told(person: Person) -> int:
    return sum(TOO_MUCH in shown.text for shown in person.sees)


async def test_a_flood_of_commands_is_told_once_and_slows_nobody(
    bot: Start, ada: Person, api: BotApi, database: Database
) -> None:
    eve = api.person("Eve")
    async with bot(messages_per_minute=40):
        last = max([await eve.says("/train") for _ in range(60)])
        await up_to_the_photos(ada)
        await eve.reads("Please wait 10 seconds.")
        await eventually(lambda: _all_done(database, last))
    assert told(eve) == 1
    assert told(ada) == 0


async def test_photos_above_the_limit_are_counted_and_the_others_are_there(
    bot: Start, ada: Person
) -> None:
    async with bot(photos_per_minute=2) as running:
        await up_to_the_photos(ada)
        await ada.sends_photos(10)
        await ada.reads("4 photos")
        await ada.reads(TOO_MUCH)
        running.turnstile.clock = lambda: time.monotonic() + 60
        await ada.reads("6 photos or files did not get through")
        await ada.sends_photos(1)
        await ada.reads("5 photos")
    assert told(ada) == 1


async def test_a_flood_of_somebody_at_the_door_is_not_answered(
    bot: Start, ada: Person, api: BotApi, database: Database
) -> None:
    async with bot(messages_per_minute=4, access="list"):
        for _ in range(20):
            await ada.says("/train")
        eve = api.person("Eve")
        last = await eve.says("/train")
        await eventually(lambda: _all_done(database, last))
    assert told(ada) == 0
    async with database.read() as tx:
        assert await conversation_store.load(tx, ada.name) is None


async def test_discord_has_the_same_limits(
    database: Database, cells: Cells, tmp_path: Path
) -> None:
    async with DiscordApi() as api:
        eve, ada = api.person("Eve"), api.person("Ada")
        async with starter(api, database, cells, tmp_path, messages_per_minute="40")():
            for _ in range(30):
                await eve.says("hello")
            await eve.reads("Please wait 10 seconds.")
            await ada.sends_photos(1)
            await ada.reads("Before I look at your photos")
    assert sum(TOO_MUCH in shown.text for shown in eve.sees) == 1


async def _all_done(database: Database, last: int) -> bool:
    """Also the update of this number."""
    async with database.read() as tx:
        newest = await inbox_store.last_update_id(tx, "tg")
        return (newest or 0) >= last and not await inbox_store.pending(tx, "tg")
