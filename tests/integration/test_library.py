"""The library through the whole bot: on the web page, on Telegram, and what is left on the disk."""

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.facts import MODELS_ON_A_PAGE
from bot.frontend import Frontend
from bot.frontends.web import Site, Web
from bot.links import Links
from lorabot.compose import converse
from pictures.sandbox import Cells
from storage import job_lists, job_store, library_store, look_store
from storage.blob_store import LocalBlobs, artifact_prefix, photo_key, samples_prefix
from storage.database import Database
from storage.job import Artifact, Job, JobState, Photo
from storage.settings import Settings
from tests.bot_api import Person
from tests.bot_api.adapter import Start
from tests.bot_api.shown import Shown
from tests.conftest import eventually
from tests.drawn import photos
from tests.jobs import make_job
from tests.loras import publish, weights
from tests.web_client import WebPerson

FILE = weights()
SECRET = "a secret of some length"


@dataclass
class House:
    """The bot in this process with its page, and the folders that it works in."""

    address: str
    database: Database
    blobs: LocalBlobs
    loras: Path

    async def trained(self, person: str, name: str = "mochi", **changes: object) -> Job:
        job = make_job(
            chat=person, person=person, name=name, state=JobState.DONE, sent_version=1, **changes
        )
        return await publish(self.database, self.blobs, job, FILE)

    async def job(self, job_id: str) -> Job:
        async with self.database.read() as tx:
            found = await job_store.get(tx, job_id)
        assert found is not None
        return found

    async def keep_photos(self, count: int) -> tuple[Photo, ...]:
        """Photos that were looked at, as after a training."""
        kept = []
        async with self.database.write() as tx:
            for number, data in enumerate(photos(count), start=1):
                sha256 = hashlib.sha256(data).hexdigest()
                await self.blobs.put(photo_key(sha256), data)
                await look_store.put(tx, sha256, "{}", "web:x", now=1.0)
                kept.append(Photo(sha256=sha256, number=number, file_bytes=len(data)))
        return tuple(kept)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "loras").mkdir()
    return Settings(
        data_dir=tmp_path,
        lora_dir=tmp_path / "loras",
        public_url="https://loras.example",
        secret_key=SecretStr(SECRET),
    )


@asynccontextmanager
async def running(
    settings: Settings, database: Database, frontends: list[Frontend], cells: Cells
) -> AsyncIterator[None]:
    stop = asyncio.Event()
    task = asyncio.create_task(converse(settings, database, frontends, cells, stop))
    try:
        yield
    finally:
        stop.set()
        await task


@pytest.fixture
async def house(database: Database, cells: Cells, settings: Settings) -> AsyncIterator[House]:
    blobs = LocalBlobs(settings.data_dir / "blobs")
    site = Site(secret=SECRET, spool=settings.data_dir / "spool", port=0)
    web = Web(database, blobs, Links(SECRET, hours=1), site, cells)
    address = web.listen()
    assert settings.lora_dir is not None
    async with running(settings, database, [web], cells):
        await web.ready.wait()
        yield House(address, database, blobs, settings.lora_dir)


@asynccontextmanager
async def visitor(house: House) -> AsyncIterator[WebPerson]:
    async with WebPerson(house.address) as person:
        await person.until(lambda: person.chat)
        yield person


async def says(person: WebPerson, words: str) -> str:
    shown = await person.until(lambda: person.said(words))
    return str(shown["text"])


async def test_pages_are_turned_in_one_message(house: House) -> None:
    async with visitor(house) as me:
        for number in range(MODELS_ON_A_PAGE + 1):
            await house.trained(me.chat, f"model{number}")
        await me.say("/models")
        assert "model6" in await says(me, "7 models")
        count = len(me.messages)
        await me.press("Older →")
        await me.until(lambda: "model0" in str(me.said("7 models")))
        assert "model6" not in str(me.said("7 models"))
        await me.press("← Newer")
        await me.until(lambda: "model6" in str(me.said("7 models")))
        assert len(me.messages) == count


async def test_a_model_is_renamed_and_its_file_with_it(house: House) -> None:
    async with visitor(house) as me:
        job = await house.trained(me.chat)
        await me.say("/models")
        await me.press("mochi")
        await me.press("Rename")
        await says(me, "Write the new name")
        await me.say("no good name")
        await says(me, "2–32 letters")
        await me.say("momo")
        await says(me, "Renamed.")
        await me.press("⬇ Send the file")
        await says(me, "momo** is ready")
        button = await me.until(lambda: me.button("⬇ Download"))
        answer = await me.http.get(button["url"])
    assert 'filename="momo.safetensors"' in answer.headers["content-disposition"]
    assert answer.content == FILE
    assert (await house.job(job.id)).name == "momo"


async def test_the_card_has_the_facts_and_nobodys_name(house: House) -> None:
    async with visitor(house) as me:
        job = await house.trained(me.chat)
        await me.say("/models mochi")
        await me.press("Model card")
        await says(me, "model card of")
        button = await me.until(
            lambda: next((b for b in [me.button("Model card")] if b and b["url"]), None)
        )
        card = (await me.http.get(button["url"])).text
    made = job.artifact
    assert made is not None
    for fact in ("`mochix`", made.sha256, "SD 1.5", "| Rank / alpha | 4 / 4 |", "| Photos | 1 |"):
        assert fact in card
    assert me.chat not in card
    assert "local user" not in card


async def test_the_howto_names_the_folder_of_each_program(house: House) -> None:
    async with visitor(house) as me:
        await house.trained(me.chat)
        await me.say("/models mochi")
        await me.press("How to use it")
        await says(me, "models/Lora")
        await me.press("ComfyUI")
        assert "models/loras" in await says(me, "● ComfyUI".removeprefix("● "))
        await me.press("Easy Diffusion")
        assert "`models/lora`" in await says(me, "Easy Diffusion")


async def test_a_deletion_takes_every_file_with_it(house: House) -> None:
    copy = house.loras / "mochi.safetensors"
    copy.write_bytes(FILE)
    async with visitor(house) as me:
        job = await house.trained(me.chat, copied_to=copy.name)
        await house.blobs.put(f"{samples_prefix(job.id)}/000010.png", b"png")
        await me.say("/models mochi")
        await me.press("Delete it")
        assert "for good" in await says(me, "Delete **mochi**?")
        await me.press("Delete it and that copy")
        await says(me, "Deleted: **mochi**")
        await eventually(lambda: _none_doomed(house.database))
        await me.say("/models")
        await says(me, "no finished models")
    assert not house.blobs.path(artifact_prefix(job.id)).exists()
    assert not house.blobs.path(samples_prefix(job.id)).exists()
    assert not copy.exists()
    assert (await house.job(job.id)).artifact is None
    async with house.database.read() as tx:
        assert await job_lists.names_of(tx, me.chat) == frozenset()


@pytest.mark.parametrize("asked", ["Delete it and that copy", "Delete it"])
async def test_a_copy_that_is_another_file_or_was_not_asked_for_stays(
    house: House, asked: str
) -> None:
    copy = house.loras / "mochi.safetensors"
    copy.write_bytes(FILE + b"edited" if "copy" in asked else FILE)
    async with visitor(house) as me:
        await house.trained(me.chat, copied_to=copy.name)
        await me.say("/models mochi")
        await me.press("Delete it")
        await says(me, "It stays, unless")
        label = await me.until(lambda: me.button("Delete it and that copy"))
        data = label["data"] if "copy" in asked else label["data"].removesuffix("copy")
        await _press(me, data)
        await says(me, "Deleted:")
        await eventually(lambda: _none_doomed(house.database))
    assert copy.exists()


async def test_another_persons_model_is_not_there(house: House) -> None:
    """Every verb of the library, pressed with the id of somebody else's model."""
    async with visitor(house) as me, visitor(house) as stranger:
        job = await house.trained(me.chat)
        await stranger.say("/start")
        verbs = ("about", "model", "howto", "send", "link", "card", "rename", "remove")
        for verb in (*verbs, "removenow", "retrain", "reuse"):
            await _press(stranger, f"{verb}:{job.id}:copy")
        await stranger.until(lambda: len(_gone(stranger)) == len(verbs) + 3)
        shown = "".join(str(one) for one in stranger.messages.values())
    assert "mochi" not in shown
    assert (await house.job(job.id)).artifact is not None


async def test_training_again_needs_only_what_should_be_different(house: House) -> None:
    kept = await house.keep_photos(9)
    async with visitor(house) as me:
        await house.trained(me.chat, photos=kept)
        await me.say("/models mochi")
        await says(me, "Its 9 photos are still here")
        await me.press("Train again…")
        await says(me, "Ready to train **mochi_2**")
        await me.press("🚀 Start training")
        await says(me, "in the queue")
    async with house.database.read() as tx:
        newest = (await job_lists.of_person(tx, me.chat))[0]
    assert (newest.name, newest.state) == ("mochi_2", JobState.QUEUED)
    assert [photo.sha256 for photo in newest.photos] == [photo.sha256 for photo in kept]


async def test_photos_that_retention_removed_are_told(house: House) -> None:
    kept = await house.keep_photos(9)
    async with house.database.write() as tx:
        await look_store.delete(tx, [kept[0].sha256, kept[1].sha256])
    async with visitor(house) as me:
        await house.trained(me.chat, photos=kept)
        await me.say("/models mochi")
        await says(me, "7 of its 9 photos")
        await me.press("Use its photos")
        await says(me, "2 of its photos are no longer")


async def test_what_a_killed_bot_did_not_delete_goes_at_the_next_start(
    database: Database, cells: Cells, settings: Settings
) -> None:
    blobs = LocalBlobs(settings.data_dir / "blobs")
    copy = settings.data_dir / "loras" / "mochi.safetensors"
    copy.write_bytes(FILE)
    job = make_job(state=JobState.DONE, copied_to=copy.name)
    job = await publish(database, blobs, job, FILE)
    async with database.write() as tx:
        # Committed, and killed before a file went.
        await library_store.doom(tx, job, with_copy=True)
    async with running(settings, database, [], cells):
        await eventually(lambda: _none_doomed(database))
    assert not blobs.path(artifact_prefix(job.id)).exists()
    assert not copy.exists()


async def test_on_telegram_the_library_is_one_message_too(
    bot: Start, ada: Person, database: Database, tmp_path: Path
) -> None:
    blobs = LocalBlobs(tmp_path / "blobs")
    job = make_job(chat=ada.name, person=ada.name, state=JobState.DONE)
    await publish(database, blobs, job, FILE)
    async with bot():
        await ada.says("/models")
        await ada.reads("You have 1 model")
        count = len(ada.sees)
        await ada.presses("mochi")
        await ada.reads("Trigger word")
        await ada.presses("How to use it")
        await ada.reads("models/Lora")
        await ada.presses("← Back")
        await ada.reads("Trigger word")
        assert len(ada.sees) == count
        await ada.presses("Model card")
        await eventually(lambda: _files(ada.sees, "mochi.md"))
        await ada.presses("⬇ Send the file")
        await eventually(lambda: _files(ada.sees, "mochi.safetensors"))
        await ada.presses("Rename")
        await ada.reads("Write the new name")
        await ada.says("momo")
        await ada.reads("Renamed.")
        await ada.presses("⬇ Send the file")
        # Telegram has the content already, under its old name.
        await eventually(lambda: _files(ada.sees, "momo.safetensors"))
        await ada.presses("Delete it")
        await ada.reads("for good")
        await ada.presses("Delete it")
        await ada.reads("Deleted: momo")
    assert not blobs.path(artifact_prefix(job.id)).exists()


async def test_pages_of_the_store(database: Database) -> None:
    made = Artifact(key="artifacts/a", sha256="ab" * 32, file_bytes=1, name="m.safetensors")
    mine = [make_job(id=f"{number:026}", state=JobState.DONE, artifact=made) for number in range(5)]
    others = [
        make_job(state=JobState.DONE, artifact=made, person="web:other"),
        make_job(state=JobState.DONE),
        make_job(state=JobState.FAILED, artifact=made),
    ]
    async with database.write() as tx:
        for job in (*mine, *others):
            await job_store.add(tx, job)
        first = await library_store.page(tx, "web:me", 0, 2)
        last = await library_store.page(tx, "web:me", 99, 2)
        none = await library_store.page(tx, "web:nobody", 3, 2)
    assert [job.id[-1] for job in first.models] == ["4", "3"]
    assert ([job.id[-1] for job in last.models], last.number, last.count) == (["0"], 2, 5)
    assert (none.models, none.number, none.count) == ((), 0, 0)


async def test_a_renamed_model_forgets_its_twins_name(database: Database) -> None:
    made = Artifact(key="artifacts/a", sha256="ab" * 32, file_bytes=1, name="mochi.safetensors")
    job = make_job(state=JobState.DONE, artifact=made)
    async with database.write() as tx:
        await job_store.add(tx, job)
        await library_store.rename(tx, job.id, "momo")
        found = await job_store.get(tx, job.id)
    assert found == replace(job, name="momo", artifact=replace(made, name="momo.safetensors"))


async def _press(person: WebPerson, data: str) -> None:
    answer = await person.http.post("/press", json={"id": uuid.uuid4().hex, "data": data})
    assert answer.status_code == 200


def _gone(person: WebPerson) -> list[str]:
    return [one["text"] for one in person.messages.values() if "no longer" in one["text"]]


async def _none_doomed(database: Database) -> bool:
    async with database.read() as tx:
        return not await library_store.all_doomed(tx)


async def _files(shown: list[Shown], name: str) -> bool:
    return any(one.file_name == name for one in shown)
