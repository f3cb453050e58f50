"""Two hosts that are cut off from each other and from the database, as networks do it: silently.

Bot and worker A live on host 1, worker B on host 2; each sees nothing of the other but what
Postgres, the bucket and Redis tell.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from pipeline.lease import SAFE_SHARE
from storage import redis_server
from storage.database import Database
from storage.job import JobState
from storage.stores import blobs_of
from tests import postgres, separate_hosts
from tests.conftest import eventually
from tests.e2e.test_kill import order
from tests.far_hosts import Far, trainers, valkey
from tests.s3 import environment, s3_server
from tests.separate_hosts import Lan
from tests.web_client import WebPerson

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

LEASE_S = 6.0
LATE_S = 1.5  # what ending a process and looking at it takes on a busy machine
TAKEN_OVER_S = 5.0  # after the lease
AWAY_S = 20.0


@pytest.fixture
def lan() -> Iterator[Lan]:
    separate_hosts.found_or_skip()
    if redis_server.find_binary() is None:
        pytest.skip("no Redis or Valkey on this machine")
    with separate_hosts.separate_hosts(2) as made:
        yield made


@pytest.fixture
async def far(lan: Lan, tmp_path: Path) -> AsyncIterator[Far]:
    server = postgres.Server(postgres.found_or_skip(), also_at=lan.database).create()
    async with AsyncExitStack() as stack:
        stack.callback(server.remove)
        url = await server.fresh()
        s3 = stack.enter_context(s3_server(lan.rest))
        redis = await stack.enter_async_context(valkey(lan.rest))
        settings = s3.settings(tmp_path)
        shared = {
            "DATABASE_URL": url.replace("127.0.0.1", lan.database),
            "REDIS_URL": redis,
            "LEASE_S": str(LEASE_S),
            **environment(settings),
        }
        (tmp_path / "loras").mkdir()
        database = await Database.open(url)
        stack.push_async_callback(database.close)
        yield Far(lan, tmp_path, shared, database, blobs_of(settings))


async def until_gone(processes: list[psutil.Process]) -> None:
    async def look() -> bool:
        return not psutil.wait_procs(processes, timeout=0)[1]

    await eventually(look, 60)


def results(person: WebPerson) -> list[dict[str, object]]:
    """Messages of the bot that carry a file to take."""
    return [
        one
        for one in person.in_order()
        if one["from"] == "bot"
        and any(b["label"].startswith("⬇") for row in one.get("buttons", ()) for b in row)
    ]


async def test_a_host_that_is_cut_off_stops_and_the_other_goes_on(far: Far) -> None:
    first, second = far.lan.hosts
    async with (
        far.running(first, "-m", "lorabot", "bot"),
        far.person(first) as person,
        far.worker(second, "draw") as there,
    ):
        await order(person, "mochi")
        await far.until_step(0)
        async with far.worker(first, "normal"):
            await far.until_online(2)
            await cut_off(far, there)
            data = await person.download("⬇")
            assert (far.loras / "mochi.safetensors").read_bytes() == data
            await comes_back(far, person)


async def cut_off(far: Far, there: asyncio.subprocess.Process) -> None:
    """B's trainer ends while the lease still keeps others away; then A takes the job over."""
    mine = trainers(there)
    assert len(mine) >= 1
    far.lan.hosts[1].cut()
    began = time.monotonic()
    await until_gone(mine)
    assert time.monotonic() - began < SAFE_SHARE * LEASE_S + LATE_S
    (job,) = await far.jobs()
    assert job.fence == 1

    async def taken() -> bool:
        (found,) = await far.jobs()
        return found.fence == 2

    await eventually(taken, 60)
    assert time.monotonic() - began < LEASE_S + TAKEN_OVER_S


async def comes_back(far: Far, person: WebPerson) -> None:
    """And finds that its job is another's: it writes nothing, and is there for the next one."""
    done = await far.until(0, JobState.DONE)
    before = await far.artifacts(done)
    far.lan.hosts[1].join()
    await far.until_online(2)
    (after,) = await far.jobs()
    # What the chat was shown of it may have moved on; nothing else.
    assert replace(after, sent_version=done.sent_version) == done
    assert done.fence == 2
    assert await far.artifacts(done) == before == ["mochi.safetensors"]
    assert [path.name for path in far.loras.iterdir()] == ["mochi.safetensors"]
    assert len(results(person)) == 1


async def test_a_database_that_nobody_reaches_for_a_while_costs_nothing(far: Far) -> None:
    """Longer than the lease: the trainer ends, and its job is taken once more when all is back."""
    first, second = far.lan.hosts
    async with (
        far.running(first, "-m", "lorabot", "bot") as bot,
        far.person(first) as person,
        far.worker(second, "draw") as there,
    ):
        await order(person, "mochi")
        await far.until_step(0)
        mine = trainers(there)
        before = list(person.in_order())
        for host in (first, second):
            host.cut("d")
        began = time.monotonic()
        asking = asyncio.create_task(ask_for_help(person))
        await until_gone(mine)
        # The fault itself: so long nobody reaches it.
        await asyncio.sleep(AWAY_S - (time.monotonic() - began))
        for host in (first, second):
            host.join("d")
        await asking
        await far.until_step(0, fence=2)
        await person.press("Stop…")
        await person.press("Stop, keep this")
        data = await person.download("⬇")
        done = await far.until(0, JobState.DONE)
        assert (far.loras / "mochi.safetensors").read_bytes() == data
        assert await far.artifacts(done) == ["mochi.safetensors"]
        assert len(results(person)) == 1
        assert {one["id"] for one in before} <= {one["id"] for one in person.in_order()}
        assert bot.returncode is None


async def ask_for_help(person: WebPerson) -> None:
    """Again with the same id, as the page does it, until it is taken; answered once."""
    body = {"id": uuid.uuid4().hex, "text": "/help"}
    while not (await person.http.post("/say", json=body)).is_success:  # noqa: ASYNC110
        await asyncio.sleep(1.0)  # a page's own pause
    await person.until(lambda: person.said("/models"))
    told = [one for one in person.in_order() if one["from"] == "bot" and "/models" in one["text"]]
    assert len(told) == 1
