"""The doorbell through a Redis with users, passwords and TLS; and what is said when it refuses."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from lorabot import doctor_storage
from lorabot.finding import Health
from pipeline import ear
from storage import doorbell
from storage.database import Database
from storage.doorbell import Doorbell
from storage.job import JobState
from storage.settings import Settings
from tests.conftest import eventually
from tests.drawn import photos
from tests.integration.test_worker import Place
from tests.patience import PATIENCE_S
from tests.redis_elsewhere import WORD, Elsewhere, redis_elsewhere

REFUSED = "Redis refuses our user or password"
UNTRUSTED = "Redis has a certificate that we do not trust, or one for another name"


@pytest.fixture
async def elsewhere(tmp_path: Path) -> AsyncIterator[Elsewhere]:
    async with redis_elsewhere(tmp_path) as one:
        yield one


@pytest.mark.parametrize("tls", [False, True])
async def test_the_bell_rings_through_a_redis_with_users(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    # Busy machines need longer for the first handshake than a person should wait.
    monkeypatch.setattr(doorbell, "RING_S", 5.0)
    url = elsewhere.tls() if tls else elsewhere.plain()
    rung = asyncio.Event()
    listening = asyncio.create_task(ear.listen(url, rung.set))
    bell = Doorbell(url)
    assert await bell.ring()
    async with asyncio.timeout(PATIENCE_S):
        await rung.wait()
    await bell.close()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


async def test_the_doctor_says_what_is_wrong_and_no_word_of_the_address(
    elsewhere: Elsewhere, settings: Settings
) -> None:
    cases = {
        elsewhere.plain(): "",
        elsewhere.tls(): "",
        elsewhere.plain("wrong"): REFUSED,
        elsewhere.tls("wrong"): REFUSED,
        elsewhere.plain(user="nobody"): REFUSED,
        elsewhere.tls(trusted=False): UNTRUSTED,
        elsewhere.tls(host="127.0.0.1"): UNTRUSTED,
    }
    for url, wrong in cases.items():
        known = settings.model_copy(update={"redis_url": SecretStr(url)})
        found = await doctor_storage.redis(known)
        assert found.health is (Health.FAIL if wrong else Health.OK), found
        assert found.said == wrong or (not wrong and found.said.endswith(("ms", "ms, TLS")))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "loras").mkdir()
    return Settings(data_dir=tmp_path / "data", lora_dir=tmp_path / "loras", lease_s=2.0)


async def test_a_wrong_password_is_told_once_and_jobs_are_done_all_the_same(
    elsewhere: Elsewhere, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    url = elsewhere.plain("wrong")
    database = await Database.open(settings.database)
    place = Place(settings, database, asyncio.Event())
    task = place.work(redis_url=SecretStr(url))

    async def told() -> bool:
        return REFUSED in caplog.text

    await eventually(told)
    bell = Doorbell(url)
    assert not await bell.ring()
    assert not await bell.ring()
    await bell.close()
    job = await place.order(photos(8))
    await place.until(job, JobState.DELIVERING)
    place.stop.set()
    await task
    await database.close()
    lines = [one.getMessage() for one in caplog.records if "doorbell" in one.getMessage()]
    assert sorted(lines) == [
        f"the doorbell is out of order: {REFUSED}; jobs are looked for without it",
        f"the doorbell is out of order: {REFUSED}; jobs start a little later",
    ]
    assert "wrong" not in caplog.text
    assert WORD not in caplog.text
    assert "Traceback" not in caplog.text
