"""A real Postgres for tests: a private server in a folder of its own, and a database per test."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import asyncpg
import psutil
import pytest

from storage.database import Database
from tests.service import free_port

REQUIRED = "LORABOT_REQUIRE_POSTGRES"
USER = "lorabot"
START_S = 30.0
# What is committed survives the death of the server, though not that of the machine.
OPTIONS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "timezone": "UTC",
}


def binaries() -> Path | None:
    """The folder with initdb and postgres: on the PATH, or where Debian puts them."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((one.parent for one in installed), default=None)


def found_or_skip() -> Path:
    """Where there is no Postgres the tests are skipped, except where it is to be there."""
    if (found := binaries()) is not None:
        return found
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{REQUIRED}=1, but there is no initdb on the PATH or in /usr/lib/postgresql")
    pytest.skip("no Postgres here: apt-get install postgresql")


def _servant() -> dict[str, Any]:
    """Postgres refuses to run as root: then it runs as somebody who has no rights."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise AssertionError("no user to run Postgres as")


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class Server:
    """One cluster. ``kill`` and ``start`` again keep its folder and its port. ``also_at`` is one
    more address of this machine, which others may reach it by. ``options`` go before OPTIONS.
    """

    def __init__(self, bin_dir: Path, also_at: str = "", **options: str) -> None:
        self._also_at = also_at
        self._options = OPTIONS | options
        self.folder = Path(tempfile.mkdtemp(prefix="pg"))  # short: a socket's path has 107 bytes
        self.port = free_port()
        self._bin = bin_dir
        self._servant = _servant()
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0
        self._has_template = False

    def create(self) -> Self:
        """initdb, then start."""
        if self._servant:
            os.chown(self.folder, self._servant["user"], self._servant["group"])
        argv = [str(self._bin / "initdb"), "-D", str(self._data)]
        argv += ["-U", USER, "-A", "trust", "--no-sync"]
        argv += ["--encoding=UTF8", "--locale=C"]
        subprocess.run(argv, check=True, capture_output=True, cwd="/", **self._servant)
        if self._also_at:
            with (self._data / "pg_hba.conf").open("a") as file:
                file.write("host all all samenet trust\n")
        return self.start()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def start(self) -> Self:
        argv = [str(self._bin / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        addresses = ",".join(filter(None, ("127.0.0.1", self._also_at)))
        argv += ["-c", f"listen_addresses={addresses}", "-k", str(self.folder)]
        for name, value in self._options.items():
            argv += ["-c", f"{name}={value}"]
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                argv, stdout=log, stderr=log, cwd="/", start_new_session=True, **self._servant
            )
        until = time.monotonic() + START_S
        while not self._is_ready():
            said = (self.folder / "log").read_text(errors="replace")[-2000:]
            assert self._process.poll() is None, said
            assert time.monotonic() < until, said
            time.sleep(0.02)
        return self

    def _is_ready(self) -> bool:
        """As the server itself says: its number in the first line, its state in the eighth."""
        assert self._process is not None
        with suppress(OSError):
            lines = (self._data / "postmaster.pid").read_text().split("\n")
            mine = lines[0] == str(self._process.pid)
            return mine and len(lines) > 7 and lines[7].strip() == "ready"
        return False

    def process(self) -> psutil.Process:
        """Its children are those who do the work."""
        assert self._process is not None
        return psutil.Process(self._process.pid)

    def url(self, name: str) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{name}"

    def socket_url(self, name: str) -> str:
        return f"postgresql://{USER}@/{name}?host={self.folder}&port={self.port}"

    async def fresh(self) -> str:
        """The address of a new database with all our tables, and nothing in them."""
        if not self._has_template:
            url = await self.empty("migrated")
            await (await Database.open(url)).close()
            self._has_template = True
        return await self.empty(template="migrated")

    async def empty(self, name: str = "", template: str = "template1") -> str:
        """The address of a new database as ``template`` is."""
        self._made += 1
        name = name or f"test{self._made}"
        connection = await asyncpg.connect(self.url("postgres"))
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        await connection.close()
        return self.url(name)

    def kill(self) -> None:
        """With -9, and all that belongs to it: what a power cut leaves."""
        assert self._process is not None
        if self._process.poll() is None:
            below = psutil.Process(self._process.pid).children(recursive=True)
            self._process.kill()
            for one in below:
                with suppress(psutil.Error):
                    one.kill()
            # As long as one of them lives, no other may start in this folder.
            while any(map(_lives, below)):
                time.sleep(0.005)
        self._process.wait()

    def stop(self) -> None:
        """In an orderly way, though without waiting for anybody: what an upgrade does."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(START_S)

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
