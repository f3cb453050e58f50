"""Every button and command of every table, by somebody whose it is not: nothing happens."""

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from bot import access, admin, library
from bot.conversation import DRAFT_VERBS, TABLE
from bot.events import Choice, Command, Text
from bot.screen import MAX_BUTTON_DATA, parse_data
from pictures.sandbox import Cells
from storage import access_store, job_store, schema
from storage.access import Standing
from storage.database import Database
from storage.job import JobState
from storage.settings import Settings
from tests.chatting import ME, YOU, Chat, finish, opener
from tests.drawn import photos
from tests.fakes import FakeFrontend

ADMIN = "tg:9"
SECRETS = ("mochi", "mochix", "Ada")
KEYS = sorted(
    {key for _, key in TABLE}
    | set(library.VERBS)
    | set(admin.HANDLERS)
    | DRAFT_VERBS
    | set(access.ALWAYS_VERBS)
    | {"models", "shut", "code", "/models", "/nonsense", "nonsense", "__class__", "step"}
)
VERBS = [key for key in KEYS if not key.startswith("/") and key.isidentifier()]
COMMANDS = [key.removeprefix("/") for key in KEYS if key.startswith("/")]
# Of one's own these do what they say, and they name no job.
OWN = frozenset({"forgetnow", "export", "lang"})
ARGUMENTS = ("", "1", "first", "yes", "copy", ME, "../../x", "\x00", "𝟙")


@pytest.fixture
async def chat(
    database: Database, cells: Cells, tmp_path: Path
) -> AsyncIterator[tuple[Chat, FakeFrontend]]:
    network = FakeFrontend()
    settings = Settings(data_dir=tmp_path, consent="never", admin_ids=frozenset({ADMIN}))
    async with opener(settings, database, network, cells)() as one:
        yield one, network


# What only says how far the showing of it got, and what an update of anybody's leaves.
SHOWING = re.compile(r".*(shown|sent|_ref|seen|message).*")
EVERYBODYS = frozenset({"inbox", "seen_updates", "hosts", "audit"})


async def rows(database: Database, stranger: str) -> dict[str, list[str]]:
    """All that is stored of everybody but ``stranger``."""
    found: dict[str, list[str]] = {}
    async with database.read() as tx:
        for table in schema.metadata.sorted_tables:
            if table.name in EVERYBODYS:
                continue
            kept = [one for one in table.columns if not SHOWING.fullmatch(one.name)]
            some = [tuple(row) for row in await tx.execute(select(*kept))]
            found[table.name] = sorted(repr(row) for row in some if stranger not in row)
    return found


async def job_of_mine(one: Chat, state: JobState, tmp_path: Path) -> str:
    job = await one.order()
    if state is JobState.DONE:
        await finish(one.database, tmp_path, job)
        await one.until_done(job)
    elif state is not JobState.QUEUED:
        owner = job_store.Owner(name="w", host="h", boot_id="b", pid=1)
        async with one.database.write() as tx:
            claimed = await job_store.claim(tx, owner, lease_s=9999, now=time.time(), job_id=job.id)
            assert claimed is not None
            await job_store.enter(tx, job.id, claimed.fence, JobState.TRAINING, now=time.time())
    return job.id


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.TRAINING, JobState.DONE])
async def test_a_strangers_press_changes_nothing_of_mine_and_tells_nothing(
    chat: tuple[Chat, FakeFrontend], tmp_path: Path, state: JobState
) -> None:
    """Each verb that there is, with my job's and my draft's names in it: clients can send any."""
    one, network = chat
    job_id = await job_of_mine(one, state, tmp_path)
    await one.draft(name="mochi")
    await one.send(*photos(1))
    async with one.database.read() as tx:
        stored = (await tx.execute(select(schema.conversations.c.text))).scalars().all()
    drafts = {word for text in stored for word in text.split('"') if len(word) == 26}
    assert drafts
    before = await rows(one.database, YOU)
    for verb in VERBS:
        if verb in OWN:
            continue
        # What a draft is asked is the same whatever its person's jobs do.
        names = (job_id, *sorted(drafts)) if state is JobState.QUEUED else (job_id,)
        for name in names:
            for argument in ARGUMENTS if verb in admin.HANDLERS else ARGUMENTS[:2]:
                await one.do(Choice(verb, name, argument), YOU)
    assert await rows(one.database, YOU) == before
    said = "\n".join(network.texts(YOU))
    assert not [word for word in (*SECRETS, job_id, ME) if word in said.replace("Hi, Ada", "")]
    assert not [message for message in network.chats[YOU].values() if message.file]


async def test_a_strangers_command_changes_nothing_of_mine_and_tells_nothing(
    chat: tuple[Chat, FakeFrontend], tmp_path: Path
) -> None:
    one, network = chat
    job_id = await job_of_mine(one, JobState.TRAINING, tmp_path)
    before = await rows(one.database, YOU)
    for name in COMMANDS:
        for argument in ("", job_id, f"J-{job_id[-4:]}", "mochi", ME, f"{ME} 0 0", "1"):
            if name not in ("train", "delete", "export"):
                await one.do(Command(name, argument), YOU)
    after = await rows(one.database, YOU)
    assert after == before
    said = "\n".join(network.texts(YOU))
    assert not [word for word in ("mochi", job_id, ME) if word in said]


async def test_who_is_banned_or_waits_at_the_door_does_nothing_at_all(
    chat: tuple[Chat, FakeFrontend], tmp_path: Path
) -> None:
    one, network = chat
    job_id = await job_of_mine(one, JobState.QUEUED, tmp_path)
    async with one.database.write() as tx:
        await access_store.set_standing(tx, YOU, Standing.BANNED, by=ADMIN, now=1)
    before = await rows(one.database, YOU)
    for verb in VERBS:
        if verb not in OWN:
            await one.do(Choice(verb, job_id, ""), YOU)
    for name in COMMANDS:
        if name not in ("delete", "export", "language", "privacy"):
            await one.do(Command(name, ""), YOU)
    await one.do(Text("mochi"), YOU)
    await one.send(*photos(2), chat=YOU)
    assert await rows(one.database, YOU) == before
    assert (
        not list((tmp_path / "blobs" / "photos").rglob("*"))
        or len([path for path in (tmp_path / "blobs" / "photos").rglob("*") if path.is_file()]) == 8
    )
    assert "mochi" not in "\n".join(network.texts(YOU))


async def test_nobody_becomes_an_admin_by_a_guess(chat: tuple[Chat, FakeFrontend]) -> None:
    one, _ = chat
    for word in ("claim-", "claim-AAAA-AAAA-AAAA", "CLAIM-", "claim-\u0130", "claim-" + "A" * 999):
        await one.do(Command("start", word), YOU)
        await one.do(Text(word), YOU)
    async with one.database.read() as tx:
        assert not await access_store.admins(tx)


@pytest.mark.parametrize(
    "data",
    ["", ":", "::", "a", "a:b", "1:b:c", "a b:c:d", "-:a:b", "\x00:a:b", "é" * 40 + "::", "x" * 65],
)
def test_data_of_no_button_of_ours_is_none(data: str) -> None:
    parts = parse_data(data)
    assert parts is None or (parts[0].isidentifier() and len(data.encode()) <= MAX_BUTTON_DATA)
