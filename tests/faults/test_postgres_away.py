"""Postgres goes away under a running bot: it stays, and what people wrote meanwhile has its effect.

Also two transactions that the server sets against each other.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from bot.telegram.inbox import Inbox
from storage import job_store
from storage.database import Database, Tx
from storage.job import Job
from storage.schema import jobs
from tests import postgres
from tests.bot_api import BotApi
from tests.bot_api.adapter import start_process
from tests.conftest import eventually
from tests.jobs import make_job
from tests.service import free_port
from tests.web_client import WebPerson

AWAY = "the database does not answer"


@pytest.fixture
async def server() -> AsyncIterator[postgres.Server]:
    """One that a test may kill."""
    one = await asyncio.to_thread(postgres.Server(postgres.found_or_skip()).create)
    yield one
    one.remove()


@pytest.mark.long
async def test_the_bot_stays_and_takes_what_came_while_the_database_was_away(
    api: BotApi, server: postgres.Server, tmp_path: Path
) -> None:
    ada, port = api.person("Ada"), str(free_port())
    log = tmp_path / "bot.log"

    async def said_that_it_is_away() -> bool:
        return AWAY in log.read_text()

    settings = {"DATABASE_URL": await server.fresh(), "WEB_PORT": port}
    process = await start_process(api, tmp_path, **settings)
    try:
        await ada.says("/help")
        await ada.reads("/train", within_s=60)
        async with WebPerson(f"http://127.0.0.1:{port}") as person:
            server.kill()
            await eventually(said_that_it_is_away)
            await ada.says("/train")
            body = {"id": uuid.uuid4().hex, "text": "/train"}
            refused = await person.http.post("/say", json=body)
            assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
            assert refused.json() == {"error": "That did not work. Please try again in a moment."}
            await asyncio.to_thread(server.start)
            await ada.reads("What should it learn?", within_s=60)
            # The same once more, as the page does it; and a third time, by a doubtful network.
            for _ in range(2):
                (await person.http.post("/say", json=body)).raise_for_status()
            await person.until(lambda: person.button("A character"))
            asked = [one for one in person.in_order() if "What should it learn?" in one["text"]]
            assert len(asked) == 1
        assert len([one for one in ada.sees if "What should it learn?" in one.text]) == 1
        assert process.returncode is None
        assert "Traceback" not in log.read_text()
    finally:
        process.terminate()
        await process.wait()


REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
AS 'BEGIN RAISE EXCEPTION ''no room''; END'
"""
AT_COMMIT = """
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON inbox DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION refuse()
"""


async def test_an_update_whose_commit_failed_is_handled_when_it_comes_again(
    postgres_server: postgres.Server,
) -> None:
    database = await Database.open(await postgres_server.fresh())
    queue: asyncio.Queue[object] = asyncio.Queue()
    inbox = Inbox(database, queue, met=lambda _: None)
    update = {"update_id": 7}

    async def comes() -> None:
        await inbox.keep([update])

    async with database.write() as tx:
        for statement in (REFUSE, AT_COMMIT):
            await tx.execute(sa.text(statement))
    with pytest.raises(DBAPIError, match="no room"):
        await comes()
    assert queue.empty()
    async with database.write() as tx:
        await tx.execute(sa.text("DROP TRIGGER refuse ON inbox"))
    await comes()
    await comes()
    await database.close()
    assert queue.qsize() == 1


async def both(database: Database, first: Job, second: Job, met: asyncio.Barrier) -> int:
    """Both rows, in this order, with everybody at the first one; how often that was begun."""
    tries = 0

    async def change(tx: Tx) -> int:
        nonlocal tries
        tries += 1
        for job in (first, second):
            more = jobs.update().where(jobs.c.id == job.id)
            await tx.execute(more.values(version=jobs.c.version + 1))
            if job is first and tries == 1:
                await met.wait()
        return tries

    return await database.retrying(change)


async def test_a_transaction_that_loses_a_deadlock_is_tried_again(
    postgres_server: postgres.Server,
) -> None:
    url = await postgres_server.fresh()
    one, other = await Database.open(url), await Database.open(url)
    first, second = make_job(), make_job()
    async with one.write() as tx:
        await job_store.add(tx, first)
        await job_store.add(tx, second)
    met = asyncio.Barrier(2)
    tries = await asyncio.gather(both(one, first, second, met), both(other, second, first, met))
    async with one.read() as tx:
        changed = (await tx.execute(sa.select(jobs.c.version))).scalars().all()
    await asyncio.gather(one.close(), other.close())
    assert sorted(tries) == [1, 2]
    assert set(changed) == {first.version + 2}


async def test_another_error_is_not_tried_again(postgres_server: postgres.Server) -> None:
    database = await Database.open(await postgres_server.fresh())
    tries = 0

    async def change(tx: Tx) -> None:
        nonlocal tries
        tries += 1
        await tx.execute(sa.text("SELECT 1 / 0"))

    with pytest.raises(DBAPIError, match="division by zero"):
        await database.retrying(change)
    await database.close()
    assert tries == 1
