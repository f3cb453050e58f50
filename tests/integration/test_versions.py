"""Other saved steps of a training: kept beside the file, listed, and handed out."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.links import Links
from pipeline import versions
from storage import job_store, library_store
from storage.blob_store import LocalBlobs, artifact_prefix
from storage.database import Database
from storage.job import Job, JobState, Taken
from storage.settings import Settings
from tests.bot_api import Person
from tests.bot_api.adapter import Start
from tests.conftest import eventually
from tests.jobs import make_job
from tests.loras import publish, weights
from trainer import outside, scores
from trainer.run import SAVED

RANKS = {4: 4, 8: 5, 12: 6, 16: 7, 20: 8}  # so that each step's file is another one


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A run's folder with five saved steps and their scores."""
    folder = tmp_path / "run"
    (folder / SAVED).mkdir(parents=True)
    for step, rank in RANKS.items():
        (folder / SAVED / f"{step:06}.safetensors").write_bytes(weights(rank))
        scores.append(folder, scores.Scored(step=step, likeness=0.4))
        outside.write(folder, step, outside.Seen(faces=step / 40, among=0.5))
    return folder


def file_of(work: Path, step: int) -> bytes:
    return (work / SAVED / f"{step:06}.safetensors").read_bytes()


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "blobs")


async def test_the_recommended_and_the_latest_are_kept(work: Path, blobs: LocalBlobs) -> None:
    job = make_job(fence=3)
    taken = Taken(step=20, best=4, last=20, by="faces", compared=5)
    saved = await versions.publish(job, work, blobs, taken)
    assert [one.step for one in saved] == [4, 12, 16]
    assert [round(one.likeness or 0, 2) for one in saved] == [0.2, 0.6, 0.8]
    for one in saved:
        assert one.key.startswith(f"{artifact_prefix(job.id)}/3/")
        assert await blobs.get(one.key) == file_of(work, one.step)
    # A worker that does it again does no harm.
    assert await versions.publish(job, work, blobs, taken) == saved


async def test_what_is_broken_or_too_large_is_left_out(
    work: Path, blobs: LocalBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    (work / SAVED / "000016.safetensors").write_bytes(b"half a file")
    (work / SAVED / "notes.safetensors").write_bytes(b"not a step")
    taken = Taken(step=20, best=20, last=20)
    saved = await versions.publish(make_job(), work, blobs, taken)
    assert [one.step for one in saved] == [8, 12]
    monkeypatch.setattr(versions, "MOST_BYTES", saved[0].file_bytes)
    assert [one.step for one in await versions.publish(make_job(), work, blobs, taken)] == [8]


async def test_a_run_without_saved_steps_has_none(tmp_path: Path, blobs: LocalBlobs) -> None:
    taken = Taken(step=20, best=20, last=20)
    assert await versions.publish(make_job(), tmp_path / "nothing", blobs, taken) == ()


def test_likeness_is_that_of_faces_where_there_are_some() -> None:
    assert versions.likeness_of(scores.Scored(step=1)) is None
    assert versions.likeness_of(scores.Scored(step=1, likeness=-0.5)) == 0.0
    assert versions.likeness_of(scores.Scored(step=1, likeness=0.9, faces=0.3, among=0.6)) == 0.5
    assert versions.likeness_of(scores.Scored(step=1, faces=0.9, among=0.6)) == 1.0


# --- in the chat ---------------------------------------------------------------------------------


async def finished(database: Database, blobs: LocalBlobs, work: Path, person: Person) -> Job:
    taken = Taken(step=20, best=20, last=20)
    job = make_job(
        chat=person.name, person=person.name, state=JobState.DONE, sent_version=1, taken=taken
    )
    saved = await versions.publish(job, work, blobs, taken)
    return await publish(database, blobs, replace(job, saved=saved), weights())


async def test_another_version_is_listed_with_its_likeness_and_sent(
    bot: Start, ada: Person, database: Database, blobs: LocalBlobs, work: Path
) -> None:
    job = await finished(database, blobs, work, ada)
    async with bot():
        await ada.says("/models mochi")
        await ada.reads("Trigger word")
        await ada.presses("Other versions")
        shown = await ada.reads("other versions from the same training")
        assert "You have the one after 100 %." in shown.text
        assert "after 40 % (8 steps) · likeness 40 %" in shown.text
        label = next(one for one in shown.labels if one.startswith("⬇ 40 %"))
        await ada.presses(label)
        await eventually(lambda: _has(ada, "mochi-8.safetensors", file_of(work, 8)))
        ada.presses_data(shown, f"step:{job.id}:7")
        await ada.reads("no other version")
        await ada.presses("← Back")
        await ada.presses_when("Delete it")
        await ada.reads("for good")
        await ada.presses("Delete it")
        await ada.reads("Deleted: mochi")
        await eventually(lambda: _none_doomed(database))
    assert not blobs.path(artifact_prefix(job.id)).exists()
    async with database.read() as tx:
        found = await job_store.get(tx, job.id)
    assert found is not None
    assert found.saved == ()


async def test_a_version_that_the_chat_does_not_take_comes_as_a_link_of_its_own(
    bot: Start, ada: Person, database: Database, blobs: LocalBlobs, work: Path, tmp_path: Path
) -> None:
    job = await finished(database, blobs, work, ada)
    async with bot(public_url="https://loras.example") as running:
        (telegram,) = running.frontends
        telegram.limits = replace(telegram.limits, out_file_bytes=100)
        await ada.says(f"/start m-{job.id}")
        await ada.presses_when("Other versions")
        shown = await ada.reads("other versions")
        await ada.presses(next(one for one in shown.labels if one.startswith("⬇ 40 %")))
        sent = await ada.reads("as it was after 40 %")
    (button,) = [one for row in sent.rows for one in row]
    token = button.url.rpartition("/dl/")[2]
    secret = (tmp_path / "secret.key").read_text().strip()
    link = Links(secret, Settings(data_dir=tmp_path).link_hours).read(token)
    assert link is not None
    assert (link.job_id, link.person, link.part) == (job.id, ada.name, job.saved[0].key)


async def _has(person: Person, name: str, data: bytes) -> bool:
    return any((one.file_name, one.data) == (name, data) for one in person.sees)


async def _none_doomed(database: Database) -> bool:
    async with database.read() as tx:
        return not await library_store.all_doomed(tx)
