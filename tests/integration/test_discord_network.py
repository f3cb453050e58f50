"""The real client against the server that plays Discord: lines that break, limits, refusals."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.discord.errors import TokenRejectedError
from bot.events import Choice, Command, Filled, Text
from bot.frontend import (
    ChatGoneError,
    Message,
    MessageGoneError,
    NetworkError,
    OutFile,
    RenderedButton,
    SlowDownError,
    TooLargeError,
)
from bot.frontends.discord import Discord
from bot.screen import Slot
from lorabot import doctor_networks
from lorabot.finding import Health
from storage import job_store
from storage.database import Database
from storage.job import Artifact, JobState
from storage.settings import Settings
from tests.bot_api.adapter import Recorder
from tests.conftest import eventually
from tests.discord_api import DiscordApi, Member, refusals
from tests.discord_api.adapter import frontend, orders, ready, running, start_process
from tests.discord_api.interactions import FIRST_S
from tests.drawn import photos
from tests.jobs import make_job

HELLO = Message(text="hello", slot=Slot.STATUS)
GO = RenderedButton(label="Go", data="go:1:")


@pytest.fixture
async def api() -> AsyncIterator[DiscordApi]:
    async with DiscordApi() as one:
        yield one


@pytest.fixture
def ada(api: DiscordApi) -> Member:
    return api.person("Ada")


@pytest.fixture
def core() -> Recorder:
    return Recorder()


@pytest.fixture
async def bot(api: DiscordApi, database: Database, core: Recorder) -> AsyncIterator[Discord]:
    async with running(api, database, core.receive) as one:
        yield one


# --- what is asked for, and what is offered ------------------------------------------------------


async def test_no_privileged_intent_is_asked_for(bot: Discord, api: DiscordApi) -> None:
    assert bot.platform == "dc"
    assert api.gateway.identified == 1  # the server closes the line on a privileged one
    assert api.gateway.intents == (1 << 0) | (1 << 12)


async def test_commands_are_registered_for_servers_and_direct_messages(
    bot: Discord, api: DiscordApi
) -> None:
    assert bot.platform == "dc"
    names = {one["name"]: one for one in api.commands}
    assert {"train", "status", "queue", "models", "cancel", "help", "lora"} <= set(names)
    assert all(one["contexts"] == [0, 1] for one in api.commands)
    assert all(one["integration_types"] == [0, 1] for one in api.commands)
    assert names["lora"]["default_member_permissions"] == "32"
    assert "pause" in [one["name"] for one in names["lora"]["options"]]
    assert names["train"]["description"].startswith("a new model")


async def test_a_wrong_token_is_told_and_ends_it(api: DiscordApi, database: Database) -> None:
    api.token = "another"
    one = frontend(api, database)
    api.token = "made-up.token.of-a-test-bot"
    with pytest.raises(TokenRejectedError):
        await one.run(Recorder().receive)


async def test_a_server_that_is_not_there_yet_is_waited_for(
    database: Database, core: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.frontends.discord.FIRST_PAUSE_S", 0.05)
    api = await DiscordApi().start()
    port = int(api.url.split(":")[2].partition("/")[0])
    await api.stop()
    one = frontend(api, database)
    task = asyncio.create_task(one.run(core.receive))
    await asyncio.wait({task}, timeout=0.2)
    later = await api.start(port)
    try:
        await ready(later)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await later.stop()


# --- what people do ------------------------------------------------------------------------------


async def test_commands_buttons_and_words_are_events(
    bot: Discord, ada: Member, core: Recorder
) -> None:
    await ada.types("queue")
    await ada.types("models", "mochi")
    await ada.types("lora pause", "30 a new driver", private=True)
    await ada.says("/status")
    await ada.says("mochix")
    await bot.send(ada.name, Message(text="hello", buttons=((GO,),)), key="k")
    await ada.presses("Go")
    await core.has(6)
    assert core.events == [
        Command("queue"),
        Command("models", "mochi"),
        Command("pause", "30 a new driver"),
        Command("status"),
        Text("mochix"),
        Choice("go", "1", ""),
    ]
    assert ada.failed == 0


async def test_the_form_brings_all_answers_and_files_at_once(
    bot: Discord, ada: Member, core: Recorder
) -> None:
    assert bot.limits.edit_interval_s >= 4
    drawn = photos(2)
    opened = await ada.types("train", private=True)
    assert len(opened.form["components"]) == 5
    await ada.fills(opened, name="mochi", kind="style", photos=drawn, agree=True)
    (one,) = await core.has(1)
    assert one.event == Filled("mochi", "style", "demo", consent=True)
    assert core.files == drawn
    assert (one.chat, one.person.name, one.person.language) == (ada.name, "Ada", "en-US")
    assert one.out_file_bytes == 10 * 1024 * 1024


async def test_what_is_allowed_in_a_server_says_nothing_about_direct_messages(
    bot: Discord, ada: Member, core: Recorder
) -> None:
    assert bot.limits.out_file_bytes == 10 * 1024 * 1024
    await ada.types("queue")
    (one,) = await core.has(1)
    assert one.out_file_bytes is None


async def test_own_photos_of_a_message_are_taken_and_others_not(
    bot: Discord, ada: Member, core: Recorder, api: DiscordApi
) -> None:
    assert bot.platform == "dc"
    drawn = photos(2)
    await ada.adds_from(api.person("Ben").number, [ada.upload(drawn[0])])
    await ada.reads("aren't your photos")
    await ada.adds_from(ada.number, [ada.upload(b"x", "a.txt", "text/plain")])
    await ada.reads("no photos in that message")
    await ada.adds_from(ada.number, [ada.upload(one) for one in drawn])
    await core.has(1)
    assert core.files == drawn


async def test_names_of_models_are_suggested(bot: Discord, ada: Member, database: Database) -> None:
    made = Artifact(key="k", sha256="0" * 64, file_bytes=1, name="x.safetensors")
    async with database.write() as tx:
        for name in ("mochi", "Mochi_2", "taro"):
            job = make_job(chat=ada.name, person=ada.name, name=name, artifact=made)
            await job_store.add(tx, job)
        draft = make_job(chat=ada.name, person=ada.name, name="mochi_3", state=JobState.QUEUED)
        await job_store.add(tx, draft)
    began = time.monotonic()
    assert set(await ada.suggests("models", "moch")) == {"mochi", "Mochi_2"}
    assert time.monotonic() - began < FIRST_S
    assert bot.platform == "dc"


async def test_an_answer_is_acknowledged_while_the_core_still_works(
    bot: Discord, ada: Member, core: Recorder
) -> None:
    core.gate.clear()
    pressed = await asyncio.gather(*(ada.types("queue") for _ in range(20)))
    assert all(one.answer == 5 for one in pressed)
    assert ada.failed == 0
    core.gate.set()
    await core.has(20)
    assert bot.platform == "dc"


async def test_thinking_goes_where_there_was_nothing_to_say(
    api: DiscordApi,
    ada: Member,
    database: Database,
    core: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bot.frontends.discord.TIDY_S", 0.05)
    async with running(api, database, core.receive):
        await ada.types("queue")
        await ada.until(lambda: ada.sees == [] and api.calls["callback"] == 1)


async def test_what_is_said_later_still_answers_where_the_person_is(
    bot: Discord, ada: Member, core: Recorder, api: DiscordApi
) -> None:
    await ada.types("queue")
    await core.has(1)
    for number in range(3):
        await bot.send(ada.name, Message(text=str(number)), key=str(number))
    await bot.send(ada.name, HELLO, key="status")
    assert [one.text for one in ada.sees] == ["0", "1", "2", "hello"]
    assert [bool(one.only_for) for one in ada.sees] == [True, True, True, False]
    api.world.ahead_s = 16 * 60
    await bot.send(ada.name, Message(text="late"), key="late")
    assert not ada.sees[-1].only_for


# --- the line ------------------------------------------------------------------------------------


async def test_a_line_that_asks_for_it_is_resumed(
    bot: Discord, ada: Member, api: DiscordApi, core: Recorder
) -> None:
    await ada.says("one")
    await core.has(1)
    api.gateway.lose = True
    await ada.says("two")
    api.gateway.lose = False
    await api.gateway.ask_to_reconnect()
    await core.has(2)
    await ready(api)
    assert core.events == [Text("one"), Text("two")]
    assert (api.gateway.identified, api.gateway.resumed) == (1, 1)
    assert bot.platform == "dc"


async def test_a_session_that_is_over_begins_anew(
    api: DiscordApi,
    ada: Member,
    database: Database,
    core: Recorder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def at_once(*_: object, **__: object) -> None:
        """The library waits five seconds before it identifies once more."""

    monkeypatch.setattr("discord.Client.before_identify_hook", at_once)
    async with running(api, database, core.receive):
        await api.gateway.invalidate()
        await eventually(lambda: _is(api.gateway.ready.is_set()))
        await ada.says("here")
        await core.has(1)
    assert api.gateway.identified == 2


async def test_the_heart_beats(api: DiscordApi, database: Database, core: Recorder) -> None:
    api.gateway.heartbeat_ms = 50
    async with running(api, database, core.receive):
        await eventually(lambda: _is(api.gateway.heartbeats > 3))


async def test_the_same_update_has_its_effect_once(
    bot: Discord, ada: Member, api: DiscordApi, core: Recorder
) -> None:
    await ada.says("one")
    await core.has(1)
    await api.gateway.repeat(1)
    await ada.says("two")
    await core.has(2)
    assert core.events == [Text("one"), Text("two")]
    assert bot.platform == "dc"


async def test_a_kill_in_the_middle_loses_no_photo(api: DiscordApi, tmp_path: Path) -> None:
    ada = api.person("Ada")
    process = await start_process(api, tmp_path)
    try:
        await ready(api, 50)
        api.download_s = 3.0
        await orders(ada, photos(9))
        process.kill()
        await process.wait()
        api.download_s = 0.0
        api.commands = []
        process = await start_process(api, tmp_path)
        await ada.reads("9 photos")
    finally:
        process.kill()
        await process.wait()
    said = (tmp_path / "bot.log").read_text()
    assert api.token not in said
    assert "IMG_0001" not in said
    assert not any(one in said for one in api.interactions.by_token)


# --- sending -------------------------------------------------------------------------------------


async def test_a_message_that_was_sent_without_an_answer_is_there_once(
    bot: Discord, ada: Member, api: DiscordApi
) -> None:
    api.lose_answer("create")
    with pytest.raises(NetworkError) as lost:
        await bot.send(ada.name, HELLO, key="k")
    assert not lost.value.permanent
    await bot.send(ada.name, HELLO, key="k")
    assert [one.text for one in ada.sees] == ["hello"]


async def test_a_message_is_edited_and_a_lost_one_is_told(
    bot: Discord, ada: Member, api: DiscordApi
) -> None:
    ref = await bot.send(ada.name, HELLO, key="k")
    await bot.edit(ada.name, ref, Message(text="two", slot=Slot.STATUS))
    (shown,) = ada.sees
    assert shown.text == "two"
    await api.world.remove(shown)
    with pytest.raises(MessageGoneError):
        await bot.edit(ada.name, ref, HELLO)
    again = await bot.send(ada.name, HELLO, key="k")
    assert again != ref
    assert len(ada.sees) == 1


async def test_after_an_hour_a_new_message_takes_the_place_of_the_old_one(
    bot: Discord, ada: Member, api: DiscordApi
) -> None:
    ref = await bot.send(ada.name, HELLO, key="k")
    api.refuse("edit", refusals.OLD_EDITS)
    with pytest.raises(MessageGoneError):
        await bot.edit(ada.name, ref, Message(text="two", slot=Slot.STATUS))
    assert ada.sees == []


async def test_a_pause_for_one_chat_holds_up_no_other(
    bot: Discord, ada: Member, api: DiscordApi
) -> None:
    ben = api.person("Ben")
    for one in (ada, ben):
        await bot.send(one.name, HELLO, key=f"first {one.name}")
    api.flood("create", 1.5)
    began = time.monotonic()
    slow = asyncio.create_task(bot.send(ada.name, HELLO, key="slow"))
    await eventually(lambda: _is(any(status == 429 for _, status, _ in api.seen)))
    await bot.send(ben.name, HELLO, key="quick")
    assert not slow.done()
    await slow
    assert time.monotonic() - began >= 1.5


async def test_a_long_pause_is_told_to_us(bot: Discord, ada: Member, api: DiscordApi) -> None:
    api.flood("create", 99.0)
    with pytest.raises(SlowDownError) as asked:
        await bot.send(ada.name, HELLO, key="k")
    assert asked.value.after_s == 99.0


async def test_rates_that_discord_names_are_kept(
    bot: Discord, ada: Member, api: DiscordApi
) -> None:
    api.limits["edit"] = (2, 0.5)
    ref = await bot.send(ada.name, HELLO, key="k")
    for number in range(5):
        await bot.edit(ada.name, ref, Message(text=str(number), slot=Slot.STATUS))
    edits = [status for name, status, _ in api.seen if name == "edit"]
    assert edits == [200] * 5


async def test_refusals_have_their_meaning(
    bot: Discord, ada: Member, api: DiscordApi, tmp_path: Path
) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"x" * 100)
    file = OutFile(path=path, name="x.safetensors", file_bytes=100)
    api.world.out_file_bytes = 99
    with pytest.raises(TooLargeError):
        await bot.send(ada.name, Message(text="done", file=file), key="k")
    api.world.closed.add(ada.number)
    with pytest.raises(ChatGoneError):
        await bot.send(ada.name, HELLO, key="l")


async def test_a_file_joins_a_message_of_words(bot: Discord, ada: Member, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"x" * 100)
    file = OutFile(path=path, name="x.safetensors", file_bytes=100)
    ref = await bot.send(ada.name, HELLO, key="k")
    await bot.edit(ada.name, ref, Message(text="done", file=file, slot=Slot.RESULT))
    (shown,) = ada.sees
    assert shown.files == {"x.safetensors": b"x" * 100}


@pytest.mark.parametrize(
    ("place", "shown"),
    [((False, False), [True]), ((True, False), []), ((True, True), [False])],
)
async def test_what_an_adult_base_draws_is_veiled_or_left_out(
    api: DiscordApi,
    ada: Member,
    database: Database,
    tmp_path: Path,
    place: tuple[bool, bool],
    shown: list[bool],
) -> None:
    """In a direct message it is veiled; in a server it needs a channel for adults."""
    path = tmp_path / "x.jpg"
    path.write_bytes(b"jpeg")
    picture = OutFile(path=path, name="x.jpg", file_bytes=4)
    drawn = Message(text="drawn", picture=picture, slot=Slot.SAMPLES, drawn_by="demo")
    closed, api.town.nsfw = place
    api.gateway.guilds = [api.world.server(api.town)]
    if closed:
        api.world.closed.add(ada.number)
    core = Recorder()
    async with running(api, database, core.receive, adult=True) as bot:
        await ada.types("queue")
        await core.has(1)
        await bot.send(ada.name, drawn, key="k")
        told = await ada.reads("drawn")
        await bot.edit(ada.name, f"{told.channel}:{told.number}", drawn)
    galleries = [one for one in told.body["components"] if one["type"] == 12]
    assert [one["items"][0]["spoiler"] for one in galleries] == shown
    assert bool(told.files) == bool(shown)


async def test_nobody_is_called_by_what_people_write(bot: Discord, ada: Member) -> None:
    text = "@everyone <@1> **bold** `code` _x_ [a](http://b) # no"
    await bot.send(ada.name, Message(text=text, slot=Slot.STATUS), key="k")
    (shown,) = ada.sees
    assert shown.body["allowed_mentions"] == {"parse": []}
    assert r"\<@1>" in shown.body["components"][0]["content"]


async def test_no_secret_is_logged(
    bot: Discord, ada: Member, api: DiscordApi, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        api.flood("create", 0.01)
        await ada.types("queue")
        await bot.send(ada.name, HELLO, key="k")
    others = ("aiosqlite", "asyncio", "sqlalchemy")
    said = "\n".join(one.getMessage() for one in caplog.records if not one.name.startswith(others))
    assert api.token not in said
    assert not any(one in said for one in api.interactions.by_token)


async def test_the_doctor_says_whether_the_token_works(api: DiscordApi, tmp_path: Path) -> None:
    def settings(token: str) -> Settings:
        given = {"discord_bot_token": token, "discord_api_url": api.url}
        return Settings(data_dir=tmp_path, **given)  # type: ignore[arg-type]  # pydantic reads them

    works = await doctor_networks.discord(settings(api.token))
    assert (works.health, works.said) == (Health.OK, "Lorabot, no privileged intents")
    wrong = await doctor_networks.discord(settings("another"))
    assert (wrong.health, wrong.said) == (Health.FAIL, "the token is rejected")
    assert (await doctor_networks.discord(settings(""))).health is Health.OK
    api.refuse("application", (503, 0, "down"))
    assert (await doctor_networks.discord(settings(api.token))).health is Health.FAIL


async def _is(held: bool) -> bool:
    return held
