"""What the operator's programs ask for, over real HTTP: who gets an answer, and is it true."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from bot import counts
from bot.frontend import Incoming
from bot.frontends.web import Site, Web
from bot.links import Links
from bot.web.health import Operations
from lorabot.operations import operations_of
from pictures.sandbox import Cells
from storage import access_store, clock, job_store, meter_store, worker_store
from storage.blob_store import LocalBlobs
from storage.database import Database
from storage.job import JobState
from storage.meter_store import DELIVERIES, PHOTOS, STAGE_SECONDS, Meter, timed
from storage.redis_server import RedisServer
from storage.roster import Card
from storage.settings import Settings
from tests.jobs import make_job
from tests.web_client import WebPerson

TOKEN = "a-long-token"
FOUND = [("ok", "disk", "12 GB free", ""), ("FAIL", "redis", "no answer", "check REDIS_URL")]


async def checkup() -> list[tuple[str, str, str, str]]:
    return FOUND


async def receive(_: Incoming) -> None:
    """Nobody talks here."""


@dataclass
class Served:
    address: str
    database: Database

    async def get(self, path: str, **headers: str | bytes) -> httpx.Response:
        named = [(name.replace("_", "-").encode(), bytes_of(one)) for name, one in headers.items()]
        async with httpx.AsyncClient(base_url=self.address) as program:
            return await program.get(path, headers=named)

    async def beat(self, age_s: float = 0.0, *cards: Card) -> None:
        async with self.database.write() as tx:
            now = await clock.now(tx)
            await worker_store.beat(tx, "gpu1:7", "gpu1", [], now=now - age_s, cards=cards)


def bytes_of(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


@asynccontextmanager
async def serve(database: Database, folder: Path, operations: Operations) -> AsyncIterator[Served]:
    site = Site(
        secret="secret",
        spool=folder / "spool",
        port=0,
        public_url="https://loras.example",
        operations=operations,
    )
    cells = Cells(1)
    web = Web(database, LocalBlobs(folder / "blobs"), Links("secret", hours=1), site, cells)
    address = web.listen()
    running = asyncio.create_task(web.run(receive))
    await web.ready.wait()
    try:
        yield Served(address, database)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await cells.close()


@pytest.fixture
async def served(database: Database, tmp_path: Path) -> AsyncIterator[Served]:
    known = Operations(metrics_token=TOKEN, folders={"data": tmp_path}, checkup=checkup)
    async with serve(database, tmp_path, known) as one:
        yield one


async def test_it_is_ready_as_long_as_a_worker_was_seen_in_the_last_minute(served: Served) -> None:
    assert (await served.get("/healthz")).text == "ok\n"
    without = await served.get("/readyz")
    assert (without.status_code, without.json()) == (503, {"ready": False, "missing": ["worker"]})
    await served.beat()
    there = await served.get("/readyz")
    assert (there.status_code, there.json()) == (200, {"ready": True, "missing": []})
    await served.beat(age_s=61)
    assert (await served.get("/readyz")).json()["missing"] == ["worker"]


async def test_a_redis_that_is_configured_has_to_answer(database: Database, tmp_path: Path) -> None:
    server = RedisServer(tmp_path / "r.sock")
    path = await server.start()
    assert path is not None
    async with serve(database, tmp_path, Operations(redis_url=f"unix://{path}")) as served:
        await served.beat()
        assert (await served.get("/readyz")).status_code == 200
        await server.stop()
        assert (await served.get("/readyz")).json()["missing"] == ["redis"]


async def test_a_database_that_is_gone_is_told(served: Served) -> None:
    await served.database.close()
    async with served.database.read() as tx:
        await tx.exec_driver_sql("SELECT 1")
    async with served.database.write() as tx:
        await tx.exec_driver_sql("DROP TABLE workers")
    missing = (await served.get("/readyz")).json()["missing"]
    assert missing == ["database", "worker"]
    assert (await served.get("/healthz")).status_code == 200
    assert (await served.get("/metrics")).status_code == 503


async def fill(database: Database) -> None:
    async with database.write() as tx:
        for state in (JobState.QUEUED, JobState.QUEUED, JobState.FAILED):
            await job_store.add(tx, make_job(state=state, name="ada", person="tg:77"))
        await meter_store.add(tx, *timed(STAGE_SECONDS, {"base": "demo", "stage": "training"}, 7))
        await meter_store.add(tx, *timed(STAGE_SECONDS, {"base": "demo", "stage": "training"}, 90))
        await meter_store.add(tx, Meter(PHOTOS, {"verdict": "kept"}, 9))
        await meter_store.add(tx, Meter(PHOTOS, {"verdict": "kept"}, 8))
        await meter_store.add(tx, Meter(DELIVERIES, {"way": "twin"}))


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            found[one.name, frozenset(one.labels.items())] = one.value
    return found


async def test_the_metrics_are_what_the_rows_say(served: Served) -> None:
    await fill(served.database)
    await served.beat(20, Card(number=0, name="L4", used_bytes=3, all_bytes=24, busy_percent=50))
    text = (await served.get("/metrics")).text
    found = samples(text)

    def value(name: str, **labels: str) -> float:
        return found[f"lorabot_{name}", frozenset(labels.items())]

    assert value("jobs", state="queued", base="demo") == 2
    assert value("jobs", state="failed", base="demo") == 1
    assert value("photos_total", verdict="kept") == 17
    assert value("deliveries_total", way="twin") == 1
    stage = {"base": "demo", "stage": "training"}
    assert value("stage_seconds_bucket", le="15", **stage) == 1
    assert value("stage_seconds_bucket", le="180", **stage) == 2
    assert value("stage_seconds_count", **stage) == 2
    assert value("stage_seconds_sum", **stage) == 97
    assert 20 <= value("worker_heartbeat_age_seconds", worker="gpu1:7", host="gpu1") < 40
    assert value("gpu_memory_bytes", host="gpu1", gpu="0", kind="total") == 24
    assert value("gpu_busy_ratio", host="gpu1", gpu="0") == 0.5
    assert value("disk_free_bytes", folder="data") > 0
    assert value("queue_oldest_seconds") > time.time() - 2000
    assert ("process_resident_memory_bytes", frozenset()) in found
    assert "ada" not in text
    assert "tg:77" not in text


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
async def test_to_strangers_they_do_not_exist(served: Served, path: str) -> None:
    strangers: tuple[dict[str, str | bytes], ...] = (
        {"host": "loras.example"},
        {"host": "evil.example"},
        {"x_forwarded_for": "203.0.113.1"},
        {"authorization": "Bearer wrong", "host": "loras.example"},
        {"authorization": "Bearer", "x_real_ip": "203.0.113.1"},
        {"authorization": b"Bearer wr\xf6ng", "host": "loras.example"},
    )
    for headers in strangers:
        answer = await served.get(path, **headers)
        assert (answer.status_code, answer.text) == (404, "Not Found\n"), headers
    async with httpx.AsyncClient(base_url=served.address) as program:
        assert (await program.post(path)).status_code == 404


async def test_whoever_brings_the_token_may_ask_from_anywhere(served: Served) -> None:
    bearer = {"authorization": f"Bearer {TOKEN}", "host": "bot:8765", "via": "1.1 proxy"}
    answer = await served.get("/metrics", **bearer)
    assert answer.status_code == 200
    assert "lorabot_info" in answer.text


async def test_an_empty_token_opens_nothing(database: Database, tmp_path: Path) -> None:
    async with serve(database, tmp_path, Operations()) as served:
        for word in ("Bearer", "Basic", "Bearer x"):
            answer = await served.get("/metrics", authorization=word, host="loras.example")
            assert answer.status_code == 404


async def test_only_an_admin_may_have_the_machine_examined(served: Served) -> None:
    async with httpx.AsyncClient(base_url=served.address) as nobody:
        own = {"origin": served.address}
        assert (await nobody.post("/config/test", headers=own)).status_code == 404
    async with WebPerson(served.address) as visitor:
        await visitor.until(lambda: visitor.chat)
        assert (await visitor.http.post("/config/test")).status_code == 404
        async with served.database.write() as tx:
            await access_store.make_admin(tx, visitor.chat, by="", now=1.0)
        answer = await visitor.http.post("/config/test")
        assert answer.json()[1] == {
            "health": "FAIL",
            "what": "redis",
            "said": "no answer",
            "fix": "check REDIS_URL",
        }
        forged = await visitor.http.post("/config/test", headers={"origin": "https://evil.example"})
        assert forged.status_code == 403
        assert (await visitor.http.get("/config/test")).status_code == 405


def test_the_settings_open_what_they_name(tmp_path: Path) -> None:
    known = operations_of(
        Settings(
            data_dir=tmp_path,
            lora_dir=tmp_path,
            metrics_token=SecretStr("t"),
            redis_url=SecretStr("unix:///r"),
        )
    )
    assert (known.metrics_token, known.redis_url) == ("t", "unix:///r")
    assert set(known.folders) == {"data", "loras"}
    assert "unix:///r" not in repr(known)


async def test_the_dashboard_asks_for_what_there_is(served: Served) -> None:
    counts.called("tg", "send")
    counts.COALESCED.labels("tg").inc()
    await fill(served.database)
    known = {name for name, _ in samples((await served.get("/metrics")).text)}
    known |= {"lorabot_" + name for name in ("queue_seconds_bucket", "failures_total")}
    known |= {"lorabot_" + name for name in ("gpu_memory_bytes", "training_steps_per_second")}
    known.add("lorabot_worker_heartbeat_age_seconds")
    text = (Path(__file__).parents[2] / "docs" / "grafana.json").read_text()
    asked = set(re.findall(r"lorabot_[a-z_]+", text))
    assert len(asked) > 10
    assert asked <= known
