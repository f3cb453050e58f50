"""Letters that come once and silently: a draft that waits, a model that is asked about."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.clock import DAY_S, HOUR_S
from bot.frontends.telegram import Telegram
from lorabot.compose import assemble
from pictures.sandbox import Cells
from storage import conversation_store, job_store, look_store, nudge_store, preference_store
from storage.blob_store import LocalBlobs, photo_key
from storage.database import Database
from storage.job import Job, JobState, Photo, SavedStep
from storage.preferences import Pings, Preferences
from storage.settings import Settings
from tests.bot_api import BotApi, Person
from tests.bot_api.adapter import Start, brisk, up_to_the_photos
from tests.conftest import eventually
from tests.drawn import photos
from tests.jobs import PARAMS, make_job
from tests.loras import publish, weights


def count(person: Person, words: str) -> int:
    return sum(words in one.text for one in person.sees)


# --- drafts --------------------------------------------------------------------------------------


async def test_a_draft_is_remembered_once_silently_and_gone_on_with(
    bot: Start, ada: Person
) -> None:
    async with bot() as running:
        await up_to_the_photos(ada)
        await ada.sends_photos(2)
        await ada.reads("2 photos")
        now = time.time()
        await running.nudger.look(now + 23 * HOUR_S)
        await running.nudger.look(now + 25 * HOUR_S)
        shown = await ada.reads("Your draft mochi with 2 photos is waiting.")
        assert "I'll delete it in 2 days." in shown.text
        assert shown.silent
        await running.nudger.look(now + 40 * HOUR_S)
        await ada.presses("Continue")
        await eventually(lambda: _last_says(ada, "2 photos"))
        await running.nudger.look(now + 55 * HOUR_S)
        assert count(ada, "is waiting") == 1


async def test_a_reminders_button_deletes_after_one_question(
    bot: Start, ada: Person, database: Database
) -> None:
    async with bot() as running:
        await up_to_the_photos(ada)
        await running.nudger.look(time.time() + 30 * HOUR_S)
        await ada.reads("Your draft mochi with 0 photos")
        await ada.presses("Delete now")
        await eventually(lambda: _last_says(ada, "Delete the draft"))
        await ada.presses("Delete it")
        await ada.reads("Deleted")
        await running.nudger.look(time.time() + 60 * HOUR_S)
        # An old button of the reminder is answered, too.
        await ada.presses("Continue")
        await ada.reads("This menu is old")
    async with database.read() as tx:
        stored = await conversation_store.load(tx, ada.name)
    assert stored is not None
    assert '"idle"' in stored.text


async def test_whoever_wants_no_reminders_gets_none(
    bot: Start, ada: Person, database: Database
) -> None:
    async with database.write() as tx:
        await preference_store.put(tx, ada.name, Preferences(pings=Pings.RESULT))
    async with bot() as running:
        await up_to_the_photos(ada)
        await running.nudger.look(time.time() + 30 * HOUR_S)
        await ada.says("/status")
        await ada.reads("Draft")
    assert count(ada, "is waiting") == 0


async def test_a_draft_that_ends_too_soon_is_not_remembered(
    api: BotApi, ada: Person, database: Database, cells: Cells, tmp_path: Path
) -> None:
    """With a day for drafts, the reminder would come when it is gone."""
    settings = Settings(data_dir=tmp_path, consent="never", draft_days=1)
    frontend = brisk(Telegram(api.token, api_url=api.url, database=database))
    running = assemble(settings, database, [frontend], cells)
    async with database.write() as tx:
        await conversation_store.save(tx, ada.name, '{"state": "kind", "draft": "D"}', now=0.0)
    for hours in (1, 23, 24, 25):
        await running.nudger.look(hours * HOUR_S)
    async with database.write() as tx:
        assert await nudge_store.first(tx, nudge_store.DRAFT, "D", ada.name, now=1.0)
    await running.doorbell.close()


# --- models --------------------------------------------------------------------------------------


async def trained(database: Database, folder: Path, owner: Person, **changes: Any) -> Job:
    """Delivered just now, with its photos."""
    blobs = LocalBlobs(folder / "blobs")
    kept = []
    async with database.write() as tx:
        for number, data in enumerate(photos(9), start=1):
            sha256 = f"{number:064x}"
            await blobs.put(photo_key(sha256), data)
            await look_store.put(tx, sha256, "{}", owner.name, now=1.0)
            kept.append(Photo(sha256=sha256, number=number, file_bytes=len(data)))
    ready: dict[str, Any] = {
        "state": JobState.DONE,
        "sent_version": 1,
        "photos": tuple(kept),
        "finished_at": time.time(),
    }
    job = make_job(**({"chat": owner.name, "person": owner.name} | ready | changes))
    return await publish(database, blobs, job, weights())


async def said(database: Database, job: Job) -> str:
    async with database.read() as tx:
        return (await nudge_store.answers(tx, [job.id])).get(job.id, "")


async def test_the_day_after_it_is_asked_once_and_silently(
    bot: Start, ada: Person, database: Database, tmp_path: Path
) -> None:
    job = await trained(database, tmp_path, ada)
    async with bot() as running:
        await running.nudger.look(time.time() + 5 * HOUR_S)
        await running.nudger.look(time.time() + 21 * HOUR_S)
        shown = await ada.reads("Are you happy with mochi?")
        assert shown.silent
        await running.nudger.look(time.time() + 22 * HOUR_S)
        await ada.presses("👍 Yes")
        await ada.reads("Good to hear!")
        await eventually(lambda: _answered(database, job, "good"))
        assert "Train again…" in ada.sees[-1].labels
        assert count(ada, "Are you happy") == 1


@pytest.mark.parametrize(
    ("steps", "said_and_read"),
    [
        (1, ("Not like it", "Try weight 1.0", "Train again, longer", "● Thorough")),
        (9999, ("Not like it", "trained long enough", "Use its photos", "")),
        (9999, ("Burnt, too strong", "weight 0.6", "Train again, shorter", "● Quick")),
        (1, ("Burnt, too strong", "weight 0.5", "Use its photos", "")),
    ],
)
async def test_each_answer_has_a_next_step_and_a_training_prepared(
    bot: Start,
    ada: Person,
    database: Database,
    tmp_path: Path,
    steps: int,
    said_and_read: tuple[str, str, str, str],
) -> None:
    answer, step, button, quality = said_and_read
    await trained(database, tmp_path, ada, params=replace(PARAMS, max_steps=steps))
    async with bot() as running:
        await running.nudger.look(time.time() + 21 * HOUR_S)
        await ada.reads("Are you happy")
        await ada.presses(answer)
        await ada.reads(step)
        await ada.presses(button)
        shown = await ada.reads("Ready to train mochi_2" if quality else "short name")
        assert not quality or any(label.startswith(quality) for label in shown.labels)


async def test_whoever_finds_it_too_strong_is_offered_an_earlier_version(
    bot: Start, ada: Person, database: Database, tmp_path: Path
) -> None:
    saved = (SavedStep(step=5, key="artifacts/x", sha256="ab" * 32, file_bytes=1),)
    await trained(database, tmp_path, ada, saved=saved)
    async with bot() as running:
        await running.nudger.look(time.time() + 21 * HOUR_S)
        await ada.reads("Are you happy")
        await ada.presses("Burnt, too strong")
        await ada.reads("weight 0.")
        await ada.presses("Other versions")
        await ada.reads("other versions from the same training")


async def test_without_photos_it_says_so(
    bot: Start, ada: Person, database: Database, tmp_path: Path
) -> None:
    job = await trained(database, tmp_path, ada)
    async with database.write() as tx:
        await look_store.delete(tx, [photo.sha256 for photo in job.photos])
    async with bot() as running:
        await running.nudger.look(time.time() + 21 * HOUR_S)
        await ada.reads("Are you happy")
        await ada.presses("Not like it")
        await ada.reads("no longer here")
        assert "Train a model" in "".join(ada.sees[-1].labels)


async def test_five_models_make_one_question(
    bot: Start, ada: Person, database: Database, tmp_path: Path
) -> None:
    for number in range(5):
        await trained(database, tmp_path, ada, name=f"m{number}", finished_at=1000.0 + number)
    async with bot() as running:
        for hours in (21, 30, 60):
            await running.nudger.look(1000.0 + hours * HOUR_S)
        await ada.reads("Are you happy with m4?")
        assert count(ada, "Are you happy") == 1


@pytest.mark.parametrize(
    "changes",
    [{"state": JobState.CANCELLED}, {"finished_at": 0.0}, {"chat": "dc:5", "person": "dc:5"}],
)
async def test_what_is_not_there_any_more_is_not_asked_about(
    bot: Start, ada: Person, database: Database, tmp_path: Path, changes: dict[str, Any]
) -> None:
    job = await trained(database, tmp_path, ada, **changes)
    async with bot() as running:
        await running.nudger.look(4 * DAY_S if "finished_at" in changes else time.time() + DAY_S)
    async with database.write() as tx:
        assert await nudge_store.first(tx, nudge_store.RATE, job.id, job.chat, now=1.0)


async def test_a_stranger_rates_nothing(
    bot: Start, api: BotApi, ada: Person, database: Database, tmp_path: Path
) -> None:
    job = await trained(database, tmp_path, ada)
    eve = api.person("Eve")
    async with bot() as running:
        await running.nudger.look(time.time() + 21 * HOUR_S)
        await ada.reads("Are you happy")
        await eve.says("/start")
        shown = await eve.reads("Hi!")
        for answer in ("good", "unlike"):
            eve.presses_data(shown, f"rate:{job.id}:{answer}")
        eve.presses_data(shown, f"step:{job.id}:5")
        eve.presses_data(shown, f"steps:{job.id}:")
        await eventually(lambda: _counts(eve, "no longer", 4))
    assert await said(database, job) == ""


async def test_to_be_forgotten_takes_settings_marks_and_answers(
    bot: Start, ada: Person, database: Database, tmp_path: Path
) -> None:
    job = await trained(database, tmp_path, ada)
    async with database.write() as tx:
        await preference_store.put(tx, ada.name, Preferences(quality="quick"))
    async with bot() as running:
        await running.nudger.look(time.time() + 21 * HOUR_S)
        await ada.reads("Are you happy")
        await ada.presses("👍 Yes")
        await eventually(lambda: _answered(database, job, "good"))
        await ada.says("/delete")
        await ada.presses_when("Delete everything about me")
        await ada.presses_when("Yes, delete everything")
        await ada.reads("everything else that I kept")
    assert await said(database, job) == ""
    async with database.read() as tx:
        assert await preference_store.get(tx, ada.name) == Preferences()
        assert await job_store.get(tx, job.id) is None


async def _answered(database: Database, job: Job, answer: str) -> bool:
    return await said(database, job) == answer


async def _last_says(person: Person, words: str) -> bool:
    return words in person.sees[-1].text


async def _counts(person: Person, words: str, expected: int) -> bool:
    return count(person, words) == expected
