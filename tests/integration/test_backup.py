"""A backup of a service that works, what comes of it elsewhere, and files that pretend."""

import asyncio
import io
import json
import sqlite3
import stat
import tarfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from bot.frontends.web import Site, Web
from lorabot import backup, restore
from lorabot.backup import BackupError, Choice
from lorabot.backup_file import Writer
from lorabot.compose import converse
from lorabot.networks import links_of, secret_of
from pictures.sandbox import Cells
from storage import audit_store, job_store, migrate, worker_store
from storage.access import Act
from storage.blob_store import LocalBlobs, photo_key
from storage.database import Database
from storage.job import JobState, Photo
from storage.settings import Settings
from tests import postgres
from tests.drawn import photos
from tests.integration.test_pipeline_kill import Killable
from tests.integration.test_worker import Place
from tests.jobs import make_job
from tests.web_client import WebPerson

pytestmark = pytest.mark.timeout(300)

DONE, WAITS = "d" * 64, "e" * 64


def settings_at(folder: Path, **changes: object) -> Settings:
    """As the command line makes them."""
    (folder / "run").mkdir(parents=True, exist_ok=True)
    return Settings(data_dir=folder, _env_file=None, **changes)  # type: ignore[call-arg,arg-type]


async def in_thread(work: Callable[..., str], *args: object) -> str:
    """As a command of its own: it has an event loop for itself."""
    return await asyncio.to_thread(work, *args)


@pytest.fixture
async def origin(tmp_path: Path) -> Settings:
    """A small service: a job that has ended, one that waits, one that runs, and their files."""
    settings = settings_at(tmp_path / "origin")
    (settings.data_dir / "secret.key").write_text("k" * 64)
    (settings.data_dir / "bases.toml").write_text("")
    database = await Database.open(settings.database)
    async with database.write() as tx:
        for state, sha256 in ((JobState.DONE, DONE), (JobState.QUEUED, WAITS)):
            photo = Photo(sha256=sha256, number=1, file_bytes=3)
            await job_store.add(tx, make_job(state=state, photos=(photo,)))
        await job_store.add(tx, make_job(state=JobState.TRAINING, attempts=3))
        await audit_store.add(tx, Act(at=1.0, who="tg:1", what="pause", whom="", detail="ü"))
        await worker_store.beat(tx, "old:1", "old", [], now=1.0)
    await database.close()
    blobs = LocalBlobs(settings.data_dir / "blobs")
    for key in (
        photo_key(DONE),
        photo_key(WAITS),
        "artifacts/j/1/m.safetensors",
        "exports/x/y.zip",
    ):
        await blobs.put(key, key.encode())
    (settings.data_dir / "blobs" / ".new-half").write_text("half")
    return settings


async def rows_at(url: str, name: str) -> list[dict[str, object]]:
    database = await Database.open(url)
    async with database.read() as tx:
        found = [
            dict(row) for row in (await tx.execute(sa.text(f"SELECT * FROM {name}"))).mappings()
        ]
    await database.close()
    return found


def files_of(settings: Settings) -> set[str]:
    blobs = settings.data_dir / "blobs"
    return {path.relative_to(blobs).as_posix() for path in blobs.rglob("*") if path.is_file()}


async def test_what_was_saved_comes_back_in_a_new_folder(origin: Settings, tmp_path: Path) -> None:
    said = await in_thread(backup.make, origin, tmp_path / "one.backup", Choice())
    assert "schema" in said
    assert stat.S_IMODE((tmp_path / "one.backup").stat().st_mode) == 0o600
    there = settings_at(tmp_path / "there")
    await in_thread(restore.restore, there, tmp_path / "one.backup")
    assert files_of(there) == {photo_key(DONE), photo_key(WAITS), "artifacts/j/1/m.safetensors"}
    key = there.data_dir / "secret.key"
    assert (key.read_text(), stat.S_IMODE(key.stat().st_mode)) == ("k" * 64, 0o600)
    before, after = await rows_at(origin.database, "jobs"), await rows_at(there.database, "jobs")
    assert [one["id"] for one in before] == [one["id"] for one in after]
    assert [one["attempts"] for one in after] == [0, 0, 2]
    assert await rows_at(there.database, "workers") == []
    assert not (there.data_dir / ".restoring").exists()


async def test_without_photos_those_that_somebody_waits_for_go_along(
    origin: Settings, tmp_path: Path
) -> None:
    choice = Choice(photos=False, artifacts=False)
    await in_thread(backup.make, origin, tmp_path / "small.backup", choice)
    there = settings_at(tmp_path / "there")
    await in_thread(restore.restore, there, tmp_path / "small.backup")
    assert files_of(there) == {photo_key(WAITS)}


async def test_a_backup_while_others_write_is_of_one_moment(
    origin: Settings, tmp_path: Path
) -> None:
    """Each transaction writes two rows: an odd number would be half of one."""
    database = await Database.open(origin.database)
    stop = asyncio.Event()

    async def write() -> int:
        count = 0
        while not stop.is_set():
            async with database.write() as tx:
                for _ in range(2):
                    act = Act(at=float(count), who="w", what="busy", whom="", detail="")
                    await audit_store.add(tx, act)
            count += 2
        return count

    writing = asyncio.create_task(write())
    for number in range(3):
        await in_thread(backup.make, origin, tmp_path / f"{number}.backup", Choice())
        there = settings_at(tmp_path / f"there{number}")
        await in_thread(restore.restore, there, tmp_path / f"{number}.backup")
        busy = [one for one in await rows_at(there.database, "audit") if one["what"] == "busy"]
        assert len(busy) % 2 == 0
    stop.set()
    assert await writing > 0
    await database.close()


async def test_from_a_file_into_postgres_and_back(
    origin: Settings, tmp_path: Path, postgres_server: postgres.Server
) -> None:
    """A studio that grows, and one that shrinks: every row survives, and numbers go on."""
    await in_thread(backup.make, origin, tmp_path / "one.backup", Choice())
    url = await postgres_server.empty()
    grown = settings_at(tmp_path / "grown", database_url=url)
    await in_thread(restore.restore, grown, tmp_path / "one.backup")
    database = await Database.open(grown.database)
    async with database.write() as tx:
        await audit_store.add(tx, Act(at=2.0, who="tg:1", what="resume", whom="", detail=""))
    await database.close()
    again = settings_at(tmp_path / "again", database_url=url)
    with pytest.raises(BackupError, match="not empty"):
        await in_thread(restore.restore, again, tmp_path / "one.backup")
    await in_thread(backup.make, grown, tmp_path / "two.backup", Choice())
    shrunk = settings_at(tmp_path / "shrunk")
    await in_thread(restore.restore, shrunk, tmp_path / "two.backup")
    assert [one["what"] for one in await rows_at(shrunk.database, "audit")] == ["pause", "resume"]
    for name in ("jobs", "conversations", "members"):
        before, after = await rows_at(origin.database, name), await rows_at(shrunk.database, name)
        for row in (*before, *after):
            row.pop("attempts", None)
        assert sorted(before, key=repr) == sorted(after, key=repr)
    assert stat.S_IMODE((shrunk.data_dir / "lorabot.db").stat().st_mode) == 0o600


async def test_an_older_backup_is_brought_to_the_newest_schema(
    tmp_path: Path, postgres_server: postgres.Server
) -> None:
    old = settings_at(tmp_path / "old")
    engine = sa.create_engine(f"sqlite:///{old.data_dir / 'lorabot.db'}", poolclass=sa.NullPool)
    with engine.begin() as connection:
        migrate.to_version(connection, "0005")
        given = {"person": "tg:1", "policy": "1", "given_at": 1.5}
        connection.execute(sa.table("consents", *map(sa.column, given)).insert(), given)
    await in_thread(backup.make, old, tmp_path / "old.backup", Choice())
    urls = {"lite": None, "big": await postgres_server.empty()}
    for name, url in urls.items():
        there = settings_at(tmp_path / name, database_url=url)
        await in_thread(restore.restore, there, tmp_path / "old.backup")
        assert await rows_at(there.database, "consents") == [given]
        assert await rows_at(there.database, "audit") == []


async def test_a_folder_that_is_not_empty_is_left_alone(origin: Settings, tmp_path: Path) -> None:
    await in_thread(backup.make, origin, tmp_path / "one.backup", Choice())
    there = settings_at(tmp_path / "there")
    (there.data_dir / "bases.toml").write_text("mine")
    with pytest.raises(BackupError, match=r"not empty \(bases.toml\)"):
        restore.restore(there, tmp_path / "one.backup")
    assert (there.data_dir / "bases.toml").read_text() == "mine"
    with pytest.raises(BackupError, match="already"):
        backup.make(origin, tmp_path / "one.backup", Choice())


# --- files that are no backup --------------------------------------------------------------------


def member(name: str, data: bytes = b"x", **changes: object) -> bytes:
    """A header as somebody else may write it, and its content."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in changes.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)


def about(**changes: object) -> bytes:
    told = {
        "format": 1,
        "version": "0.1.0",
        "schema": migrate.HEAD,
        "made_at": 1.0,
        "database": "sqlite",
        "files": True,
        "choice": {"photos": True, "artifacts": True, "models": False},
    }
    return member("about.json", json.dumps({**told, **changes}).encode())


def pax(name: str) -> bytes:
    info = tarfile.TarInfo(name)
    info.pax_headers = {"path": "../" * 90 + "etc/passwd"}
    return info.tobuf(tarfile.PAX_FORMAT)


HOSTILE = {
    "nothing": b"",
    "words": b"SQLite format 3\x00" * 100,
    "zeros": bytes(10_240),
    "newer schema": about(schema="9999"),
    "newer format": about(format=2),
    "about what": member("about.json", b"[" * 50_000),
    "about too large": member("about.json", b"x" * 70_000),
    "first something else": member("lorabot.db") + about(),
    "up and out": about() + member("blobs/../../evil"),
    "up in the middle": about() + member("blobs/photos/../../secret.key"),
    "absolute": about() + member("/tmp/evil"),
    "a backslash": about() + member("blobs\\evil"),
    "another file of ours": about() + member("run/up.lock"),
    "a symbolic link": about() + member("blobs/a", b"", type=tarfile.SYMTYPE, linkname="/etc"),
    "a hard link": about() + member("blobs/a", b"", type=tarfile.LNKTYPE, linkname="secret.key"),
    "a device": about() + member("blobs/a", b"", type=tarfile.CHRTYPE),
    "a pipe": about() + member("blobs/a", b"", type=tarfile.FIFOTYPE),
    "a folder": about() + member("blobs/a", b"", type=tarfile.DIRTYPE),
    "sparse": about() + member("blobs/a", b"", type=tarfile.GNUTYPE_SPARSE),
    "a long name": about() + pax("blobs/a"),
    "more than there is": about() + member("blobs/a", b"x")[:124] + b"77777777777\0",
    "twice": about() + member("blobs/a") + member("blobs/a"),
    "a file as a folder": about() + member("blobs/a") + member("blobs/a/b") + bytes(1024),
    "no list": about() + member("lorabot.db") + bytes(1024),
    "a wrong list": about() + member("lorabot.db") + member("checksums.txt", b"0 1 lorabot.db\n"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_pretends_is_refused_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    (tmp_path / "evil.backup").write_bytes(HOSTILE[name])
    there = settings_at(tmp_path / "there")
    with pytest.raises(BackupError):
        restore.check(tmp_path / "evil.backup")
    with pytest.raises(BackupError):
        restore.restore(there, tmp_path / "evil.backup")
    assert {path.name for path in there.data_dir.iterdir()} <= {"run"}
    assert {path.name for path in tmp_path.iterdir()} == {"evil.backup", "there"}


async def test_a_changed_byte_anywhere_is_found(origin: Settings, tmp_path: Path) -> None:
    await in_thread(backup.make, origin, tmp_path / "one.backup", Choice())
    whole = (tmp_path / "one.backup").read_bytes()
    there = settings_at(tmp_path / "there")
    photo = whole.index(photo_key(WAITS).encode(), whole.index(b"blobs/photos/ee") + 512)
    for at in (0, 156, 515, 1500, len(whole) // 2, photo, whole.rindex(b"secret.key")):
        broken = bytearray(whole)
        broken[at] ^= 1
        (tmp_path / "broken").write_bytes(broken)
        with pytest.raises(BackupError):
            restore.check(tmp_path / "broken")
    for size in (600, len(whole) // 2, len(whole) - 1500):
        (tmp_path / "broken").write_bytes(whole[:size])
        with pytest.raises(BackupError, match="ends too early"):
            restore.restore(there, tmp_path / "broken")


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TRIGGER t AFTER INSERT ON alembic_version BEGIN SELECT 1; END",
        "CREATE VIEW v AS SELECT 1",
        "DROP TRIGGER line_parts_left",
        (
            "DROP TRIGGER line_parts_left; CREATE TRIGGER line_parts_left AFTER UPDATE ON jobs "
            "BEGIN DELETE FROM people; END"
        ),
    ],
)
def test_a_database_that_acts_by_itself_is_refused(tmp_path: Path, change: str) -> None:
    migrate.sqlite_to_newest(sa.make_url(f"sqlite:///{tmp_path / 'evil.db'}"))
    with closing(sqlite3.connect(tmp_path / "evil.db")) as made:
        made.executescript(change)
        made.execute("PRAGMA journal_mode = DELETE")
    file = io.BytesIO()
    writer = Writer(file)
    writer.add_bytes("about.json", about()[512:].split(b"\0", 1)[0])
    writer.add("lorabot.db", tmp_path / "evil.db")
    writer.close()
    (tmp_path / "evil.backup").write_bytes(file.getvalue())
    there = settings_at(tmp_path / "there")
    with pytest.raises(BackupError, match="not one of ours"):
        restore.restore(there, tmp_path / "evil.backup")
    assert [path.name for path in there.data_dir.iterdir()] == ["run"]


# --- a service that goes on elsewhere ------------------------------------------------------------


@asynccontextmanager
async def talking(settings: Settings, port: int) -> AsyncIterator[Web]:
    """The bot with its page, at an address that stays."""
    database = await Database.open(settings.database)
    site = Site(secret=secret_of(settings), spool=settings.data_dir / "run" / "up", port=port)
    cells = Cells(1)
    web = Web(database, LocalBlobs(settings.data_dir / "blobs"), links_of(settings), site, cells)
    stop = asyncio.Event()
    web.listen()
    running = asyncio.create_task(converse(settings, database, [web], cells, stop))
    await web.ready.wait()
    try:
        yield web
    finally:
        stop.set()
        await running
        await cells.close()
        await database.close()


async def test_a_service_restored_from_the_middle_of_a_training_ends_it(tmp_path: Path) -> None:
    (tmp_path / "loras").mkdir()
    here = settings_at(tmp_path / "here", lora_dir=tmp_path / "loras", lease_s=2.0)
    database = await Database.open(here.database)
    workers = Killable(Place(here, database, asyncio.Event()))
    async with talking(here, 0) as web:
        person = WebPerson(web.address)
        await person.__aenter__()
        await order(person)
        first = await workers.start(mode="slow")
        status = await person.until(lambda: person.said("step "))
        await in_thread(backup.make, here, tmp_path / "one.backup", Choice())
        await workers.kill(first)
    await database.close()
    there = settings_at(tmp_path / "there", lora_dir=tmp_path / "loras", lease_s=2.0)
    await in_thread(restore.restore, there, tmp_path / "one.backup")
    database = await Database.open(there.database)
    workers = Killable(Place(there, database, asyncio.Event()))
    async with talking(there, int(web.address.rpartition(":")[2])):
        await workers.start()
        data = await person.download("⬇")
        ended = await person.until(lambda: person.messages[status["id"]])
        assert "step" not in ended["text"]
        await person.__aexit__()
    await workers.finish()
    await database.close()
    assert data == (tmp_path / "loras" / "mochi.safetensors").read_bytes()


async def order(person: WebPerson) -> None:
    await person.say("/train")
    await person.press("A character")
    await person.say("mochi")
    await person.press("mochix")
    await person.until(lambda: person.said("Now send me"))
    await person.upload(photos(8))
    await person.press("✅ Done")
    await person.press("🚀 Start")
