"""What people send reaches the core: the real library against a real server."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from bot.events import Choice, Command, FileRefused, Text
from bot.frontend import Incoming, NetworkError
from bot.frontends.telegram import Telegram
from storage.database import Database
from tests.bot_api import BotApi, Group, Person
from tests.bot_api.adapter import Recorder, running
from tests.bot_api.chats import BOT
from tests.bot_api.shown import Button
from tests.conftest import eventually
from tests.drawn import photos

ALBUM = 10


async def test_words_reach_the_core(api: BotApi, ada: Person, database: Database) -> None:
    core = Recorder()
    async with running(api, database, core.receive):
        await ada.says("/train")
        await ada.says("mochi")
        (first, second) = await core.has(2)
    assert (first.event, second.event) == (Command("train"), Text("mochi"))
    assert (first.chat, first.person.name) == (ada.name, "Ada")


async def test_what_a_busy_database_did_not_take_is_tried_again(
    api: BotApi, ada: Person, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.telegram.inbox.AGAIN_S", 0.01)
    core = Recorder()
    busy = [OperationalError("UPDATE", {}, Exception("database is locked"))]

    async def receive(incoming: Incoming) -> None:
        if busy:
            raise busy.pop()
        await core.receive(incoming)

    async with running(api, database, receive):
        await ada.says("/train")
        (only,) = await core.has(1)
    assert only.event == Command("train")


async def test_an_album_is_fetched_all_at_once(
    api: BotApi, ada: Person, database: Database
) -> None:
    api.files.download_s = 0.3
    core = Recorder()
    pictures = photos(ALBUM)
    async with running(api, database, core.receive):
        await ada.sends_photos(pictures)
        await core.has(ALBUM)
    assert api.files.most_at_once == ALBUM
    assert sorted(core.files) == sorted(pictures)


async def test_no_more_than_sixteen_updates_are_in_work(
    api: BotApi, ada: Person, database: Database
) -> None:
    api.files.download_s = 0.6
    core = Recorder()
    async with running(api, database, core.receive):
        await ada.sends_photos(photos(20))
        await core.has(20)
    assert api.files.most_at_once == 16


async def test_a_file_arrives_as_it_was_sent(api: BotApi, ada: Person, database: Database) -> None:
    core = Recorder()
    async with running(api, database, core.receive):
        await ada.sends_file(b"PK\x03\x04rest", "set.zip", "application/zip")
        await core.has(1)
    assert core.files == [b"PK\x03\x04rest"]


async def test_a_local_server_hands_over_the_file_itself(
    api: BotApi, ada: Person, database: Database, tmp_path: Path
) -> None:
    api.files.folder = tmp_path / "server"
    core = Recorder()
    bot = Telegram(api.token, api_url=api.url, database=database, local_server=True)
    task = asyncio.create_task(bot.run(core.receive))
    await ada.sends_file(b"much", "set.zip", claimed_bytes=1_500_000_000)
    await core.has(1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (core.files, api.files.downloads) == ([b"much"], 0)
    assert bot.limits.in_file_bytes == 2_000_000_000


async def test_a_file_over_the_limit_is_refused_for_good(
    api: BotApi, ada: Person, database: Database
) -> None:
    failures: list[NetworkError] = []

    async def receive(incoming: Incoming) -> None:
        with pytest.raises(NetworkError) as caught:
            await incoming.attachments[0].fetch()
        failures.append(caught.value)
        core.gate.set()

    core = Recorder()
    core.gate.clear()
    async with running(api, database, receive) as bot:
        await ada.sends_file(b"zip", "set.zip", claimed_bytes=30_000_000)
        await core.gate.wait()
    assert failures[0].permanent
    assert bot.limits.in_file_bytes == 20_000_000


async def test_stickers_and_voices_become_a_refusal(
    api: BotApi, ada: Person, database: Database
) -> None:
    core = Recorder()
    voice = {"file_id": "v", "file_unique_id": "v", "duration": 3}
    async with running(api, database, core.receive):
        await ada.sends({"voice": voice})
        await core.has(1)
    assert core.events == [FileRefused("photo.type")]


async def test_a_button_is_answered_before_the_work(
    api: BotApi, ada: Person, database: Database
) -> None:
    core = Recorder()
    core.gate.clear()
    shown = await api.chats.add(ada.chat, BOT, "?", rows=[[Button("Go", "go:1:")]])
    async with running(api, database, core.receive):
        query = ada.presses_data(shown, "go:1:x")
        await core.has(1)
        await eventually(lambda: _answered(api, query))
        core.gate.set()
    assert core.events == [Choice("go", "1", "x")]


async def test_a_button_is_answered_while_the_database_is_busy(
    api: BotApi, ada: Person, database: Database
) -> None:
    core = Recorder()
    shown = await api.chats.add(ada.chat, BOT, "?", rows=[[Button("Go", "go:1:")]])
    async with running(api, database, core.receive):
        async with database.write():
            query = ada.presses_data(shown, "go:1:x")
            await eventually(lambda: _answered(api, query))
            assert core.events == []
        await core.has(1)


async def test_a_button_pressed_long_ago_still_counts(
    api: BotApi, ada: Person, database: Database
) -> None:
    core = Recorder()
    shown = await api.chats.add(ada.chat, BOT, "?", rows=[[Button("Go", "go:1:")]])
    api.methods.queries.discard(ada.presses_data(shown, "go:1:x"))
    async with running(api, database, core.receive):
        await core.has(1)
    assert core.events == [Choice("go", "1", "x")]


async def test_in_a_group_the_answer_is_a_way_into_private(
    api: BotApi, ada: Person, database: Database
) -> None:
    core = Recorder()
    group = api.group()
    async with running(api, database, core.receive):
        await ada.says("hello all", to=group)
        await ada.says("/weather", to=group)
        await ada.says("/train", to=group)
        await ada.says("/models@test_lora_bot", to=group)
        await ada.says("done")
        await core.has(1)
        await eventually(lambda: _written(group, 2))
    answers = [one.text for one in group.chat.messages if one.from_bot]
    words = {one.partition("https://t.me/test_lora_bot?start=")[2] for one in answers}
    assert words == {"train", "models"}
    assert core.events == [Text("done")]


async def _answered(api: BotApi, query: str) -> bool:
    return query in api.methods.answered


async def _written(group: Group, count: int) -> bool:
    return sum(one.from_bot for one in group.chat.messages) == count
