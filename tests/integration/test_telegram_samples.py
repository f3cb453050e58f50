"""A training as it is met on Telegram: its samples, its chart, and the ways to stop it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pictures.sandbox import Cells
from pipeline import worker
from storage import job_lists, job_store
from storage.database import Database
from storage.job import Job, JobState
from storage.settings import Settings
from tests.bot_api import BotApi, Person
from tests.bot_api.adapter import starter
from tests.bot_api.shown import Shown
from tests.conftest import eventually
from tests.stand_in_trainer import StandIn

pytestmark = pytest.mark.timeout(240)


class Place:
    """The bot, a worker with a trainer that draws, and somebody who has ordered a training."""

    def __init__(self, api: BotApi, folder: Path, database: Database, cells: Cells) -> None:
        self.ada = api.person("Ada")
        self.bea = api.person("Bea")
        self.bot = starter(api, database, cells, folder, consent="auto")
        self._database = database
        self._settings = Settings(data_dir=folder, lease_s=2.0)

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        running = asyncio.create_task(
            worker.serve(self._settings, stop=stop, backend=StandIn("draw"))
        )
        try:
            yield
        finally:
            stop.set()
            await running

    async def order(self) -> None:
        ada = self.ada
        await ada.says("/train")
        await ada.reads("Before I look at your photos")
        await ada.presses("I agree – start")
        await ada.reads("What should it learn?")
        await ada.presses("A person")
        await ada.reads("short name")
        await ada.says("mochi")
        await ada.reads("trigger word")
        await ada.presses("mochix")
        await ada.reads("Now send me")
        await ada.sends_photos(9)
        await ada.reads("9 photos")
        await ada.presses("✅ Done – use 9")
        await ada.reads("Ready to train mochi")
        await ada.presses("🚀 Start training")

    async def job(self) -> Job:
        async with self._database.read() as tx:
            (job,) = await job_lists.of_person(tx, self.ada.name)
        return job

    async def write_samples_ref(self, job: Job, ref: str) -> None:
        async with self._database.write() as tx:
            await job_store.mark_sent(tx, job.id, job.sent_version, samples_ref=ref)

    async def until(self, state: JobState) -> Job:
        async def look() -> Job | None:
            job = await self.job()
            return job if job.state is state else None

        found = await eventually(look)
        assert isinstance(found, Job)
        return found


@pytest.fixture
def place(api: BotApi, database: Database, cells: Cells, tmp_path: Path) -> Place:
    return Place(api, tmp_path, database, cells)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """The one that the worker opens, too."""
    opened = await Database.open(Settings(data_dir=tmp_path).database)
    yield opened
    await opened.close()


def pictures(person: Person, words: str) -> list[Shown]:
    return [shown for shown in person.sees if words in shown.text and shown.media is not None]


async def test_samples_are_one_message_and_a_training_may_be_kept_before_its_end(
    place: Place,
) -> None:
    ada = place.ada
    async with place.bot(), place.worker():
        await place.order()
        first = await ada.reads("samples after")
        before = first.data
        assert first.silent
        assert "1 · mochix person" in first.text
        await ada.reads("step ")
        await ada.presses("🖼 Sample now")
        await ada.reads("Samples of mochi come in a moment.")

        async def changed() -> bool:
            return first.data != before

        await eventually(changed)
        assert len(pictures(ada, "samples after")) == 1
        await ada.presses("📉 Loss chart")
        assert (await ada.reads("how well it learns")).data.startswith(b"\xff\xd8")
        await ada.presses("Stop…")
        question = await ada.reads("Stop mochi at")
        assert question.labels == ["Stop, keep this", "Stop, throw away", "Go on"]
        await ada.presses("Stop, keep this")
        await ada.reads("ends here and keeps")
        result = await ada.reads("is ready")
        assert result.file_name == "mochi.safetensors"
        assert not result.silent
        assert "where you stopped it" in result.text
        document = (result.media or {})["document"]
        assert isinstance(document, dict)
        assert document["thumbnail"]["width"] <= 320
        done = await place.until(JobState.DONE)
    assert done.taken is not None
    assert done.taken.step < done.params.max_steps
    assert len(pictures(ada, "samples after")) == 1


async def test_a_bot_that_starts_again_goes_on_with_the_same_message(place: Place) -> None:
    ada = place.ada
    async with place.worker():
        async with place.bot():
            await place.order()
            first = await ada.reads("samples after")
            await ada.reads("step ")

            async def noted() -> bool:
                return (await place.job()).samples_ref.endswith(":media")

            await eventually(noted)
        before = first.data
        async with place.bot():
            await ada.presses("🖼 Sample now")

            async def changed() -> bool:
                return first.data != before

            await eventually(changed)
            await ada.presses("Stop…")
            await ada.reads("Stop mochi at")
            await ada.presses("Stop, throw away")
            await ada.reads("cancelled")
        await place.until(JobState.CANCELLED)
    assert len(pictures(ada, "samples after")) == 1


async def test_samples_that_may_have_arrived_are_not_sent_again(place: Place) -> None:
    """What the row says after a kill between the send and its commit: nobody knows the name."""
    ada = place.ada
    async with place.worker():
        async with place.bot():
            await place.order()
            await ada.reads("samples after")

            async def noted() -> bool:
                return (await place.job()).samples_ref.endswith(":media")

            await eventually(noted)
        job = await place.job()
        shown = job.samples_ref.partition("|")[0]
        await place.write_samples_ref(job, f"{shown}|")
        async with place.bot():
            await ada.reads("step ")
            await ada.presses("Stop…")
            await ada.reads("Stop mochi at")
            await ada.presses("Stop, throw away")
            await ada.reads("cancelled")
    assert len(pictures(ada, "samples after")) == 1


async def test_nobody_else_can_steer_a_training(place: Place) -> None:
    ada, bea = place.ada, place.bea
    async with place.bot(), place.worker():
        await place.order()
        status = await ada.reads("step ")
        job = await place.job()
        for count, verb in enumerate(("samples", "chart", "stop", "stopkeep", "stopnow"), start=1):
            bea.presses_data(status, f"{verb}:{job.id}:")

            async def refused(times: int = count) -> bool:
                return [one.text[:16] for one in bea.sees] == ["This menu is old"] * times

            await eventually(refused)
        job = await place.job()
        assert (job.state, job.asked_samples, job.asked_finish) == (JobState.TRAINING, 0, False)
        await ada.presses("Stop…")
        await ada.reads("Stop mochi at")
        await ada.presses("Stop, throw away")
        await ada.reads("cancelled")
