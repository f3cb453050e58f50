"""Jobs whose files lie in a bucket: through its faults, and with bot and worker on two hosts."""

import asyncio
import hashlib
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.blocklist import Blocklist
from bot.events import FileRefused, PhotoReceived
from bot.frontend import Attachment
from bot.intake import Intake
from pictures.sandbox import Cells
from storage import job_store
from storage.blobs import Blobs
from storage.database import Database
from storage.job import Job, JobState
from storage.settings import Settings
from storage.stores import blobs_of
from tests import postgres, tiny_base
from tests.conftest import eventually
from tests.drawn import photos
from tests.e2e.test_kill import order
from tests.fakes import FakeFrontend
from tests.faulty_proxy import Fault, FaultyProxy, faulty_proxy
from tests.integration.test_worker import Place, ended
from tests.s3 import S3, environment
from tests.service import free_port
from tests.web_client import WebPerson

ROOT = Path(__file__).parents[2]
AWAY = "no job is claimed, because"


@dataclass
class Host:
    """A worker's place, whose files go through a proxy that breaks things."""

    place: Place
    proxy: FaultyProxy
    straight: Blobs

    async def files(self, prefix: str) -> list[str]:
        return await self.straight.older(prefix, before=time.time() + 60)


@pytest.fixture
async def host(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Host]:
    monkeypatch.setattr("pipeline.worker.STORE_PATIENCE_S", 0.3)
    (tmp_path / "loras").mkdir()
    async with faulty_proxy(s3.address) as proxy:
        changes = {"lora_dir": tmp_path / "loras", "lease_s": 2.0}
        settings = s3.settings(tmp_path / "data", proxy.address, **changes)
        straight = blobs_of(settings.model_copy(update={"aws_endpoint_url": s3.address}))
        database = await Database.open(settings.database)
        yield Host(Place(settings, database, asyncio.Event()), proxy, straight)
        await database.close()


async def until_said(caplog: pytest.LogCaptureFixture, words: str) -> None:
    async def look() -> bool:
        return words in caplog.text

    await eventually(look)


async def check_end(host: Host, job: Job) -> None:
    """One artifact in the store, the same in the folder, and no attempt used up by the store."""
    done = await host.place.until(job, JobState.DELIVERING, JobState.FAILED)
    assert done.state is JobState.DELIVERING, done.failure
    assert done.artifact is not None
    assert done.attempts == 1
    assert await host.files(f"artifacts/{job.id}") == ["mochi.safetensors"]
    data = await host.straight.get(done.artifact.key)
    assert hashlib.sha256(data).hexdigest() == done.artifact.sha256
    assert host.place.loras == ["mochi.safetensors"]
    assert host.place.settings.lora_dir is not None
    assert (host.place.settings.lora_dir / "mochi.safetensors").read_bytes() == data
    assert not (host.place.settings.data_dir / "blobs").exists()


FAULTS = [
    (Fault.BUSY, "photos", "answers 503"),
    pytest.param(Fault.FORBIDDEN, "photos", "refuses our key", marks=pytest.mark.long),
    (Fault.RESET, "PUT.*artifacts", "does not answer"),
    pytest.param(Fault.CUT_UP, "PUT.*artifacts", "does not answer", marks=pytest.mark.long),
]


@pytest.mark.parametrize(("fault", "only", "words"), FAULTS)
async def test_a_job_outlives_a_store_that_comes_back(
    host: Host, caplog: pytest.LogCaptureFixture, fault: Fault, only: str, words: str
) -> None:
    job = await host.place.order(photos(8))
    host.proxy.fail(fault, only=only)
    task = host.place.work()
    await until_said(caplog, f"back in the queue, because the store {words}")
    assert (await host.place.get(job)).attempts <= 1
    host.proxy.heal()
    await check_end(host, job)
    await ended(host.place, task)


async def test_while_the_store_is_away_no_job_is_taken_and_the_admin_is_told(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    job = await host.place.order(photos(8))
    host.proxy.fail(Fault.BUSY)
    task = host.place.work()
    await until_said(caplog, f"{AWAY} the store answers 503: see `lorabot doctor`")
    asked = len(host.proxy.broken)

    async def asks_on() -> bool:
        return len(host.proxy.broken) > asked + 2

    await eventually(asks_on)
    assert (await host.place.get(job)).state is JobState.QUEUED
    assert caplog.text.count(AWAY) == 1
    host.proxy.heal()
    await check_end(host, job)
    await ended(host.place, task)


async def test_a_cancel_does_not_wait_for_the_store(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.worker.STORE_PATIENCE_S", 600.0)
    job = await host.place.order(photos(8))
    host.proxy.fail(Fault.BUSY, only="GET|HEAD")
    task = host.place.work()
    await host.place.until(job, JobState.PREPARING)
    async with host.place.database.write() as tx:
        await job_store.request_cancel(tx, job.id, now=time.time())
    await host.place.until(job, JobState.CANCELLED)
    host.proxy.heal()
    await ended(host.place, task)


async def test_a_photo_is_not_said_to_be_there_before_it_is_kept(
    host: Host, cells: Cells, tmp_path: Path
) -> None:
    blobs = blobs_of(host.place.settings, patience_s=0.3)
    frontends = {"tg": FakeFrontend()}
    blocklist = Blocklist(tmp_path / "none")
    intake = Intake(blobs=blobs, cells=cells, frontends=frontends, blocklist=blocklist)
    (data,) = photos(1)

    async def fetch() -> bytes:
        return data

    host.proxy.fail(Fault.BUSY, only="PUT")
    (refused,) = await intake.take([Attachment(fetch=fetch)], "tg")
    assert isinstance(refused, FileRefused)
    assert refused.code == "photo.fetch"
    assert await host.files("photos") == []
    host.proxy.heal()
    (received,) = await intake.take([Attachment(fetch=fetch)], "tg")
    assert isinstance(received, PhotoReceived)
    assert await host.files("photos") == [received.photo.sha256]


@asynccontextmanager
async def running(*command: str, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    one = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *command),
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", **settings},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield one
    finally:
        if one.returncode is None:
            one.terminate()
        await one.communicate()


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_bot_and_worker_on_two_hosts_share_a_database_and_a_bucket_alone(
    postgres_server: postgres.Server, s3: S3, tmp_path: Path
) -> None:
    """Each has a data folder of its own. Photos in, file out, and at the end nothing is left."""
    here, there, loras = tmp_path / "bot", tmp_path / "worker", tmp_path / "loras"
    loras.mkdir()
    for folder in (here, there):
        folder.mkdir()
        # The stand-in reads no base; that there is one is enough.
        (folder / "bases.toml").write_text(tiny_base.LIST.format(path=folder, steps=20))
    port = str(free_port())
    settings = s3.settings(here)
    shared = {"DATABASE_URL": await postgres_server.fresh(), **environment(settings)}
    worker = ("tests.integration.test_pipeline_kill", str(there), str(loras), "nowhere", "draw")
    bot = {"DATA_DIR": str(here), "WEB_PORT": port, **shared}
    async with running("lorabot", "bot", **bot) as one, running(*worker, **shared):
        assert one.stdout is not None
        await one.stdout.readline()
        async with WebPerson(f"http://127.0.0.1:{port}") as person:
            await order(person, "mochi")
            await check_pictures(person)
            await person.press("Stop…")
            await person.press("Stop, keep this")
            data = await person.download("⬇")
            assert data == (loras / "mochi.safetensors").read_bytes()
            await check_places(settings, here, there)
            await person.say("/delete")
            await person.press("Delete everything about me")
            await person.press("Yes, delete")
            await nothing_is_left(settings)


async def check_pictures(person: WebPerson) -> None:
    """What the training drew is shown by the bot, which never had its file."""
    name = await person.until(
        lambda: next((m["picture"] for m in person.in_order() if m.get("picture")), None)
    )
    answer = await person.http.get(f"/shown/{name}")
    assert answer.headers["content-type"] == "image/jpeg"


async def check_places(settings: Settings, here: Path, there: Path) -> None:
    blobs = blobs_of(settings)
    later = time.time() + 60
    assert len(await blobs.older("photos", before=later)) == 8
    assert await blobs.older("artifacts", before=later)
    assert not (here / "blobs").exists()
    assert not (there / "blobs").exists()


async def nothing_is_left(settings: Settings) -> None:
    blobs = blobs_of(settings)

    async def look() -> bool:
        later = time.time() + 60
        kinds = ("photos", "artifacts", "samples", "shown", "logs")
        return not [name for kind in kinds for name in await blobs.older(kind, before=later)]

    await eventually(look)
