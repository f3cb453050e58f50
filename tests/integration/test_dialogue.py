"""The conversation with its database behind a network that fails: nothing is lost or doubled."""

import asyncio
import io
import json
import time
from pathlib import Path

import pytest
from PIL import Image, ImageFilter

from bot import courier
from bot import notifier as notifier_module
from bot.events import Choice, Command, Text
from bot.frontend import (
    Attachment,
    ChatGoneError,
    Incoming,
    NetworkError,
    SlowDownError,
    UncertainError,
)
from pictures import faces
from pictures.faces import Faces
from pictures.sandbox import Cells
from storage import job_store, look_store, worker_store
from storage.database import Database
from storage.job import JobState
from storage.people_store import Person
from storage.settings import Settings
from tests.chatting import ME, YOU, Open, finish, opener
from tests.conftest import eventually
from tests.drawn import photos
from tests.fakes import FakeFrontend
from tests.jobs import make_job
from trainer.run import Phase, Progress


def blurred(data: bytes) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.filter(ImageFilter.GaussianBlur(12)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def network() -> FakeFrontend:
    return FakeFrontend()


@pytest.fixture
def bot(
    database: Database,
    cells: Cells,
    tmp_path: Path,
    network: FakeFrontend,
    monkeypatch: pytest.MonkeyPatch,
) -> Open:
    monkeypatch.setattr(notifier_module, "AFTER_TROUBLE_S", 0.05)
    monkeypatch.setattr("bot.sending.PAUSE_S", 0.01)
    settings = Settings(data_dir=tmp_path, admin_ids=frozenset({"tg:9"}), consent="never")
    return opener(settings, database, network, cells)


async def test_an_album_is_one_message_however_it_arrives(bot: Open) -> None:
    async with bot() as chat:
        await chat.draft()
        await chat.reads("Now send me")
        before = chat.network.calls.count(f"send {ME}")
        await asyncio.gather(*(chat.send(one) for one in photos(10)))
        await chat.reads("10 photos")
        assert chat.network.calls.count(f"send {ME}") == before + 1


async def test_an_update_delivered_twice_has_its_effect_once(bot: Open) -> None:
    async with bot() as chat:
        await chat.do(Command("train"), update_id="same")
        await chat.do(Text("person"))
        await chat.reads("short name")
        await chat.do(Command("train"), update_id="same")
        await chat.do(Text("mochi"))
        await chat.reads("trigger word")
        assert not any("draft going on" in text for text in chat.network.texts(ME))


async def test_a_restart_in_the_middle_goes_on_where_it_was(bot: Open) -> None:
    async with bot() as chat:
        await chat.do(Command("train"))
        await chat.do(Text("person"))
        await chat.send(*photos(3))
        await chat.reads("3 photos so far")
    async with bot() as chat:
        await chat.do(Text("mochi"))
        await chat.do(Text("mochix"))
        await chat.reads("3 photos of up to 25")


async def test_what_was_committed_but_never_shown_is_shown_after_the_restart(
    bot: Open, network: FakeFrontend
) -> None:
    network.troubles = [("send", ChatGoneError("killed here"))]
    async with bot() as chat:
        await chat.do(Command("train"))

        async def tried() -> bool:
            return not network.troubles

        await eventually(tried)
    assert network.texts(ME) == []
    async with bot() as chat:
        await chat.reads("What should it learn?")


async def test_the_summary_becomes_the_status_and_the_result_is_new(
    bot: Open, database: Database, tmp_path: Path
) -> None:
    async with bot() as chat:
        job = await chat.order()
        await chat.reads("in the queue")
        assert not any("Ready to train" in text for text in chat.network.texts(ME))
        await finish(database, tmp_path, job)
        await chat.until_done(job)
        texts = chat.network.texts(ME)
        assert len([text for text in texts if "is ready" in text]) == 1
        assert len([text for text in texts if "done" in text]) == 1
        assert chat.network.last(ME).file is not None


async def test_a_kill_between_the_send_and_its_commit_makes_no_second_result(
    bot: Open, database: Database, tmp_path: Path, network: FakeFrontend
) -> None:
    """What the row says after such a kill: it is being sent, and nobody knows its name."""
    async with bot() as chat:
        job = await chat.order()
        await chat.reads("in the queue")
    async with database.write() as tx:
        await job_store.mark_sent(tx, job.id, 1, result_ref=courier.SENDING)
    before = len(network.chats[ME])
    await finish(database, tmp_path, job)
    async with bot() as chat:
        await chat.until_done(job)
    assert len(network.chats[ME]) == before
    (holder,) = [m for m in network.chats[ME].values() if m.file is not None]
    assert "is ready" in holder.text


async def test_a_result_that_may_have_arrived_is_not_sent_again(
    bot: Open, database: Database, tmp_path: Path, network: FakeFrontend
) -> None:
    async with bot() as chat:
        job = await chat.order()
        await chat.reads("in the queue")
        network.after = [("send", UncertainError("no answer"))]
        await finish(database, tmp_path, job)
        await chat.until_done(job)
        sent = [m for m in network.chats[ME].values() if "is ready" in m.text]
        # The one that arrived without an answer, and the edit that makes sure.
        assert len(sent) == 2
        assert network.calls.count(f"send {ME}") == len(network.chats[ME])


async def test_an_older_stage_never_comes_after_a_newer_one(
    bot: Open, database: Database, tmp_path: Path, network: FakeFrontend
) -> None:
    async with bot() as chat:
        job = await chat.order()
        network.troubles = [("edit", NetworkError("away")) for _ in range(12)]
        await finish(database, tmp_path, job)
        await chat.until_done(job)
        status = [text for text in network.texts(ME) if text.startswith(("✅", "📦", "🏋️", "⏳"))]
        assert status == ["✅ mochi · done".replace("mochi", "**mochi**")]


async def test_a_chat_that_is_told_to_wait_holds_up_no_other(
    bot: Open, network: FakeFrontend
) -> None:
    async with bot() as chat:
        network.troubles = [(f"send {ME}", SlowDownError("later", after_s=600))]
        await chat.do(Command("train"))
        await chat.do(Command("train"), chat=YOU)
        await chat.reads("What should it learn?", chat=YOU)
        assert network.texts(ME) == []


async def test_a_person_who_left_ends_the_job_and_keeps_the_file(
    bot: Open, database: Database, tmp_path: Path, network: FakeFrontend
) -> None:
    async with bot() as chat:
        job = await chat.order()
        await chat.reads("in the queue")
        network.troubles = [("edit", ChatGoneError("blocked")) for _ in range(9)]
        await finish(database, tmp_path, job)
        done = await chat.until_done(job)
    assert done.artifact is not None


async def test_a_status_message_that_was_deleted_comes_back(
    bot: Open, database: Database, tmp_path: Path, network: FakeFrontend
) -> None:
    async with bot() as chat:
        job = await chat.order()
        await chat.reads("in the queue")
        network.chats[ME].clear()
        await finish(database, tmp_path, job)
        await chat.until_done(job)
        assert any("done" in text for text in network.texts(ME))


async def test_strangers_cannot_press_the_buttons_of_others(bot: Open, database: Database) -> None:
    async with bot() as chat:
        job = await chat.order()
        await chat.do(Choice("stopnow", job.id), chat=YOU)
        await chat.reads("This menu is old", chat=YOU)
        async with database.read() as tx:
            found = await job_store.get(tx, job.id)
        assert found is not None
        assert found.state is JobState.QUEUED
        await chat.do(Choice("stopnow", job.id), chat="tg:9")
        await chat.reads("cancelled")


async def test_the_queue_shows_names_to_admins_alone(bot: Open) -> None:
    async with bot() as chat:
        await chat.order()
        for who in (ME, YOU, "tg:9"):
            await chat.do(Command("queue"), chat=who)
            await chat.reads("in the queue", chat=who)
        assert "mochi" not in chat.network.last(YOU).text
        assert "mochi" in chat.network.last(ME).text
        assert "Ada" in chat.network.last("tg:9").text
        assert chat.network.last("tg:9").buttons
        assert not chat.network.last(YOU).buttons


async def test_a_download_that_fails_is_tried_again_and_then_told(bot: Open) -> None:
    tries: list[int] = []

    async def fetch() -> bytes:
        tries.append(1)
        raise NetworkError("away", permanent=len(tries) > 1)

    async with bot() as chat:
        await chat.do(Command("train"))
        await chat.bot.dialogue.receive(
            Incoming(
                platform="tg",
                update_id="x",
                chat=ME,
                person=Person(id=ME, name="Ada"),
                attachments=(Attachment(fetch=fetch),),
            )
        )
        await chat.reads("didn't arrive")
    assert len(tries) == 2


async def test_the_contact_sheet_is_a_picture_and_goes_with_its_draft(
    bot: Open, network: FakeFrontend, tmp_path: Path
) -> None:
    async with bot() as chat:
        await chat.draft()
        await chat.send(*photos(2))
        await chat.press("🖼")
        await chat.reads("2 of 2 in use")
        picture = network.last(ME).picture
        assert picture is not None
        with Image.open(picture.path) as sheet:
            assert (sheet.format, sheet.width > sheet.height) == ("JPEG", True)
        await chat.press("← Back")
        await chat.press("Cancel")
        await chat.reads("Deleted")
        await eventually(lambda: no_files(tmp_path / "blobs"))


async def no_files(folder: Path) -> bool:
    return not [path for path in folder.rglob("*") if path.is_file()]


async def test_a_number_on_the_sheet_prints_another_picture(
    bot: Open, network: FakeFrontend
) -> None:
    async with bot() as chat:
        await chat.draft()
        await chat.send(*photos(2))
        await chat.press("🖼")
        await chat.reads("2 of 2 in use")
        before, messages = network.last(ME).picture, len(network.chats[ME])
        await chat.press("✅ 1")
        await chat.reads("1 of 2 in use")
        assert len(network.chats[ME]) == messages
        assert network.last(ME).picture not in (None, before)


async def test_what_a_worker_sees_on_a_photo_comes_into_the_panel(
    bot: Open, database: Database
) -> None:
    async with bot() as chat:
        await chat.draft()
        async with database.write() as tx:
            await worker_store.beat(tx, "w", "h", [worker_store.SEES_FACES], now=time.time())
        await chat.send(*photos(2))
        await chat.reads("checking 2")
        async with database.write() as tx:
            for _ in range(2):
                sha256 = await look_store.claim(tx, now=time.time(), hold_s=60)
                assert sha256 is not None
                nobody = json.dumps(faces.to_json(Faces(pack="test", faces=())))
                await look_store.answer(tx, sha256, faces=nobody, described=None, now=1.0)
        await chat.reads("can't find a face on #1, #2")
        assert "checking" not in chat.network.last(ME).text


async def test_a_blurred_photo_is_told_at_once_and_can_be_used_all_the_same(bot: Open) -> None:
    async with bot() as chat:
        await chat.draft()
        await chat.send(blurred(photos(1)[0]))
        await chat.reads("#1 is blurred – not used")
        await chat.press("🤔 Look at #1")
        await chat.press("Use it")
        await chat.reads("✅ 1 good")
        assert "blurred" not in chat.network.last(ME).text


async def test_progress_is_shown(bot: Open, database: Database) -> None:
    async with bot() as chat:
        progress = Progress(phase=Phase.TRAINING, step=5, total=10, loss=0.5, steps_per_s=2.0)
        job = make_job(chat=ME, person=ME, state=JobState.TRAINING, progress=progress)
        async with database.write() as tx:
            await job_store.add(tx, job)
        await chat.reads("step 5/10")
