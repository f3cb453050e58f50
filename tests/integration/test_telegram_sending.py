"""Messages as people see them, and every refusal as the core gets it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.frontend import (
    ChatGoneError,
    Message,
    MessageGoneError,
    NetworkError,
    OutFile,
    RenderedButton,
    SlowDownError,
    UncertainError,
)
from bot.frontends import telegram
from bot.frontends.telegram import Telegram
from storage.database import Database
from tests.bot_api import BotApi, Person, RefusedError
from tests.bot_api.adapter import Recorder
from tests.conftest import eventually

HELLO = Message(text="hello")
GO = RenderedButton(label="Go", data="go:1:")


@pytest.fixture
async def bot(
    api: BotApi, database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Telegram]:
    monkeypatch.setattr(telegram, "ANSWER_S", 0.5)
    one = Telegram(api.token, api_url=api.url + "/", database=database)
    task = asyncio.create_task(one.run(Recorder().receive))
    await eventually(lambda: _polled(api))
    yield one
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def lora(tmp_path: Path) -> OutFile:
    path = tmp_path / "mochi.safetensors"
    path.write_bytes(b"weights")
    return OutFile(path=path, name="mochi.safetensors", file_bytes=7)


async def send(bot: Telegram, person: Person, message: Message = HELLO) -> str:
    return await bot.send(person.name, message, key="k")


async def test_a_message_is_shown_with_its_markup_and_buttons(bot: Telegram, ada: Person) -> None:
    drop = RenderedButton(label="Drop", data="drop:1:", danger=True)
    load = RenderedButton(label="Load", url="https://a.example/x")
    text = "**mochi** <3 & `word`"
    await send(bot, ada, Message(text=text, buttons=((GO, drop), (load,))))
    (shown,) = ada.sees
    assert shown.text == "mochi <3 & word"
    assert (shown.bold(), shown.code()) == (["mochi"], ["word"])
    assert [[one.text for one in row] for row in shown.rows] == [["Go", "Drop"], ["Load"]]
    assert [one.style for one in shown.rows[0]] == ["", "danger"]


@pytest.mark.parametrize("notify", [True, False])
async def test_only_some_messages_ring(bot: Telegram, ada: Person, notify: bool) -> None:
    await send(bot, ada, Message(text="hello", notify=notify))
    assert ada.sees[0].silent is not notify


async def test_a_text_that_is_too_long_is_cut(bot: Telegram, ada: Person) -> None:
    await send(bot, ada, Message(text="🎉" * 3000))
    assert ada.sees[0].text == "🎉" * 2047 + "…"


async def test_a_picture_stands_above_its_words_and_another_takes_its_place(
    bot: Telegram, ada: Person, tmp_path: Path
) -> None:
    pictures = []
    for content in (b"first", b"second"):
        path = tmp_path / f"{content.decode()}.jpg"
        path.write_bytes(content)
        pictures.append(OutFile(path=path, name=path.name, file_bytes=len(content)))
    ref = await send(bot, ada, Message(text="**one**", buttons=((GO,),), picture=pictures[0]))
    (shown,) = ada.sees
    assert (shown.text, shown.bold(), shown.data, shown.labels) == (
        "one",
        ["one"],
        b"first",
        ["Go"],
    )
    assert shown.media is not None
    assert "photo" in shown.media
    await bot.edit(ada.name, ref, Message(text="two", picture=pictures[1]))
    assert (shown.text, shown.data, shown.labels, len(ada.sees)) == ("two", b"second", [], 1)


async def test_the_words_under_a_picture_are_cut_to_what_fits(
    bot: Telegram, ada: Person, lora: OutFile
) -> None:
    await send(bot, ada, Message(text="x" * 3000, picture=lora))
    assert ada.sees[0].text == "x" * 1023 + "…"


async def test_an_edit_takes_the_place_of_the_message(bot: Telegram, ada: Person) -> None:
    ref = await send(bot, ada, Message(text="one", buttons=((GO,),)))
    await bot.edit(ada.name, ref, Message(text="two"))
    (shown,) = ada.sees
    assert (shown.text, shown.rows, shown.edits) == ("two", [], 1)


async def test_the_same_edit_again_is_fine(bot: Telegram, ada: Person) -> None:
    ref = await send(bot, ada)
    await bot.edit(ada.name, ref, HELLO)
    assert ada.sees[0].edits == 0


async def test_a_file_goes_out_with_its_caption(bot: Telegram, ada: Person, lora: OutFile) -> None:
    ref = await send(bot, ada, Message(text="**done**", file=lora, buttons=((GO,),), notify=True))
    (shown,) = ada.sees
    assert (shown.text, shown.bold(), shown.data) == ("done", ["done"], b"weights")
    assert (shown.file_name, shown.labels, shown.silent) == ("mochi.safetensors", ["Go"], False)
    await bot.edit(ada.name, ref, Message(text="kept"))
    assert (ada.sees[0].text, ada.sees[0].file_name) == ("kept", "mochi.safetensors")


async def test_a_long_caption_is_cut(bot: Telegram, ada: Person, lora: OutFile) -> None:
    await send(bot, ada, Message(text="x" * 2000, file=lora))
    assert ada.sees[0].text == "x" * 1023 + "…"


async def test_an_edit_adds_a_file_to_a_text_and_may_be_repeated(
    bot: Telegram, ada: Person, lora: OutFile
) -> None:
    ref = await send(bot, ada)
    done = Message(text="done", file=lora)
    await bot.edit(ada.name, ref, done)
    await bot.edit(ada.name, ref, done)
    (shown,) = ada.sees
    assert (shown.text, shown.file_name, shown.data) == ("done", "mochi.safetensors", b"weights")
    await bot.edit(ada.name, ref, Message(text="later"))
    assert ada.sees[0].text == "later"


async def test_a_file_is_uploaded_once(bot: Telegram, ada: Person, lora: OutFile) -> None:
    await send(bot, ada, Message(text="done", file=lora))
    lora.path.unlink()
    await send(bot, ada, Message(text="again", file=lora))
    assert [one.data for one in ada.sees] == [b"weights", b"weights"]


async def test_a_file_that_the_network_forgot_is_uploaded_again(
    bot: Telegram, ada: Person, api: BotApi, lora: OutFile
) -> None:
    await send(bot, ada, Message(text="done", file=lora))
    api.files.forget()
    await send(bot, ada, Message(text="again", file=lora))
    assert [one.data for one in ada.sees] == [b"weights", b"weights"]


async def test_a_file_over_the_limit_is_refused_for_good(
    bot: Telegram, ada: Person, tmp_path: Path
) -> None:
    path = tmp_path / "big"
    path.write_bytes(bytes((50 << 20) + 1))
    file = OutFile(path=path, name="big", file_bytes=path.stat().st_size)
    with pytest.raises(NetworkError) as caught:
        await send(bot, ada, Message(text="done", file=file))
    assert caught.value.permanent
    assert bot.limits.out_file_bytes <= 50_000_000


async def test_a_person_who_blocked_the_bot_is_gone(bot: Telegram, ada: Person) -> None:
    ref = await send(bot, ada)
    ada.blocks()
    with pytest.raises(ChatGoneError):
        await send(bot, ada)
    with pytest.raises(ChatGoneError):
        await bot.edit(ada.name, ref, Message(text="two"))


async def test_a_chat_that_never_was_is_gone(bot: Telegram) -> None:
    with pytest.raises(ChatGoneError):
        await bot.send("tg:77", HELLO, key="k")


async def test_a_deleted_message_is_gone(bot: Telegram, ada: Person) -> None:
    ref = await send(bot, ada)
    ada.chat.messages.clear()
    with pytest.raises(MessageGoneError):
        await bot.edit(ada.name, ref, Message(text="two"))


async def test_a_message_of_somebody_else_is_not_ours_to_edit(bot: Telegram, ada: Person) -> None:
    await ada.says("hello")
    number = ada.chat.messages[0].message_id
    with pytest.raises(MessageGoneError):
        await bot.edit(ada.name, str(number), Message(text="two"))


async def test_a_flood_says_how_long_to_wait(bot: Telegram, ada: Person, api: BotApi) -> None:
    api.flood("sendMessage", 7)
    with pytest.raises(SlowDownError) as caught:
        await send(bot, ada)
    assert caught.value.after_s == 7.0
    await send(bot, ada)
    assert len(ada.sees) == 1


async def test_a_group_that_became_a_supergroup_is_followed(bot: Telegram, api: BotApi) -> None:
    group = api.group()
    name = f"tg:{group.chat.chat_id}"
    ref = await bot.send(name, HELLO, key="k")
    moved = group.upgrade()
    await bot.send(name, HELLO, key="k")
    assert [one.text for one in moved.messages] == ["hello"]
    with pytest.raises(MessageGoneError):
        await bot.edit(name, ref, Message(text="two"))


@pytest.mark.parametrize("fault", ["lose_answer", "cut_answer"])
async def test_a_send_without_an_answer_is_uncertain_and_not_repeated(
    bot: Telegram, ada: Person, api: BotApi, fault: str
) -> None:
    getattr(api, fault)("sendMessage")
    with pytest.raises(UncertainError):
        await send(bot, ada)
    assert len(ada.sees) == 1


@pytest.mark.parametrize("fault", ["lose_answer", "cut_answer"])
async def test_an_edit_without_an_answer_may_be_repeated(
    bot: Telegram, ada: Person, api: BotApi, fault: str
) -> None:
    ref = await send(bot, ada)
    getattr(api, fault)("editMessageText")
    with pytest.raises(NetworkError) as caught:
        await bot.edit(ada.name, ref, Message(text="two"))
    assert not caught.value.permanent
    assert not isinstance(caught.value, UncertainError)
    await bot.edit(ada.name, ref, Message(text="two"))
    assert (ada.sees[0].text, ada.sees[0].edits) == ("two", 1)


@pytest.mark.parametrize(
    ("refusal", "permanent"),
    [
        (RefusedError(502, "Bad Gateway"), False),
        (RefusedError(400, "Bad Request: can't parse entities: x"), True),
        (RefusedError(401, "Unauthorized"), True),
    ],
)
async def test_other_refusals_say_whether_to_try_again(
    bot: Telegram,
    ada: Person,
    api: BotApi,
    refusal: RefusedError,
    permanent: bool,
) -> None:
    api.refuse("sendMessage", refusal)
    with pytest.raises(NetworkError) as caught:
        await send(bot, ada)
    assert caught.value.permanent is permanent
    assert api.token not in repr(caught.value)
    assert caught.value.__suppress_context__


async def test_a_server_that_is_away_did_not_get_the_message(
    bot: Telegram, ada: Person, api: BotApi
) -> None:
    await api.stop()
    with pytest.raises(NetworkError) as caught:
        await send(bot, ada)
    assert not isinstance(caught.value, UncertainError)
    assert not caught.value.permanent


async def test_twenty_messages_at_once_find_their_connections(bot: Telegram, api: BotApi) -> None:
    people = [api.person(str(number)) for number in range(20)]
    await asyncio.gather(*(send(bot, one) for one in people))
    assert [len(one.sees) for one in people] == [1] * 20


async def _polled(api: BotApi) -> bool:
    return api.feed.polls > 0
