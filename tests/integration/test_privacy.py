"""Consent, days, exports and good-byes, with the whole bot in this process."""

import json
import time
import zipfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bot.events import Choice, Command, Filled, Text
from bot.frontend import Message
from pictures.sandbox import Cells
from storage import (
    consent_store,
    conversation_store,
    job_lists,
    job_store,
    look_store,
    people_store,
)
from storage.blob_store import LocalBlobs, photo_key
from storage.database import Database
from storage.job import Job, JobState
from storage.settings import Settings
from tests.chatting import ME, YOU, Open, finish, opener
from tests.conftest import eventually
from tests.drawn import photos
from tests.fakes import FakeFrontend

DAY_S = 24 * 3600.0
LAST_WORD = "everything else that I kept of you"


@pytest.fixture
def network() -> FakeFrontend:
    return FakeFrontend()


@pytest.fixture
def bot(database: Database, cells: Cells, tmp_path: Path, network: FakeFrontend) -> Open:
    return opener(Settings(data_dir=tmp_path), database, network, cells)


def photo_files(folder: Path) -> set[str]:
    return {one.name for one in (folder / "blobs" / "photos").rglob("*") if one.is_file()}


async def given(database: Database, person: str = ME) -> list[consent_store.Consent]:
    async with database.read() as tx:
        return await consent_store.of_person(tx, person)


async def test_the_question_comes_before_the_first_draft_and_once(
    bot: Open, database: Database
) -> None:
    async with bot() as chat:
        await chat.do(Command("train"))
        await chat.reads("Before I look at your photos")
        await chat.do(Text("person"))
        await chat.reads("didn't expect")
        assert not await given(database)
        await chat.press("I agree")
        await chat.reads("What should it learn?")
        [consent] = await given(database)
        assert consent.policy == "1"
        assert abs(consent.given_at - time.time()) < 60
        await chat.do(Command("cancel"))
        await chat.do(Command("train"))
        assert [one.given_at for one in await given(database)] == [consent.given_at]

        async def asked_the_next() -> bool:
            return "What should it learn?" in chat.network.last(ME).text

        await eventually(asked_the_next)


async def test_another_policy_is_asked_for_again(
    bot: Open, database: Database, cells: Cells, tmp_path: Path, network: FakeFrontend
) -> None:
    async with bot() as chat:
        await chat.do(Command("train"))
        await chat.press("I agree")
        await chat.do(Command("cancel"))
    changed = Settings(data_dir=tmp_path, policy_version="2", policy_url="https://rules.example")
    async with opener(changed, database, network, cells)() as chat:
        await chat.do(Command("train"))

        async def policy() -> bool:
            rows = chat.network.last(ME).buttons
            return any(one.url == "https://rules.example" for row in rows for one in row)

        await eventually(policy)
        await chat.press("I agree")

        async def both() -> bool:
            return [one.policy for one in await given(database)] == ["1", "2"]

        await eventually(both)


async def test_photos_that_come_first_are_kept_and_nobody_looks_at_them(
    bot: Open, database: Database
) -> None:
    async with bot() as chat:
        await chat.send(*photos(3))
        await chat.reads("3 photos so far")
        async with database.write() as tx:
            assert await look_store.claim(tx, now=time.time(), hold_s=1) is None
        await chat.press("I agree")

        async def claimed() -> str | None:
            async with database.write() as tx:
                return await look_store.claim(tx, now=time.time(), hold_s=0)

        assert await eventually(claimed)
        await chat.reads("3 photos so far")


async def test_whoever_does_not_agree_leaves_nothing_behind(
    bot: Open, database: Database, tmp_path: Path
) -> None:
    async with bot() as chat:
        await chat.send(*photos(2))
        await chat.reads("2 photos so far")
        assert len(photo_files(tmp_path)) == 2
        await chat.press("Not now")
        await chat.reads("Deleted")
        assert not photo_files(tmp_path)
        assert not await given(database)


async def test_a_tick_in_a_form_is_consent_with_its_time(bot: Open, database: Database) -> None:
    async with bot() as chat:
        await chat.do(Filled(name="mochi", kind="person", base="demo", consent=False))
        await chat.reads("Without your consent")
        assert not await given(database)
        await chat.do(Filled(name="mochi", kind="person", base="demo", consent=True))
        await chat.reads("Now send me")
        assert len(await given(database)) == 1


async def test_a_form_answers_the_open_question(bot: Open, database: Database) -> None:
    async with bot() as chat:
        await chat.do(Command("train"))
        await chat.reads("Before I look")
        await chat.do(Filled(name="mochi", kind="person", base="demo", consent=False))
        assert not await given(database)
        await chat.do(Filled(name="mochi", kind="person", base="demo", consent=True))
        assert len(await given(database)) == 1


# --- days ----------------------------------------------------------------------------------------


async def ended(chat_of: Open, database: Database, tmp_path: Path) -> Job:
    """One training from the first word to the file."""
    async with chat_of() as chat:
        await chat.do(Command("train"))
        await chat.press("I agree")
        job = await chat.order()
        await finish(database, tmp_path, job)
        return await chat.until_done(job)


async def test_photos_go_after_their_days_and_the_model_stays(
    bot: Open, database: Database, tmp_path: Path
) -> None:
    job = await ended(bot, database, tmp_path)
    assert job.finished_at is not None
    async with bot() as chat:
        janitor = chat.bot.dialogue.registrar.janitor
        await janitor.sweep(job.finished_at + 6.9 * DAY_S)
        assert len(photo_files(tmp_path)) == 8
        await janitor.sweep(job.finished_at + 7.1 * DAY_S)
        assert not photo_files(tmp_path)
        async with database.read() as tx:
            keys = [photo.sha256 for photo in job.photos]
            assert not await look_store.get(tx, keys)
            kept = await job_store.get(tx, job.id)
        assert kept is not None
        assert kept.artifact == job.artifact


async def test_a_photo_that_a_newer_draft_uses_stays(
    bot: Open, database: Database, tmp_path: Path
) -> None:
    job = await ended(bot, database, tmp_path)
    assert job.finished_at is not None
    async with bot() as chat:
        await chat.send(photos(8)[0])
        await chat.reads("1 photo so far")
        janitor = chat.bot.dialogue.registrar.janitor
        later = job.finished_at + 7.1 * DAY_S
        async with database.write() as tx:
            stored = await conversation_store.load(tx, ME)
            assert stored is not None
            await conversation_store.save(tx, ME, stored.text, now=later)
        await janitor.sweep(later)
        assert photo_files(tmp_path) == {job.photos[0].sha256}
        # The draft ends: now nobody names it any more, though the old row still does.
        await chat.do(Command("cancel"))
        await chat.press("Delete it")

        async def gone() -> bool:
            return not photo_files(tmp_path)

        await eventually(gone)


async def test_a_forgotten_draft_is_deleted_and_its_chat_is_told(bot: Open, tmp_path: Path) -> None:
    async with bot() as chat:
        await chat.do(Command("train"))
        await chat.press("I agree")
        await chat.draft()
        await chat.send(*photos(2))
        await chat.reads("2 photos")
        janitor = chat.bot.dialogue.registrar.janitor
        await janitor.sweep(time.time() + 2.9 * DAY_S)
        assert len(photo_files(tmp_path)) == 2
        await janitor.sweep(time.time() + 3.1 * DAY_S)
        await chat.reads("lay untouched")
        assert not photo_files(tmp_path)
        await chat.do(Command("status"))
        await chat.reads("no draft and nothing in training")


async def test_what_no_row_knows_is_found(bot: Open, tmp_path: Path) -> None:
    """A process died between the file and its row, or between the row's end and the file's."""
    blobs = LocalBlobs(tmp_path / "blobs")
    await blobs.put(photo_key("0" * 64), b"nobody's")
    half = blobs.path(photo_key("0" * 64)).parent / ".new-abc"
    half.write_bytes(b"half")
    async with bot() as chat:
        janitor = replace(chat.bot.dialogue.registrar.janitor)
        await janitor.sweep(time.time())
        assert half.exists()
        janitor = replace(chat.bot.dialogue.registrar.janitor, _strays_at=0.0)
        await janitor.sweep(time.time() + 1.1 * DAY_S)
        assert not photo_files(tmp_path)
        assert not half.exists()


# --- wishes --------------------------------------------------------------------------------------


async def test_privacy_tells_what_is_here(bot: Open, database: Database, tmp_path: Path) -> None:
    await ended(bot, database, tmp_path)
    async with bot() as chat:
        await chat.do(Command("privacy"))
        await chat.reads("Your photos here: 8")
        await chat.reads("Your models here: 1")
        await chat.reads("deleted 7 days after")


async def test_photos_of_one_training_go_on_request(
    bot: Open, database: Database, tmp_path: Path
) -> None:
    job = await ended(bot, database, tmp_path)
    async with bot() as chat:
        await chat.do(Choice("dropphotos", job.id, ""), YOU)
        await chat.reads("no photos of that training", YOU)
        assert len(photo_files(tmp_path)) == 8
        await chat.do(Command("delete"))
        await chat.press("Photos of mochi")
        await chat.reads("photos of mochi are deleted")

        async def gone() -> bool:
            return not photo_files(tmp_path)

        await eventually(gone)


async def test_to_be_forgotten_takes_everything(
    bot: Open, database: Database, tmp_path: Path
) -> None:
    job = await ended(bot, database, tmp_path)
    assert job.artifact is not None
    async with bot() as chat:
        await chat.do(Command("train"), YOU)
        await chat.press("I agree", YOU)
        waiting = await chat.order(YOU)
        running = await chat.order(ME, "pudding")
        owner = job_store.Owner(name="w", host="h", boot_id="b", pid=1)
        async with database.write() as tx:
            held = await job_store.claim(tx, owner, lease_s=99, now=time.time(), job_id=running.id)
        assert held is not None
        await chat.do(Command("delete"))
        await chat.press("Delete everything")
        await chat.reads("What is in training now is stopped")
        await chat.press("No, keep it")
        await chat.reads("everything stays")
        await chat.do(Command("delete"))
        await chat.press("Delete everything")
        await chat.press("Yes, delete")

        async def told() -> bool:
            async with database.read() as tx:
                found = await job_store.get(tx, running.id)
            return found is not None and found.cancel_requested

        await eventually(told)
        # Its worker lets go.
        async with database.write() as tx:
            assert await job_store.enter(
                tx, held.id, held.fence, JobState.CANCELLED, now=time.time()
            )
        await chat.reads("everything else that I kept of you")
        async with database.read() as tx:
            assert not await job_lists.of_person(tx, ME)
            assert not await people_store.get(tx, [ME])
            assert await conversation_store.load(tx, ME) is None
            # Nobody else loses anything.
            [theirs] = await job_lists.of_person(tx, YOU)
        assert theirs.id == waiting.id
        assert not await given(database)
        assert photo_files(tmp_path) == {one.sha256 for one in theirs.photos}
        assert not (tmp_path / "blobs" / "artifacts" / job.id).exists()


async def test_an_export_holds_what_is_stored_and_nothing_of_others(
    bot: Open, database: Database, tmp_path: Path
) -> None:
    job = await ended(bot, database, tmp_path)
    async with bot() as chat:
        await chat.do(Command("train"), YOU)
        await chat.do(Command("export"))

        async def packed() -> Path | None:
            files = [one.file for one in chat.network.chats[ME].values() if one.file]
            found = [one for one in files if one.name.startswith("lorabot-data")]
            return found[0].path if found else None

        path = await eventually(packed)
        assert isinstance(path, Path)
        with zipfile.ZipFile(path) as archive:
            data = json.loads(archive.read("data.json"))
            pictures = [name for name in archive.namelist() if name.startswith("photos/")]
            originals = {archive.read(name) for name in pictures}
        assert originals == set(photos(8))
        assert data["person"]["id"] == ME
        assert [one["id"] for one in data["trainings"]] == [job.id]
        assert data["consents"][0]["policy"] == "1"
        assert YOU not in json.dumps(data)


async def test_a_large_export_comes_in_parts(
    bot: Open, database: Database, cells: Cells, tmp_path: Path
) -> None:
    await ended(bot, database, tmp_path)
    size = max(len(one) for one in photos(8))
    small = FakeFrontend()
    small.limits = replace(small.limits, out_file_bytes=3 * size + 20_000)
    settings = Settings(data_dir=tmp_path)
    async with opener(settings, database, small, cells)() as chat:
        await chat.do(Command("export"))

        async def all_parts() -> list[Path] | None:
            files = [one.file for one in small.chats[ME].values() if one.file]
            names: list[str] = []
            for one in files:
                with zipfile.ZipFile(one.path) as archive:
                    names += [name for name in archive.namelist() if name.startswith("photos/")]
            return [one.path for one in files] if len(names) == 8 else None

        parts = await eventually(all_parts)
        assert isinstance(parts, list)
        assert len(parts) > 1
        assert all(one.stat().st_size <= small.limits.out_file_bytes for one in parts)


async def test_whoever_asks_to_be_forgotten_amid_a_sweep_waits_for_no_other(
    database: Database, cells: Cells, tmp_path: Path
) -> None:
    class Crowded(FakeFrontend):
        """While somebody hears the last word, the next one asks."""

        asks: list[Callable[[], Awaitable[None]]]

        async def send(self, chat: str, message: Message, *, key: str) -> str:
            if LAST_WORD in message.text and self.asks:
                await self.asks.pop()()
            return await super().send(chat, message, key=key)

    network = Crowded()
    async with opener(Settings(data_dir=tmp_path), database, network, cells)() as chat:
        network.asks = [partial(chat.do, Choice("forgetnow"), YOU)]
        await chat.do(Choice("forgetnow"), ME)
        await chat.reads(LAST_WORD, ME)
        await chat.reads(LAST_WORD, YOU)
