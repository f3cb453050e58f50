"""The whole bot behind the real adapter: what a person sees from /train to the queue."""

import io
import zipfile
from pathlib import Path

import pytest

from storage import inbox_store, job_lists, job_store
from storage.database import Database
from storage.job import Job, JobState
from tests.bot_api import BotApi, Person
from tests.bot_api.adapter import Start, start_process, up_to_the_photos
from tests.conftest import eventually
from tests.drawn import photos
from tests.jobs import waits_for_its_chat

ALBUM = 10
WEIGHTS = b"safetensors"


async def job_of(database: Database, person: Person) -> Job:
    async with database.read() as tx:
        (job,) = await job_lists.of_person(tx, person.name)
    return job


def zipped(pictures: list[bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number, picture in enumerate(pictures):
            archive.writestr(f"{number}.png", picture)
    return out.getvalue()


async def test_a_person_orders_a_training(
    bot: Start, ada: Person, api: BotApi, database: Database
) -> None:
    api.files.download_s = 0.05
    async with bot():
        await up_to_the_photos(ada)
        await ada.sends_photos(ALBUM)
        await ada.reads("10 photos")
        await ada.presses("✅ Done – use 10")
        await ada.reads("Ready to train mochi")
        await ada.presses("🚀 Start training")
        status = await ada.reads("in the queue, place 1")
        await eventually(lambda: _all_done(database))
    job = await job_of(database, ada)
    assert (job.state, job.name, len(job.photos)) == (JobState.QUEUED, "mochi", ALBUM)
    assert job.status_ref == str(status.message_id)
    assert api.files.most_at_once > 1
    # Two typed answers and the album put the panel below them; all else edits it.
    assert len(ada.sees) == 4
    assert len(api.methods.answered) == 3


async def test_all_photos_are_shown_as_one_picture_and_one_is_taken_out(
    bot: Start, ada: Person
) -> None:
    async with bot():
        await up_to_the_photos(ada)
        await ada.sends_photos(3)
        await ada.reads("3 photos")
        await ada.presses("🖼 All photos")
        sheet = await ada.reads("3 of 3 in use")
        before, count = sheet.data, len(ada.sees)
        assert before.startswith(b"\xff\xd8")
        await ada.presses("✅ 2")
        after = await ada.reads("2 of 3 in use")
        assert len(ada.sees) == count
        assert after.data != before


async def test_photos_may_come_as_one_zip(bot: Start, ada: Person) -> None:
    async with bot():
        await up_to_the_photos(ada)
        await ada.sends_file(zipped(photos(9)), "set.zip", "application/zip")
        await ada.reads("9 photos")


async def test_a_file_that_is_too_large_is_explained(bot: Start, ada: Person) -> None:
    async with bot():
        await up_to_the_photos(ada)
        await ada.sends_file(b"", "set.zip", claimed_bytes=31_000_000)
        shown = await ada.reads("too large")
    assert "31 MB" in shown.text
    assert "20 MB" in shown.text


async def test_a_photo_without_a_draft_starts_one(bot: Start, ada: Person) -> None:
    async with bot():
        await ada.sends_photos(1)
        shown = await ada.reads("What should it learn?")
    assert "A person" in shown.labels


async def test_an_album_survives_a_stop_in_the_middle(
    bot: Start, ada: Person, api: BotApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.frontends.telegram.STOP_S", 0.01)
    async with bot():
        await up_to_the_photos(ada)
        api.files.download_s = 1.0
        await ada.sends_photos(ALBUM)
        await eventually(lambda: _fetching(api))
    api.files.download_s = 0.0
    async with bot():
        await ada.reads("10 photos")


async def test_an_album_survives_a_kill_in_the_middle(api: BotApi, tmp_path: Path) -> None:
    ada = api.person("Ada")
    process = await start_process(api, tmp_path)
    try:
        await up_to_the_photos(ada)
        api.files.download_s = 2.0
        ids = await ada.sends_photos(ALBUM)
        await eventually(lambda: _confirmed(api, ids))
        process.kill()
        await process.wait()
        api.files.download_s = 0.0
        process = await start_process(api, tmp_path)
        await ada.reads("10 photos")
    finally:
        process.kill()
        await process.wait()
    assert api.token not in (tmp_path / "bot.log").read_text()


async def test_two_people_do_not_wait_for_each_other(bot: Start, api: BotApi) -> None:
    api.files.download_s = 0.3
    ada, ben = api.person("Ada"), api.person("Ben")
    async with bot():
        await up_to_the_photos(ada)
        await ada.sends_photos(ALBUM)
        await ben.says("/train")
        await ben.reads("What should it learn?")
        assert not any("10 photos" in one.text for one in ada.sees)
        await ada.reads("10 photos")


async def test_a_finished_file_comes_into_the_chat(
    bot: Start, ada: Person, database: Database, tmp_path: Path
) -> None:
    job_id = await waits_for_its_chat(database, ada.name, tmp_path, WEIGHTS)
    async with bot():
        await eventually(lambda: _is_done(database, job_id))
    files = [one for one in ada.sees if one.file_name]
    assert [(one.file_name, one.data, one.silent) for one in files] == [
        ("mochi.safetensors", WEIGHTS, False)
    ]


async def test_a_file_whose_sending_had_no_answer_is_in_the_chat_once_more_at_most(
    bot: Start, ada: Person, api: BotApi, database: Database, tmp_path: Path
) -> None:
    job_id = await waits_for_its_chat(database, ada.name, tmp_path, WEIGHTS)
    api.cut_answer("sendDocument")
    async with bot():
        await eventually(lambda: _is_done(database, job_id))
    assert api.calls["senddocument"] == 1
    assert all(one.data == WEIGHTS for one in ada.sees)


async def test_a_bot_killed_between_the_result_and_the_end_sends_no_second_one(
    bot: Start, ada: Person, api: BotApi, database: Database, tmp_path: Path
) -> None:
    job_id = await waits_for_its_chat(database, ada.name, tmp_path, WEIGHTS)
    async with database.write() as tx:
        await job_store.mark_sent(tx, job_id, 1, result_ref="77:media")
    async with bot():
        await eventually(lambda: _is_done(database, job_id))
    assert api.calls["senddocument"] == 0


async def test_a_person_who_left_ends_the_delivery(
    bot: Start, ada: Person, database: Database, tmp_path: Path
) -> None:
    job_id = await waits_for_its_chat(database, ada.name, tmp_path, WEIGHTS)
    ada.blocks()
    async with bot():
        await eventually(lambda: _is_done(database, job_id))
    assert ada.sees == []


async def _is_done(database: Database, job_id: str) -> bool:
    async with database.read() as tx:
        job = await job_store.get(tx, job_id)
    return job is not None and job.state is JobState.DONE


async def _confirmed(api: BotApi, ids: list[int]) -> bool:
    return set(ids) <= set(api.feed.confirmed)


async def _fetching(api: BotApi) -> bool:
    return api.files.downloads == ALBUM


async def _all_done(database: Database) -> bool:
    async with database.read() as tx:
        return await inbox_store.pending(tx, "tg") == []
