"""What is counted for good: by many at once, and of a real job on its way."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot import counts
from bot.frontend import ChatGoneError, NetworkError, SlowDownError, UncertainError
from pictures.sandbox import Cells
from storage import meter_store
from storage.database import Database
from storage.job import JobState
from storage.meter_store import Meter
from storage.settings import Settings
from tests.chatting import finish, opener
from tests.drawn import photos
from tests.fakes import FakeFrontend
from tests.integration.test_worker import Place, ended


async def counted(database: Database) -> dict[tuple[str, str], float]:
    async with database.read() as tx:
        return {one.key: one.value for one in await meter_store.all_of(tx)}


@pytest.mark.parametrize("database_url", ["sqlite", "postgres"], indirect=True)
async def test_many_count_at_once_and_none_is_lost(database: Database, database_url: str) -> None:
    other = await Database.open(database_url)
    names = ("a", "b", "c")

    async def count(one: Database, order: tuple[str, ...]) -> None:
        async with one.write() as tx:
            await meter_store.add(tx, *(Meter(name, {"base": "x"}) for name in order))

    await asyncio.gather(
        *(count(one, order) for one in (database, other) for order in (names, names[::-1]) * 5)
    )
    await other.close()
    assert set((await counted(database)).values()) == {20.0}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    settings = Settings(data_dir=tmp_path / "data", lora_dir=tmp_path / "loras", lease_s=2.0)
    (tmp_path / "loras").mkdir()
    database = await Database.open(settings.database)
    yield Place(settings, database, asyncio.Event())
    await database.close()


async def test_a_job_leaves_its_stages_its_wait_and_its_photos(place: Place) -> None:
    job = await place.order([*photos(9), b"not a picture"])
    task = place.work()
    await place.until(job, JobState.DELIVERING)
    broken = await place.order(photos(8)[:7])
    await place.until(broken, JobState.FAILED)
    await ended(place, task)
    found = await counted(place.database)
    names = [name for name, _ in found]
    assert found["photos", '{"verdict": "kept"}'] == 9 + 7
    assert found["photos", '{"verdict": "type"}'] == 1
    assert found["failures", '{"base": "demo", "cause": "too_few"}'] == 1
    for stage in ("preparing", "training", "copying"):
        key = f'{{"base": "demo", "le": "sum", "stage": "{stage}"}}'
        assert 0 < found["stage_seconds", key] < 60
    waits = sum(
        value
        for (name, key), value in found.items()
        if name == "queue_seconds" and '"sum"' not in key
    )
    assert waits == 2
    assert "steps" in names


async def test_a_delivery_counts_its_way_once(
    database: Database, cells: Cells, tmp_path: Path
) -> None:
    network = FakeFrontend()
    before = calls("send")
    settings = Settings(data_dir=tmp_path, consent="never")
    start = opener(settings, database, network, cells)
    async with start() as chat:
        job = await chat.order()
        await finish(database, tmp_path, job)
        await chat.until_done(job)
    found = await counted(database)
    ways = {key: value for (name, key), value in found.items() if name == "deliveries"}
    assert ways == {'{"way": "file"}': 1}
    assert calls("send") > before


def calls(call: str) -> float:
    return float(counts.CALLS.labels("tg", call, "ok")._value.get())


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (SlowDownError("429", after_s=1.0), "slow_down"),
        (UncertainError("timeout"), "uncertain"),
        (ChatGoneError("403"), "chat_gone"),
        (NetworkError("500"), "failed"),
        (NetworkError("400", permanent=True), "refused"),
    ],
)
def test_each_refusal_has_its_own_count(error: NetworkError, outcome: str) -> None:
    assert counts.outcome_of(error) == outcome
