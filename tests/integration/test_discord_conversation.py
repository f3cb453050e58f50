"""The whole bot behind the real adapter: what a person sees from /train to the delivered file."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pictures.sandbox import Cells
from storage import conversation_store, inbox_store, job_lists, job_store
from storage.database import Database
from storage.job import Job, JobState
from tests.conftest import eventually
from tests.discord_api import DiscordApi, Member, refusals
from tests.discord_api.adapter import Start, orders, starter
from tests.drawn import photos
from tests.jobs import make_job, waits_for_its_chat

WEIGHTS = b"safetensors"


@pytest.fixture
async def api() -> AsyncIterator[DiscordApi]:
    async with DiscordApi() as one:
        yield one


@pytest.fixture
def ada(api: DiscordApi) -> Member:
    return api.person("Ada")


@pytest.fixture
def bot(api: DiscordApi, database: Database, cells: Cells, tmp_path: Path) -> Start:
    return starter(api, database, cells, tmp_path)


async def job_of(database: Database, person: Member) -> Job:
    async with database.read() as tx:
        (job,) = await job_lists.of_person(tx, person.name)
    return job


async def test_one_form_and_two_presses_order_a_training(
    bot: Start, ada: Member, database: Database
) -> None:
    async with bot():
        await orders(ada, photos(9))
        panel = await ada.reads("9 photos")
        assert panel.only_for == ada.number
        await ada.presses("✅ Done – use 9")
        await ada.reads("Ready to train mochi")
        await ada.presses("🚀 Start training")
        status = await ada.reads("in the queue, place 1")
        await ada.reads("Training is ordered")
        shown = f"{status.channel}:{status.number}"
        await eventually(lambda: _is_shown(database, ada, shown))
    job = await job_of(database, ada)
    assert (job.state, job.name, job.params.trigger) == (JobState.QUEUED, "mochi", "mochix")
    assert len(job.photos) == 9
    assert status.channel == ada.dm.number
    # The panel, and the status: nothing else was left behind.
    assert len(ada.sees) == 2
    assert ada.failed == 0


async def test_in_direct_messages_words_and_photos_are_enough(bot: Start, ada: Member) -> None:
    async with bot():
        await ada.sends_photos(3)
        await ada.reads("Before I look at your photos")
        await ada.presses("I agree – start")
        await ada.reads("What should it learn?")
        await ada.presses("A person")
        await ada.reads("short name")
        await ada.says("mochi_1")
        await ada.reads("trigger word")
        await ada.says("mochix")
        tally = await ada.reads("mochi_1 – 3 photos")
        assert not tally.only_for
        assert "📎 Add photos" not in tally.labels
        await ada.sends_photos(photos(2, first=3))
        await ada.reads("5 photos")


async def test_without_consent_nothing_begins(bot: Start, ada: Member) -> None:
    async with bot():
        opened = await ada.types("train")
        await ada.fills(opened, name="mochi", kind="person", photos=photos(1), agree=False)
        await ada.reads("Without your consent")
        again = await ada.types("train")
        assert again.form


async def test_a_name_that_cannot_be_used_is_asked_for_once_more(bot: Start, ada: Member) -> None:
    async with bot():
        opened = await ada.types("train")
        await ada.fills(opened, name="my dog", kind="thing", agree=True)
        await ada.reads("2–32 letters")
        written = await ada.presses("✏️ Write…")
        await ada.fills(written, words="mydog")
        await ada.reads("trigger word")


async def test_more_photos_come_through_a_form(bot: Start, ada: Member) -> None:
    async with bot():
        await orders(ada, photos(2))
        first = await ada.reads("2 photos")
        opened = await ada.presses("📎 Add photos")
        await ada.fills(opened, photos=photos(3, first=2))
        await ada.reads("5 photos")
        assert first.only_for == ada.number
        assert len(ada.sees) == 1


async def test_train_goes_back_to_the_draft(bot: Start, ada: Member) -> None:
    async with bot():
        await orders(ada, photos(2))
        await ada.reads("2 photos")
        again = await ada.types("train")
        assert not again.form
        await ada.until(lambda: len(ada.sees) == 1 and "draft" in ada.sees[0].text)


async def test_buttons_live_on_after_a_restart(bot: Start, ada: Member, database: Database) -> None:
    async with bot():
        await orders(ada, photos(9))
        await ada.reads("9 photos")
        await eventually(lambda: _nothing_lags(database))
    async with bot():
        await ada.presses("✅ Done – use 9")
        await ada.reads("Ready to train mochi")
    assert len(ada.sees) == 1
    assert ada.failed == 0


async def test_a_panel_too_old_to_be_changed_comes_back_with_the_next_press(
    bot: Start, ada: Member, api: DiscordApi
) -> None:
    async with bot():
        await orders(ada, photos(9))
        await ada.reads("9 photos")
        api.world.ahead_s = 16 * 60
        await ada.says("hello")
        # Nobody can change the old one any more: the panel goes where it lasts.
        await ada.until(lambda: any(not one.only_for for one in ada.sees))
        await ada.presses("✅ Done – use 9", on=ada.sees[0])
        await ada.reads("Ready to train mochi")
    assert ada.failed == 0


async def test_another_draft_is_not_touched_by_a_strangers_press(
    bot: Start, ada: Member, api: DiscordApi
) -> None:
    ben = api.person("Ben")
    async with bot():
        await orders(ada, photos(9))
        panel = await ada.reads("9 photos")
        await ben.presses("✅ Done – use 9", on=panel)
        await ben.reads("menu is old")
        await ada.presses("✅ Done – use 9")
        await ada.reads("Ready to train mochi")


async def test_many_photos_are_a_menu(bot: Start, ada: Member) -> None:
    async with bot():
        await orders(ada, photos(10))
        for first in (10, 20):
            await ada.reads(f"{first} photos")
            opened = await ada.presses("📎 Add photos")
            await ada.fills(opened, photos=photos(10 if first == 10 else 5, first=first))
        await ada.reads("25 photos")
        await ada.presses("🖼 All photos")
        sheet = await ada.reads("25 of 25 in use")
        assert sheet.shows_picture
        await ada.presses("✅ 2") if sheet.buttons and "✅ 2" in sheet.labels else await ada.picks(
            "✅ 2"
        )
        await ada.reads("24 of 25 in use")


# --- where people cannot be written to -----------------------------------------------------------


async def test_closed_direct_messages_make_a_private_thread(
    bot: Start, ada: Member, api: DiscordApi, database: Database, tmp_path: Path
) -> None:
    api.world.closed.add(ada.number)
    async with bot():
        await orders(ada, photos(9))
        await ada.reads("9 photos")
        await ada.presses("✅ Done – use 9")
        await ada.reads("Ready to train mochi")
        await ada.presses("🚀 Start training")
        status = await ada.reads("in the queue, place 1")
        await ada.reads("private thread")
        thread = api.world.channels[status.channel]
        assert (thread.parent, thread.members) == (api.town.number, {ada.number})
        shown = f"{status.channel}:{status.number}"
        await eventually(lambda: _is_shown(database, ada, shown))
    async with bot():
        job_id = await waits_for_its_chat(database, ada.name, tmp_path, WEIGHTS)
        await eventually(lambda: _is_done(database, job_id))
    (result,) = [one for one in ada.sees if one.files]
    assert result.channel == status.channel


async def test_where_neither_is_possible_the_person_is_told(
    bot: Start, ada: Member, api: DiscordApi, database: Database, tmp_path: Path
) -> None:
    api.world.closed.add(ada.number)
    api.town.threads_allowed = False
    job_id = await waits_for_its_chat(database, ada.name, tmp_path, WEIGHTS)
    async with bot():
        await eventually(lambda: _is_done(database, job_id))
        assert ada.sees == []
        await ada.types("models", "mochi")
        panel = await ada.reads("Trigger word")
        await ada.presses(panel.labels[0])
        # As an answer it still reaches the one who waits for it.
        await ada.reads("allow direct messages")
        await ada.until(lambda: any(one.files and one.only_for for one in ada.sees))


# --- the file ------------------------------------------------------------------------------------


async def test_a_finished_file_comes_as_a_direct_message_that_rings(
    bot: Start, ada: Member, database: Database, tmp_path: Path
) -> None:
    job_id = await waits_for_its_chat(database, ada.name, tmp_path, WEIGHTS)
    async with bot():
        await eventually(lambda: _is_done(database, job_id))
    (result,) = [one for one in ada.sees if one.files]
    assert result.files == {"mochi.safetensors": WEIGHTS}
    assert (result.channel, result.silent) == (ada.dm.number, False)
    assert all(one.silent for one in ada.sees if one is not result)


async def test_a_file_that_is_refused_as_too_large_becomes_a_link(
    api: DiscordApi, ada: Member, database: Database, cells: Cells, tmp_path: Path
) -> None:
    api.world.out_file_bytes = 5
    job_id = await waits_for_its_chat(database, ada.name, tmp_path, WEIGHTS)
    bot = starter(api, database, cells, tmp_path, public_url="https://loras.example")
    async with bot():
        await eventually(lambda: _is_done(database, job_id))
    links = [one["url"] for shown in ada.sees for one in shown.buttons if one.get("url")]
    assert len(links) == 1
    assert links[0].startswith("https://loras.example/")
    assert not any(one.files for one in ada.sees)


async def test_a_file_whose_sending_had_no_answer_is_there_once(
    bot: Start, ada: Member, api: DiscordApi, database: Database, tmp_path: Path
) -> None:
    job_id = await waits_for_its_chat(database, ada.name, tmp_path, WEIGHTS)
    async with bot():
        api.lose_answer("create")
        await eventually(lambda: _is_done(database, job_id))
    assert len([one for one in ada.sees if one.files]) == 1


# --- what goes wrong on the way ------------------------------------------------------------------


async def test_what_came_while_the_line_was_dead_is_heard_after_a_resume(
    bot: Start, ada: Member, api: DiscordApi
) -> None:
    async with bot():
        await orders(ada, photos(2))
        await ada.reads("2 photos")
        api.gateway.lose = True
        await ada.sends_photos(photos(3, first=2))
        await api.gateway.cut()
        await ada.reads("5 photos")
        await api.gateway.repeat(3)
        await ada.sends_photos(photos(1, first=5))
        await ada.reads("6 photos")
    assert (api.gateway.identified, api.gateway.resumed) == (1, 1)


async def test_photos_that_came_while_the_bot_was_away_are_found(bot: Start, ada: Member) -> None:
    async with bot():
        await ada.sends_photos(1)
        await ada.reads("Before I look at your photos")
        await ada.presses("I agree – start")
        await ada.reads("What should it learn?")
        await ada.presses("A person")
        await ada.reads("short name")
    await ada.sends_photos(photos(3, first=1))
    async with bot():
        await ada.reads("4 photos so far")


async def test_a_file_that_is_too_large_is_explained(bot: Start, ada: Member) -> None:
    async with bot():
        await orders(ada, photos(1))
        await ada.reads("1 photo")
        opened = await ada.presses("📎 Add photos")
        big = ada.upload(b"", "IMG.png", size=99_000_000)
        await ada.fills(opened, photos=[big])
        shown = await ada.reads("too large")
    assert "99 MB" in shown.text


async def test_what_is_no_picture_is_explained(bot: Start, ada: Member) -> None:
    async with bot():
        await ada.says("", [ada.upload(b"%PDF", "notes.pdf", "application/pdf")])
        await ada.reads("is not a photo")


async def test_an_address_that_is_no_longer_there_is_explained(
    bot: Start, ada: Member, api: DiscordApi
) -> None:
    async with bot():
        await orders(ada, photos(1))
        await ada.reads("1 photo")
        gone = ada.upload(b"x")
        api.cdn.clear()
        opened = await ada.presses("📎 Add photos")
        await ada.fills(opened, photos=[gone])
        await ada.reads("didn't arrive")


async def test_a_refused_message_silences_nobody_else(
    bot: Start, ada: Member, api: DiscordApi
) -> None:
    api.refuse("follow_up", refusals.EXPIRED)
    api.refuse("change_answer", refusals.UNKNOWN_WEBHOOK)
    async with bot():
        await ada.types("status")
        told = await ada.reads("nothing in training")
    assert told.channel == ada.dm.number


async def test_in_a_server_only_who_asked_reads_their_status(
    bot: Start, ada: Member, database: Database
) -> None:
    async with database.write() as tx:
        await job_store.add(tx, make_job(chat=ada.name, person=ada.name))
    async with bot():
        await ada.types("status")
        # The job's own status message says it in private as well.
        await ada.until(lambda: len([one for one in ada.sees if "place 1" in one.text]) == 2)
    in_town = [one for one in ada.sees if one.channel == ada.town.number]
    assert [(one.only_for, "place 1" in one.text) for one in in_town] == [(ada.number, True)]
    assert ada.failed == 0


async def _is_done(database: Database, job_id: str) -> bool:
    async with database.read() as tx:
        job = await job_store.get(tx, job_id)
    return job is not None and job.state is JobState.DONE


async def _is_shown(database: Database, person: Member, ref: str) -> bool:
    return (await job_of(database, person)).status_ref == ref


async def _nothing_lags(database: Database) -> bool:
    async with database.read() as tx:
        waiting = await inbox_store.pending(tx, "dc")
        return not waiting and not await conversation_store.unshown(tx, ["dc"])
