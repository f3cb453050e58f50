"""Jobs for tests: whole, valid, and changed where a test says so."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from storage import job_store
from storage.blob_store import LocalBlobs, artifact_key
from storage.database import Database
from storage.job import Artifact, Job, JobState, Photo, new_id
from trainer.params import TrainParams

PARAMS = TrainParams(
    trigger="mochix",
    class_word="person",
    base_model="demo",
    resolution=64,
    rank=4,
    alpha=4.0,
    max_steps=20,
)


def make_job(**changes: Any) -> Job:
    job = Job(
        id=new_id(),
        chat="web:me",
        person="web:me",
        name="mochi",
        kind="person",
        params=PARAMS,
        photos=(Photo(sha256="a" * 64, number=1, file_bytes=3),),
        created_at=1000.0,
    )
    return replace(job, **changes)


async def waits_for_its_chat(database: Database, chat: str, folder: Path, weights: bytes) -> str:
    """A job whose file waits to be delivered; its id."""
    key = artifact_key("one", 1, "mochi.safetensors")
    await LocalBlobs(folder / "blobs").put(key, weights)
    sha256 = hashlib.sha256(weights).hexdigest()
    made = Artifact(key=key, sha256=sha256, file_bytes=len(weights), name="mochi.safetensors")
    job = make_job(chat=chat, person=chat, state=JobState.DELIVERING, artifact=made, fence=1)
    async with database.write() as tx:
        await job_store.add(tx, job)
    return job.id
