"""What every chat network has to do, held against each of them with a person at its other end."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.events import Choice, Command, Text
from bot.frontend import Message, OutFile, RenderedButton
from bot.screen import Slot
from storage.database import Database
from tests.drawn import photos
from tests.networks import NETWORKS, Stage

GO = RenderedButton(label="Go", data="go:d1:x.1")
DROP = RenderedButton(label="Drop", data="drop:d1:", danger=True)


@pytest.fixture(params=sorted(NETWORKS))
async def stage(
    request: pytest.FixtureRequest, database: Database, tmp_path: Path
) -> AsyncIterator[Stage]:
    async with NETWORKS[request.param](database, tmp_path) as one:
        yield one


def said(text: str, **more: object) -> Message:
    return Message(text=text, slot=Slot.STATUS, **more)  # type: ignore[arg-type]


async def test_an_edit_takes_the_place_of_what_was_sent(stage: Stage) -> None:
    frontend, chat = stage.frontend, stage.chat
    first = await frontend.send(chat, said("one"), key="a")
    await frontend.send(chat, said("two"), key="b")
    await frontend.edit(chat, first, said("three"))
    seen = ["one", "two", "three"] if stage.scrolls else ["three", "two"]
    await stage.settles(lambda: stage.texts() == seen)


async def test_to_say_the_same_again_is_fine(stage: Stage) -> None:
    ref = await stage.frontend.send(stage.chat, said("one"), key="a")
    for _ in range(2):
        await stage.frontend.edit(stage.chat, ref, said("one", buttons=((GO,),)))
    await stage.settles(lambda: (stage.texts(), stage.labels()) == (["one"], ["Go"]))


async def test_buttons_come_and_go_and_say_what_they_are_for(stage: Stage) -> None:
    rows = ((GO, DROP), (RenderedButton(label="Load", url="https://a.example/x"),))
    ref = await stage.frontend.send(stage.chat, said("one", buttons=rows), key="a")
    await stage.settles(lambda: stage.labels() == ["Go", "Drop", "Load"])
    await stage.presses("Go")
    assert (await stage.core.has(1))[-1].event == Choice("go", "d1", "x.1")
    await stage.frontend.edit(stage.chat, ref, said("one"))
    await stage.settles(lambda: stage.labels() == [])


async def test_a_text_as_long_as_its_limit_is_taken(stage: Stage) -> None:
    most = min(stage.frontend.limits.text, 8000)
    await stage.frontend.send(stage.chat, said("ж" * most), key="a")
    await stage.settles(lambda: [len(one) for one in stage.texts()] == [most])


async def test_what_people_write_is_words_and_not_markup(stage: Stage) -> None:
    words = "a_b <c> [d] & ~~e~~ #1 1 > 0"
    await stage.frontend.send(stage.chat, said(words), key="a")
    await stage.settles(lambda: stage.texts() == [words])


async def test_words_and_commands_are_told_once_each_with_their_person(stage: Stage) -> None:
    await stage.says("/train")
    await stage.core.has(1)
    await stage.says("mochi_1")
    told = await stage.core.has(2)
    assert [one.event for one in told] == [Command("train"), Text("mochi_1")]
    assert {(one.platform, one.chat) for one in told} == {(stage.frontend.platform, stage.chat)}
    assert {one.person.id for one in told} == {stage.chat}
    assert len({one.update_id for one in told}) == 2


async def test_a_photo_comes_as_it_was_sent(stage: Stage) -> None:
    (drawn,) = photos(1)
    await stage.sends(drawn)
    await stage.core.has(1)
    assert stage.core.files == [drawn]


async def test_a_picture_stands_above_its_words_and_is_replaced(
    stage: Stage, tmp_path: Path
) -> None:
    path = tmp_path / "blobs" / "shown" / "d" / "x.jpg"
    path.parent.mkdir(parents=True)
    path.write_bytes(photos(1)[0])
    picture = OutFile(path=path, name="x.jpg", file_bytes=path.stat().st_size)
    ref = await stage.frontend.send(stage.chat, said("one", picture=picture), key="a")
    await stage.frontend.edit(stage.chat, ref, said("two", picture=picture))
    await stage.settles(lambda: stage.texts() == ["two"])
