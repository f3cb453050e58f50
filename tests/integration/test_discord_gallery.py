"""Samples in public on Discord, and a person who could not be written to: the whole bot."""

import io
import json
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest
from PIL import Image

from pictures.sandbox import Cells
from storage import exhibit_store, job_lists, job_store
from storage.blob_store import LocalBlobs, samples_prefix
from storage.database import Database
from storage.job import Job, JobState, Samples
from storage.schema import jobs
from tests.conftest import eventually
from tests.discord_api import DiscordApi, Member
from tests.discord_api.adapter import Start, starter
from tests.discord_api.interactions import COMPONENT
from tests.discord_api.world import Channel
from tests.drawn import photos
from tests.jobs import waits_for_its_chat

WEIGHTS = b"safetensors"
SHOW = "🖼 Show in the gallery"


@dataclass
class Town:
    """A server with a gallery, and the bot on it."""

    api: DiscordApi
    hall: Channel
    ada: Member
    bot: Start
    database: Database
    folder: Path

    def hangs(self) -> list[str]:
        return [one.text for one in self.api.world.hangs(self.hall)]

    async def trained(self, *, drawn: bool = True) -> Job:
        """A job whose file waits for its chat."""
        job_id = await waits_for_its_chat(self.database, self.ada.name, self.folder, WEIGHTS)
        if drawn:
            picture = io.BytesIO()
            Image.new("RGB", (64, 64), "teal").save(picture, "JPEG")
            key = f"{samples_prefix(job_id)}/grid.jpg"
            await LocalBlobs(self.folder / "blobs").put(key, picture.getvalue())
            samples = Samples(step=100, grid=key, small="", pictures=(key,))
            async with self.database.write() as tx:
                named = jobs.update().where(jobs.c.id == job_id)
                await tx.execute(named.values(samples=json.dumps(asdict(samples))))
        async with self.database.read() as tx:
            job = await job_store.get(tx, job_id)
        assert job is not None
        return job

    async def noted(self) -> None:
        """The rows say what hangs."""

        async def look() -> bool:
            async with self.database.read() as tx:
                return not await exhibit_store.to_do(tx)

        await eventually(look)

    async def until(self, job: Job, state: JobState) -> None:
        async def look() -> bool:
            async with self.database.read() as tx:
                found = await job_store.get(tx, job.id)
            return found is not None and found.state is state

        await eventually(look)


@pytest.fixture
async def town(
    request: pytest.FixtureRequest, database: Database, cells: Cells, tmp_path: Path
) -> AsyncIterator[Town]:
    adult = getattr(request, "param", "") == "adult"
    async with DiscordApi() as api:
        hall = api.open_gallery()
        channel = str(hall.number)
        bot = starter(api, database, cells, tmp_path, adult=adult, discord_gallery_channel=channel)
        yield Town(api, hall, api.person("Ada"), bot, database, tmp_path)


async def test_samples_hang_in_public_only_by_their_owners_press(town: Town) -> None:
    job, ada, ben = await town.trained(), town.ada, town.api.person("Ben")
    async with town.bot():
        await town.until(job, JobState.DONE)
        await ada.presses(SHOW)
        await ada.reads("would see the samples")
        assert town.hangs() == []
        await ada.presses("Show them")
        await ada.reads("hang in the gallery")
        assert town.hangs() == ["mochi · by Ada"]
        (shown,) = town.api.world.hangs(town.hall)
        assert shown.shows_picture
        assert not any(name.endswith(".safetensors") for name in shown.files)
        # A button that everybody sees is worth something in its owner's hand alone.
        await ben.presses("Take it down", on=shown)
        await ben.reads("Only the person whose samples")
        assert town.hangs()
        await ada.presses("Take it down", on=shown)
        await town.ada.until(lambda: not town.hangs())
        await ada.presses(SHOW)
        await ada.reads("would see the samples")
        await ada.presses("Keep them private")
        await ada.reads("Nothing was shown")
    assert town.hangs() == []
    assert (ada.failed, ben.failed) == (0, 0)


async def test_the_library_hangs_an_older_model_and_takes_it_down_again_and_again(
    town: Town,
) -> None:
    job, ada = await town.trained(), town.ada
    async with town.bot():
        await town.until(job, JobState.DONE)
    async with town.bot():
        for _ in range(2):
            # The same message twice within minutes: Discord must not take it for the one that went.
            await ada.types("models", "mochi")
            await ada.reads("Trigger word")
            await ada.presses(SHOW)
            await ada.reads("would see the samples")
            assert town.hangs() == []
            await ada.presses("Show them")
            await ada.until(lambda: town.hangs() == ["mochi · by Ada"])
            await ada.reads("on their way to the gallery")
            await town.noted()
            await ada.presses("Take it down")
            await ada.until(lambda: not town.hangs())
            await ada.reads("are taken down")
            await town.noted()
    assert ada.failed == 0


async def test_without_a_gallery_the_library_offers_none(
    database: Database, cells: Cells, tmp_path: Path
) -> None:
    async with DiscordApi() as api:
        bot = starter(api, database, cells, tmp_path)
        town = Town(api, api.town, api.person("Ada"), bot, database, tmp_path)
        job = await town.trained()
        async with town.bot():
            await town.until(job, JobState.DONE)
            await town.ada.types("models", "mochi")
            shown = await town.ada.reads("Trigger word")
            assert SHOW not in shown.labels
            assert "Rename" in shown.labels


async def test_strangers_cannot_show_what_is_not_theirs(town: Town) -> None:
    job, ben = await town.trained(), town.api.person("Ben")
    async with town.bot():
        await town.until(job, JobState.DONE)
        for verb in ("exhibit", "exhibitnow"):
            forged = {"custom_id": f"{verb}:{job.id}:", "component_type": 2, "id": 1}
            await ben._interact(COMPONENT, forged)
        await ben.until(lambda: len([one for one in ben.sees if "no samples" in one.text]) == 2)
    async with town.database.read() as tx:
        assert await exhibit_store.get(tx, job.id) is None


@pytest.mark.parametrize(
    ("fault", "words"),
    [("closed", "may not post"), ("stranger", "Only members"), ("nothing", "")],
)
async def test_why_it_cannot_hang_is_said(town: Town, fault: str, words: str) -> None:
    job = await town.trained(drawn=fault != "nothing")
    if fault == "closed":
        town.hall.writable = False
    if fault == "stranger":
        town.api.world.strangers.add(town.ada.number)
    async with town.bot():
        await town.until(job, JobState.DONE)
        if fault == "nothing":
            assert not any(SHOW in one.labels for one in town.ada.sees)
            return
        await town.ada.presses(SHOW)
        await town.ada.reads("would see the samples")
        await town.ada.presses("Show them")
        await town.ada.reads(words)
    assert town.hangs() == []
    async with town.database.read() as tx:
        assert await exhibit_store.to_do(tx) == []


@pytest.mark.parametrize("town", ["adult"], indirect=True)
async def test_what_adult_bases_draw_needs_a_channel_for_adults(town: Town) -> None:
    job = await town.trained()
    async with town.bot():
        await town.until(job, JobState.DONE)
        await town.ada.presses(SHOW)
        await town.ada.reads("would see the samples")
        await town.ada.presses("Show them")
        await town.ada.reads("for adults only")
    assert town.hangs() == []


async def test_a_restart_hangs_up_what_was_promised_and_takes_down_what_must_go(
    town: Town,
) -> None:
    job = await town.trained()
    one = exhibit_store.Exhibit(job_id=job.id, person=town.ada.name, place="dc")
    async with town.database.write() as tx:
        await exhibit_store.add(tx, one, now=time.time())
    async with town.bot():
        await town.ada.until(lambda: len(town.hangs()) == 1)
        await town.until(job, JobState.DONE)
        await town.noted()
    async with town.database.write() as tx:
        await exhibit_store.take_down_all(tx, town.ada.name)
    async with town.bot():
        await town.ada.until(lambda: not town.hangs())
        await town.noted()


# --- Retry ---------------------------------------------------------------------------------------


async def test_retry_reaches_a_person_who_has_opened_their_door(town: Town) -> None:
    """Without a thread either: whatever was missed comes after the press."""
    api, ada = town.api, town.ada
    api.world.closed.add(ada.number)
    api.town.threads_allowed = False
    missed = await town.trained(drawn=False)
    async with town.bot():
        await town.until(missed, JobState.DONE)
        opened = await ada.types("train")
        await ada.fills(opened, name="taro", kind="person", photos=photos(9), agree=True)
        await ada.reads("9 photos")
        await ada.presses("✅ Done – use 9")
        await ada.reads("Ready to train")
        await ada.presses("🚀 Start training")
        told = await ada.reads("press Retry")
        assert told.only_for == ada.number
        await ada.presses("🔁 Retry", on=told)
        assert not told.gone
        assert not any(one.channel == ada.dm.number for one in ada.sees)
        api.world.closed.clear()
        await ada.presses("🔁 Retry", on=told)
        await ada.reads("Now I can write to you here")
        await ada.until(lambda: any(one.files for one in ada.sees))
        await ada.until(lambda: told.gone)
        assert any(
            one.channel == ada.dm.number and "mochi.safetensors" in one.files for one in ada.sees
        )
    async with town.database.read() as tx:
        assert len(await job_lists.of_person(tx, ada.name)) == 2
    assert ada.failed == 0
