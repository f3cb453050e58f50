"""SQLite is for one machine: a second one is told so, and what it can do instead."""

import asyncio
from pathlib import Path

import pytest

from storage import host, host_store, one_host
from storage.database import Database
from storage.one_host import SecondHostError, file_system_of, is_remote
from tests.patience import PATIENCE_S
from tests.postgres import Server

MOUNTS = """\
21 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
40 21 0:40 / /srv rw,relatime shared:9 - nfs4 nas:/srv rw,vers=4.2
41 40 0:41 / /srv/fast rw,relatime - xfs /dev/nvme0n1 rw
42 21 0:42 / /mnt/with\\040space rw,relatime - cifs //nas/share rw
43 21 0:43 / /home/me/remote rw,nosuid - fuse.sshfs me@nas:/ rw
""".splitlines()


@pytest.mark.parametrize(
    ("path", "kind", "remote"),
    [
        ("/var/lib/lorabot.db", "ext4", False),
        ("/srv/lorabot/lorabot.db", "nfs4", True),
        ("/srv/fast/lorabot.db", "xfs", False),
        ("/srvx/lorabot.db", "ext4", False),
        ("/mnt/with space/lorabot.db", "cifs", True),
        ("/home/me/remote/lorabot.db", "fuse.sshfs", True),
    ],
)
def test_a_file_system_is_known_by_its_deepest_mount(path: str, kind: str, remote: bool) -> None:
    assert file_system_of(Path(path), MOUNTS) == kind
    assert is_remote(kind) is remote


def test_a_database_on_a_network_share_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(f"40 21 0:40 / {tmp_path} rw shared:9 - nfs nas:/x rw\n")
    monkeypatch.setattr(one_host, "MOUNTS", table)
    url = f"sqlite+aiosqlite:///{tmp_path / 'lorabot.db'}"
    with pytest.raises(SecondHostError, match=r"network file system \(nfs\).*DATABASE_URL=postgr"):
        one_host.refuse_remote(url)
    one_host.refuse_remote("postgresql://host/lorabot")
    assert not (tmp_path / "lorabot.db").exists()


def test_this_machines_own_folders_are_taken(tmp_path: Path) -> None:
    one_host.refuse_remote(f"sqlite+aiosqlite:///{tmp_path / 'lorabot.db'}")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_host, "BEAT_S", 0.12)
    monkeypatch.setattr(one_host, "WATCH_S", 1.0)


@pytest.mark.usefixtures("quick")
async def test_a_second_machine_is_refused_while_the_first_one_lives(database: Database) -> None:
    await one_host.enter(database, "boot-a", "studio")
    staying = asyncio.create_task(one_host.stay(database, "boot-a", "studio"))
    try:
        with pytest.raises(SecondHostError, match=r"studio works with it.*DATABASE_URL=postgresql"):
            await one_host.enter(database, "boot-b", "den")
    finally:
        staying.cancel()


@pytest.mark.usefixtures("quick")
async def test_the_first_machine_may_come_back_after_a_start(database: Database) -> None:
    """Its row of before has another boot, and is young; nobody writes to it any more."""
    await one_host.enter(database, "before", "studio")
    await one_host.enter(database, "after", "studio")
    async with database.read() as tx:
        assert await host_store.others(tx, "after") == []


async def test_containers_of_one_machine_are_one_host(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_host, "WATCH_S", 2 * PATIENCE_S)
    async with asyncio.timeout(PATIENCE_S):
        await one_host.enter(database, host.boot_id(), "lorabot-bot")
        await one_host.enter(database, host.boot_id(), "lorabot-worker")


async def test_machines_that_share_a_postgres_are_not_asked(
    postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_host, "WATCH_S", 2 * PATIENCE_S)
    database = await Database.open(await postgres_server.fresh())
    async with asyncio.timeout(PATIENCE_S):
        await one_host.enter(database, "boot-a", "studio")
        await one_host.enter(database, "boot-b", "den")
    await database.close()
