"""What the doctor says of real databases, a real Redis and real files: the state, and the fix."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import SecretStr

from lorabot import doctor, doctor_storage
from lorabot.finding import Finding, Health
from storage import clock, migrate, worker_store
from storage.database import Database
from storage.redis_server import RedisServer
from storage.settings import Settings
from tests import postgres
from tests.service import free_port


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o700)
    return Settings(data_dir=tmp_path)


def at(settings: Settings, url: str) -> Settings:
    return settings.model_copy(update={"database_url": SecretStr(url)})


async def test_looking_makes_no_database(settings: Settings) -> None:
    assert (await doctor_storage.database(settings)).health is Health.OK
    assert (await doctor_storage.workers(settings)).health is Health.OK
    assert list(settings.data_dir.iterdir()) == []


async def test_the_database_s_line_names_kind_and_schema(settings: Settings) -> None:
    await (await Database.open(settings.database)).close()
    found = await doctor_storage.database(settings)
    assert found.health is Health.OK
    assert found.said.startswith(f"SQLite, schema {migrate.HEAD}, can be written")


async def test_an_older_schema_is_left_as_it_is(settings: Settings) -> None:
    await (await Database.open(settings.database)).close()
    set_schema(settings, "0003")
    found = await doctor_storage.database(settings)
    assert (found.health, "0003; the next start makes" in found.said) == (Health.OK, True)
    assert "0003" in (await doctor_storage.database(settings)).said


async def test_a_newer_schema_asks_for_an_update(settings: Settings) -> None:
    await (await Database.open(settings.database)).close()
    set_schema(settings, "9999")
    found = await doctor_storage.database(settings)
    assert found.health is Health.FAIL
    assert "update this lorabot" in found.fix


def set_schema(settings: Settings, version: str) -> None:
    with closing(sqlite3.connect(settings.data_dir / "lorabot.db")) as file:
        file.execute(f"UPDATE alembic_version SET version_num = '{version}'")
        file.commit()


async def test_a_damaged_file_leads_to_the_backup(settings: Settings) -> None:
    (settings.data_dir / "lorabot.db").write_bytes(b"no database at all" * 100)
    found = await doctor_storage.database(settings)
    assert found.health is Health.FAIL
    assert "restore" in found.fix


async def test_postgres_is_named_with_its_version(
    settings: Settings, postgres_server: postgres.Server
) -> None:
    found = await doctor_storage.database(at(settings, await postgres_server.fresh()))
    assert found.health is Health.OK
    assert found.said.startswith("Postgres ")
    away = at(settings, f"postgresql://lorabot:pass-word@127.0.0.1:{free_port()}/lorabot")
    found = await doctor_storage.database(away)
    assert found.health is Health.FAIL
    assert "pass-word" not in found.said + found.fix


async def test_workers_count_while_they_are_heard(settings: Settings) -> None:
    database = await Database.open(settings.database)
    assert (await doctor_storage.workers(settings)).said == "none is running"
    async with database.write() as tx:
        now = await clock.now(tx)
        await worker_store.beat(tx, "a:1", "a", [], now=now)
        await worker_store.beat(tx, "b:1", "b", [], now=now - 61)
    await database.close()
    assert (await doctor_storage.workers(settings)).said == "1 on a"


async def test_redis_answers_in_milliseconds_or_not_at_all(settings: Settings) -> None:
    server = RedisServer(settings.data_dir / "r.sock")
    path = await server.start()
    known = settings.model_copy(update={"redis_url": SecretStr(f"unix://{path}")})
    found = await doctor_storage.redis(known)
    assert (found.health, found.said.endswith(" ms")) == (Health.OK, True)
    await server.stop()
    found = await doctor_storage.redis(known)
    assert (found.health, found.fix) == (Health.FAIL, "check REDIS_URL")


async def test_secret_files_that_others_may_read_are_named(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, token = tmp_path / "secret.key", tmp_path / "token"
    for path in (key, token):
        path.write_text("x")
        path.chmod(0o600)
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN_FILE", str(token))
    assert (await doctor_storage.secret_files(settings)).health is Health.OK
    key.chmod(0o640)
    token.chmod(0o604)
    found = await doctor_storage.secret_files(settings)
    assert (found.health, found.fix) == (Health.WARN, f"chmod go= {key} {token}")


async def test_a_check_that_fails_or_hangs_is_a_line_and_the_others_follow(
    settings: Settings,
) -> None:
    async def hangs(_: Settings) -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    async def breaks_down(_: Settings) -> Finding:
        raise KeyError("name of somebody")

    checks = (hangs, breaks_down, doctor_storage.data_folder)
    found = await doctor.examine(settings, checks, patience_s=0.1)
    assert [(one.what, one.health) for one in found[:2]] == [
        ("hangs", Health.FAIL),
        ("breaks down", Health.FAIL),
    ]
    assert found[2].what == "data"
    assert "somebody" not in repr(found)
