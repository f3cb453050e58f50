"""The built-in server and the doorbell, with the real binary."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from arq.connections import create_pool

from storage import doorbell, redis_server
from storage.doorbell import Doorbell, redis_settings
from storage.redis_server import RedisServer
from tests.conftest import eventually


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    if redis_server.find_binary() is None:
        pytest.skip("no Redis or Valkey on this machine")
    one = RedisServer(tmp_path / "run" / "redis.sock")
    await one.start()
    yield one
    await one.stop()


@pytest.fixture
async def bell(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Doorbell]:
    # Busy machines need longer for the first handshake than a person should wait.
    monkeypatch.setattr(doorbell, "RING_S", 5.0)
    one = Doorbell(f"unix://{server.socket}")
    yield one
    await one.close()


def pid_of(server: RedisServer) -> int:
    assert server._process is not None
    return server._process.pid


async def test_the_server_listens_on_a_private_socket_alone(server: RedisServer) -> None:
    assert server.socket.stat().st_mode & 0o777 == 0o600
    assert server.socket.parent.stat().st_mode & 0o777 == 0o700
    assert psutil.Process(pid_of(server)).net_connections("inet") == []


async def test_a_ring_is_json_that_a_worker_reads(server: RedisServer, bell: Doorbell) -> None:
    assert await bell.ring()
    pool = await create_pool(
        redis_settings(f"unix://{server.socket}"), job_deserializer=doorbell.deserialize
    )
    (waiting,) = await pool.queued_jobs(queue_name=doorbell.QUEUE)
    raw = await pool.get(f"arq:job:{waiting.job_id}")
    await pool.aclose()
    assert waiting.function == doorbell.RING
    assert raw is not None
    assert raw.startswith(b"{")


async def test_a_killed_server_comes_back_and_the_bell_rings_through_it(
    server: RedisServer, bell: Doorbell
) -> None:
    assert await bell.ring()
    for _ in range(2):
        before = pid_of(server)
        os.kill(before, signal.SIGKILL)
        await eventually(bell.ring)
        assert pid_of(server) != before


async def test_a_server_that_cannot_be_started_now_is_started_later(
    server: RedisServer, bell: Doorbell, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = asyncio.create_subprocess_exec
    refused: list[tuple[str, ...]] = []

    async def exhausted(*argv: str, **options: object) -> asyncio.subprocess.Process:
        if not refused:
            refused.append(argv)
            raise BlockingIOError("no more processes")
        return await real(*argv, **options)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(asyncio, "create_subprocess_exec", exhausted)
    os.kill(pid_of(server), signal.SIGKILL)
    await eventually(bell.ring)
    assert len(refused) == 1


async def test_stop_leaves_no_process_and_no_socket(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "run" / "redis.sock")
    if await server.start() is None:
        pytest.skip("no Redis or Valkey on this machine")
    pid = pid_of(server)
    await server.stop()
    assert not psutil.pid_exists(pid)
    assert list((tmp_path / "run").iterdir()) == []


async def test_a_path_too_long_for_a_socket_is_replaced_by_a_short_one(tmp_path: Path) -> None:
    server = RedisServer(tmp_path / ("x" * 60) / ("y" * 60) / "redis.sock")
    found = await server.start()
    if found is None:
        pytest.skip("no Redis or Valkey on this machine")
    assert len(str(found).encode()) <= redis_server.MAX_SOCKET_BYTES
    assert found.parent.stat().st_mode & 0o777 == 0o700
    await server.stop()
    assert not found.parent.exists()


async def test_without_a_binary_there_is_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_server, "find_binary", lambda: None)
    server = RedisServer(tmp_path / "redis.sock")
    assert await server.start() is None
    await server.stop()


async def test_a_frozen_server_does_not_hold_up_the_bot(
    server: RedisServer, bell: Doorbell, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await bell.ring()
    monkeypatch.setattr(doorbell, "RING_S", 0.3)
    os.kill(pid_of(server), signal.SIGSTOP)
    began = time.monotonic()
    assert not await bell.ring()
    assert time.monotonic() - began < 3
    os.kill(pid_of(server), signal.SIGCONT)
    await eventually(bell.ring)


@pytest.mark.parametrize("url", [None, "unix:///nowhere/redis.sock", "redis://127.0.0.1:1/0"])
async def test_a_ring_that_nobody_hears_is_no_error(url: str | None) -> None:
    bell = Doorbell(url)
    assert not await bell.ring()
    await bell.close()


def test_a_worker_waits_out_a_server_that_is_started_again() -> None:
    settings = redis_settings("unix:///run/redis.sock")
    assert settings.unix_socket_path == "/run/redis.sock"
    assert settings.retry is not None
    assert settings.retry._retries == 60
    assert settings.retry_on_error


PARENT = """
import subprocess, time
from storage.die_with_parent import under
child = subprocess.Popen(under(["sleep", "60"]))
print(child.pid, flush=True)
time.sleep(60)
"""


async def test_a_child_dies_with_its_parent_however_that_ends() -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child = psutil.Process(int(await parent.stdout.readline()))

    async def is_asleep() -> bool:
        return str(child.name()) == "sleep"

    async def is_gone() -> bool:
        return not child.is_running() or child.status() == psutil.STATUS_ZOMBIE

    await eventually(is_asleep)
    parent.kill()
    await parent.wait()
    await eventually(is_gone)
