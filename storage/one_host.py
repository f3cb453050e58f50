"""SQLite is for one machine: whoever comes second is told so, before anything is harmed.

Its locks and its shared memory do not reach another machine, not even through a folder that both
can see: two machines would write over each other.
"""

import asyncio
import logging
import time
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from storage import host, host_store, postgres
from storage.database import Database

log = logging.getLogger(__name__)

BEAT_S = 3.0
WATCH_S = 2.5 * BEAT_S  # a machine that lives beats at least once in it
RECENT_S = 60.0  # before that nobody can be meant but a machine that was switched off
MOUNTS = Path("/proc/self/mountinfo")
# File systems whose files live on another machine.
REMOTE = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "beegfs", "glusterfs"}
)
REMOTE_FUSE = ("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.rclone")
WHAT_TO_DO = "Set DATABASE_URL=postgresql://… on every machine; see docs/hosts.md."


class SecondHostError(Exception):
    """Another machine uses this SQLite file, or the file does not lie on this one."""


class FileGoneError(Exception):
    """The SQLite file was deleted, or another one lies in its place."""


def file_system_of(path: Path, mounts: Iterable[str]) -> str:
    """The kind of file system that ``path`` lies on, by the lines of mountinfo; empty: unknown."""
    kind, longest = "", -1
    for line in mounts:
        before, _, after = line.partition(" - ")
        fields, rest = before.split(), after.split()
        if len(fields) < 5 or not rest:
            continue
        point = Path(fields[4].replace("\\040", " "))
        if path.is_relative_to(point) and len(point.parts) >= longest:
            kind, longest = rest[0], len(point.parts)  # the last mount on a point lies on top
    return kind


def is_remote(kind: str) -> bool:
    return kind in REMOTE or kind.startswith(REMOTE_FUSE)


def refuse_remote(url: str) -> None:
    """Before the file is opened. Raises SecondHostError."""
    if postgres.is_postgres(url) or not MOUNTS.exists():
        return
    file = make_url(url).database
    if not file or file == ":memory:":
        return
    mounts = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    if is_remote(kind := file_system_of(Path(file).resolve(), mounts)):
        raise SecondHostError(
            f"The database {file} lies on a network file system ({kind}), where SQLite loses data. "
            f"Set DATA_DIR to a local folder. For several machines: {WHAT_TO_DO}"
        )


async def open_here(url: str, patience_s: float) -> Database:
    """For a bot or a worker. Raises SecondHostError."""
    refuse_remote(url)
    database = await Database.open(url, patience_s=patience_s)
    try:
        await enter(database)
    except BaseException:
        await database.close()
        raise
    return database


async def enter(database: Database, boot: str = "", name: str = "") -> None:
    """Say that this machine is here. Raises SecondHostError where another one works, too. One that
    was seen of late is watched for some seconds: after a new start it may be this one.
    """
    if database.is_shared:
        return
    boot, name = boot or _boot(), name or _name()
    async with database.read() as tx:
        before = {one.boot: one for one in await host_store.others(tx, boot)}
    if any(abs(time.time() - one.seen_at) < RECENT_S for one in before.values()):
        until = time.monotonic() + WATCH_S
        while time.monotonic() < until:
            await asyncio.sleep(BEAT_S / 6)
            async with database.read() as tx:
                now = await host_store.others(tx, boot)
            for one in now:
                if one.boot not in before or one.beats != before[one.boot].beats:
                    raise SecondHostError(
                        f"This database is SQLite, and {one.host} works with it at this moment. "
                        f"SQLite is for one machine. {WHAT_TO_DO}"
                    )
    async with database.write() as tx:
        await host_store.forget_others(tx, boot)
        await host_store.beat(tx, boot, name, now=time.time())


async def stay(database: Database, boot: str = "", name: str = "") -> None:
    """Go on saying it, until cancelled. Raises FileGoneError: SQLite itself would go on writing
    into a file that nobody finds any more.
    """
    file = database.file
    if file is None:
        await asyncio.Event().wait()
        return
    lay_there = _number(file)
    while True:
        await asyncio.sleep(BEAT_S)
        if _number(file) != lay_there:
            raise FileGoneError(
                f"The database {file} was deleted or replaced while this process worked with it. "
                "What was said since then is lost. Restore a backup (docs/operations.md), or start "
                "with an empty one."
            )
        try:
            async with database.read() as tx:
                seen_at = await host_store.seen_at(tx, boot or _boot())
            if abs(time.time() - seen_at) < BEAT_S / 2:
                continue  # another process of this machine has just said it
            async with database.write() as tx:
                await host_store.beat(tx, boot or _boot(), name or _name(), now=time.time())
        except DBAPIError as error:
            log.warning("the database does not answer (%s)", error.orig)


def _number(file: Path) -> int:
    """Of the file itself, whatever its name; 0 where there is none."""
    try:
        return file.stat().st_ino
    except FileNotFoundError:
        return 0


def _boot() -> str:
    """Where the system does not say it, its name has to do."""
    return host.boot_id() or _name()


def _name() -> str:
    return host.this_process().host
