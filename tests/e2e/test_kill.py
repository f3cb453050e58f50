"""Kill -9 of each process in the middle of a job: one LoRA, and the right words in the chat."""

import asyncio
import hashlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from storage import job_store
from storage.database import Database
from storage.job import Job, JobState
from tests import tiny_base
from tests.drawn import photos
from tests.service import Service
from tests.web_client import WebPerson

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    one = Service(tmp_path, LEASE_S="3")
    # Long enough that there is a middle to kill it in.
    tiny_base.lay(one.data, steps=150)
    yield await one.start()
    if one.process is not None and one.process.returncode is None:
        await one.stop()


async def order(person: WebPerson, name: str) -> None:
    """The whole conversation, from /train to the start button."""
    await person.say("/train")
    await person.press("A character")
    await person.say(name)
    await person.press(f"{name}x")
    if await person.until(lambda: person.button("Demo") or person.said("Now send me")):
        with suppress(AssertionError):
            await person.press("Demo", within_s=2)
    await person.until(lambda: person.said("Now send me"))
    await person.upload(photos(8))
    await person.press("✅ Done")
    await person.press("🚀 Start")


async def the_only_job(service: Service) -> Job:
    database = await Database.open(f"sqlite+aiosqlite:///{service.data / 'lorabot.db'}")
    async with database.read() as tx:
        rows = await tx.exec_driver_sql("SELECT id FROM jobs")
        (job_id,) = [str(row[0]) for row in rows]
        job = await job_store.get(tx, job_id)
    await database.close()
    assert job is not None
    return job


async def trained_some(person: WebPerson) -> None:
    await person.until(lambda: (said := person.said("step ")) and "step 0/" not in said["text"])


async def check_end(service: Service, person: WebPerson, name: str) -> None:
    """Exactly one file, one result, and a status message that says done."""
    data = await person.download("⬇")
    job = await the_only_job(service)
    assert job.state is JobState.DONE
    assert job.artifact is not None
    assert hashlib.sha256(data).hexdigest() == job.artifact.sha256
    assert [path.name for path in service.loras.iterdir()] == [f"{name}.safetensors"]
    assert (service.loras / f"{name}.safetensors").read_bytes() == data
    results = [m for m in person.in_order() if "is ready" in m["text"] and m["from"] == "bot"]
    assert len([m for m in results if any(b["url"] for row in m["buttons"] for b in row)]) == 1
    assert not [m for m in person.in_order() if "step " in m["text"] or "queue" in m["text"]]


Blow = Callable[[Service], Awaitable[None]]


async def blow_worker(service: Service) -> None:
    await service.kill_child("-m lorabot worker")


async def blow_trainer(service: Service) -> None:
    await service.kill_child("-m trainer")


async def blow_bot(service: Service) -> None:
    await service.kill_child("-m lorabot bot")


async def blow_redis(service: Service) -> None:
    await service.kill_child("redis.sock")


async def blow_everything(service: Service) -> None:
    await service.kill()
    await service.start()


@pytest.mark.parametrize(
    "blow",
    [
        blow_worker,
        pytest.param(blow_bot, marks=pytest.mark.long),
        pytest.param(blow_redis, marks=pytest.mark.long),
        pytest.param(blow_everything, marks=pytest.mark.long),
    ],
    ids=lambda one: one.__name__,
)
async def test_a_kill_in_the_middle_of_training_ends_with_one_lora(
    service: Service, blow: Blow
) -> None:
    async with WebPerson(service.address) as person:
        await order(person, "mochi")
        await trained_some(person)
        await blow(service)
        await person.until(lambda: person.button("⬇"), within_s=200)
        await check_end(service, person, "mochi")


@pytest.mark.long
async def test_blow_upon_blow_still_ends_with_one_lora(service: Service) -> None:
    async with WebPerson(service.address) as person:
        await order(person, "mochi")
        for blow in (blow_worker, blow_redis, blow_bot, blow_worker):
            await trained_some(person)
            await service.until_child("-m trainer")
            await blow(service)
        await person.until(lambda: person.button("⬇"), within_s=200)
        await check_end(service, person, "mochi")


@pytest.mark.long
async def test_ctrl_c_stops_everything_and_the_next_start_goes_on(service: Service) -> None:
    async with WebPerson(service.address) as person:
        await order(person, "mochi")
        await trained_some(person)
        children = service.children()
        assert await service.stop() == 0
        assert not [one for one in children if one.is_running()]
        assert (await the_only_job(service)).attempts == 0
        await service.start()
        await person.until(lambda: person.button("⬇"), within_s=200)
        await check_end(service, person, "mochi")


async def test_the_bot_killed_in_mid_conversation_goes_on_where_it_was(service: Service) -> None:
    async with WebPerson(service.address) as person:
        await person.say("/train")
        await person.press("A character")
        await person.until(lambda: person.said("short name"))
        await blow_bot(service)
        await person.say("mochi")
        await person.until(lambda: person.button("mochix"))


@pytest.mark.long
async def test_terminate_is_as_good_as_ctrl_c(service: Service) -> None:
    assert service.process is not None
    service.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20):
        assert await service.process.wait() == 0
