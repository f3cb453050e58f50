"""The log of a job whose worker has another data folder; and its end."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bot.events import Choice, Command
from bot.frontend import Limits
from pictures.sandbox import Cells
from pipeline import job_logs
from pipeline.shop import Shop
from storage import job_lists, job_store, log_files, quota_store
from storage.blob_store import LocalBlobs
from storage.database import Database
from storage.job import Job, JobState
from storage.settings import Settings
from tests.chatting import ME, Chat, Open, opener
from tests.conftest import eventually
from tests.fakes import FakeFrontend
from tests.jobs import make_job

SAID = "  5%|#  | 1/20\n/data/work/x/dataset: 'a photo of mochix woman'\nstep 1 of mochi\nend\n"


@pytest.fixture
def bot(database: Database, cells: Cells, tmp_path: Path) -> Open:
    settings = Settings(
        data_dir=tmp_path,
        admin_ids=frozenset({"tg:9"}),
        max_jobs_per_day=1,
        consent="never",
    )
    # Without files, so that the log stands in the chat itself.
    return opener(settings, database, FakeFrontend(limits=Limits(text=100_000)), cells)


def shop(database: Database, tmp_path: Path, *, store: str = "blobs") -> Shop:
    """A worker's, on a machine of its own: all it shares are the database and the blobs."""
    there = tmp_path / "another-host"
    parts = dict.fromkeys(("bases", "backend", "cells", "eyes", "limits"))
    return Shop(
        settings=Settings(data_dir=there, retention_days=7),
        database=database,
        blobs=LocalBlobs(tmp_path / store),
        **parts,  # type: ignore[arg-type]  # a log needs none of them
    )


async def spoke(one: Shop, job: Job, said: str = SAID) -> Path:
    """What a trainer leaves at its end."""
    path = log_files.whole(one.settings.data_dir / "logs", job.id)
    await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
    await asyncio.to_thread(path.write_text, said, "utf-8")
    await job_logs.keep(job, one, path)
    return path


async def added(database: Database, **changes: object) -> Job:
    job = make_job(chat=ME, person=ME, created_at=time.time(), **changes)
    async with database.write() as tx:
        await job_store.add(tx, job)
    return job


async def log_of(chat: Chat, job: Job) -> str:
    await chat.do(Command("log", job.code), "tg:9")

    async def sent() -> str:
        texts = chat.network.texts("tg:9")
        return next((text for text in reversed(texts) if "The log of" in text), "")

    return str(await eventually(sent))


async def test_an_admin_reads_the_log_of_another_machine_without_names(
    bot: Open, database: Database, tmp_path: Path
) -> None:
    job = await added(database, state=JobState.TRAINING, fence=1)
    host = shop(database, tmp_path)
    await spoke(host, job, "the first attempt")
    await spoke(host, replace(job, fence=12))
    kept = await log_files.newest(host.blobs, job.id)
    assert kept.splitlines()[-2:] == ["step 1 of …", "end"]
    assert not any(word in kept for word in ("mochi", "/data", "photo of", "20%"))
    async with bot() as chat:
        shown = await log_of(chat, job)
    assert "step 1 of …" in shown
    assert "first attempt" not in shown


async def test_the_whole_log_goes_with_its_job_and_after_its_days(
    database: Database, tmp_path: Path
) -> None:
    host = shop(database, tmp_path)
    job = await added(database)
    (tmp_path / "another-host" / "logs").mkdir(parents=True)
    nobodys = log_files.whole(tmp_path / "another-host" / "logs", "0" * 26)
    nobodys.write_text("of somebody who was forgotten")
    other = nobodys.with_name("worker.log")
    other.write_text("the worker's own")
    mine = await spoke(host, job)
    assert not nobodys.exists()
    assert other.exists()
    assert mine.exists()
    days = shop(database, tmp_path)
    days.settings.__dict__["retention_days"] = 1e-9
    await spoke(days, job)
    assert not mine.exists()


async def test_a_store_that_is_away_costs_the_log_and_nothing_else(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "away").write_text("not a folder")
    await spoke(shop(database, tmp_path, store="away"), await added(database))
    assert "was not kept" in caplog.text


async def test_to_be_forgotten_takes_the_logs_and_keeps_the_days_count(
    bot: Open, database: Database, tmp_path: Path
) -> None:
    async with bot() as chat:
        job = await added(database, state=JobState.DONE)
        await spoke(shop(database, tmp_path), job)
        here = log_files.whole(tmp_path / "logs", job.id)
        here.parent.mkdir(exist_ok=True)
        here.write_text(SAID)
        await chat.do(Choice("forgetnow"))
        await chat.reads("everything else that I kept of you")
        assert await log_files.newest(LocalBlobs(tmp_path / "blobs"), job.id) == ""
        assert not here.exists()
        async with database.read() as tx:
            assert not await job_lists.of_person(tx, ME)
        # Back at once: the day goes on.
        with pytest.raises(IndexError):
            await chat.order()
        await chat.reads("the limit here is 1 a day")
        janitor = chat.bot.dialogue.registrar.janitor
        digest = quota_store.digest_of(janitor.secret, ME)
        async with database.read() as tx:
            now = time.time()
            kept = await quota_store.of_person(tx, ME, (0, 1), now=now, digest=digest)
            later = await quota_store.of_person(tx, ME, (0, 1), now=now + 86_401, digest=digest)
        assert (kept.today, later.today) == (1, 0)
        assert ME not in digest
