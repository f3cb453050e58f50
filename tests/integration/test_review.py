"""An operator who wants to see each set before it is trained, and pictures that are never taken."""

import time
from pathlib import Path

import pytest

from bot.events import Choice, Command
from pictures import look
from pictures.sandbox import Cells
from storage import job_store
from storage.database import Database
from storage.job import JobState
from storage.settings import Settings
from tests.chatting import ME, YOU, Chat, Open, opener
from tests.conftest import eventually
from tests.drawn import photos
from tests.fakes import FakeFrontend

ADMIN, SECOND = "tg:9", "tg:8"
WORKER = job_store.Owner(name="w", host="h", boot_id="b", pid=1)


@pytest.fixture
def network() -> FakeFrontend:
    return FakeFrontend()


@pytest.fixture
def bot(database: Database, cells: Cells, tmp_path: Path, network: FakeFrontend) -> Open:
    settings = Settings(
        data_dir=tmp_path,
        consent="never",
        hold_for_review=True,
        admin_ids=frozenset({ADMIN, SECOND}),
    )
    return opener(settings, database, network, cells)


async def claimed(database: Database) -> str:
    async with database.write() as tx:
        job = await job_store.claim(tx, WORKER, lease_s=99, now=time.time())
    return job.id if job else ""


async def state_of(chat: Chat, job_id: str) -> JobState:
    async with chat.database.read() as tx:
        job = await job_store.get(tx, job_id)
    assert job is not None
    return job.state


async def test_nothing_is_trained_before_an_admin_has_seen_it(
    bot: Open, database: Database
) -> None:
    async with bot() as chat:
        job = await chat.order()
        assert job.state is JobState.HELD
        await chat.reads("look at the photos first")
        assert not await claimed(database)
        await chat.reads("wants to train", ADMIN)
        [sheet] = [m for m in chat.network.chats[ADMIN].values() if m.picture]
        assert sheet.picture is not None
        assert sheet.picture.path.read_bytes().startswith(b"\xff\xd8")
        # A stranger's press, and the owner's own, are worth nothing.
        for somebody in (YOU, ME):
            await chat.do(Choice("approve", job.id, ""), somebody)
        assert await state_of(chat, job.id) is JobState.HELD
        await chat.press("Let it train", ADMIN)
        await chat.reads("may train now", ADMIN)
        assert await claimed(database) == job.id
        await chat.press("Refuse it", SECOND)
        await chat.reads("decided already", SECOND)
        assert await state_of(chat, job.id) is JobState.PREPARING


async def test_a_refused_set_is_explained_and_ends(bot: Open, database: Database) -> None:
    async with bot() as chat:
        job = await chat.order()
        await chat.press("Refuse it", ADMIN)
        await chat.reads("decided against training")
        assert await state_of(chat, job.id) is JobState.FAILED
        assert not await claimed(database)


async def test_a_held_set_can_be_cancelled_by_its_owner(bot: Open) -> None:
    async with bot() as chat:
        job = await chat.order()
        await chat.do(Command("cancel"))
        await chat.press("Stop it")
        await chat.reads("cancelled")
        assert await state_of(chat, job.id) is JobState.CANCELLED
        await chat.press("Let it train", ADMIN)
        await chat.reads("decided already", ADMIN)
        assert await state_of(chat, job.id) is JobState.CANCELLED


async def test_an_admins_own_set_needs_nobody(bot: Open) -> None:
    async with bot() as chat:
        job = await chat.order(ADMIN)
        assert job.state is JobState.QUEUED


async def test_a_question_that_a_crash_swallowed_is_asked_again(
    bot: Open, network: FakeFrontend
) -> None:
    async with bot() as chat:
        await chat.order()
        await chat.reads("wants to train", ADMIN)
    network.chats.pop(ADMIN)
    async with bot() as chat:
        await chat.reads("wants to train", ADMIN)


async def test_a_blocked_picture_is_refused_and_not_kept(bot: Open, tmp_path: Path) -> None:
    data = photos(2)
    (tmp_path / "blocklist.txt").write_text(look.key_of(data[0]) + "\n")
    async with bot() as chat:
        await chat.draft()
        await chat.send(*data)
        await chat.reads("breaks this server's rules")

        async def kept() -> bool:
            files = (tmp_path / "blobs" / "photos").rglob("*")
            return {one.name for one in files if one.is_file()} == {look.key_of(data[1])}

        await eventually(kept)
