"""Jobs for tests: whole, valid, and changed where a test says so."""

from dataclasses import replace
from typing import Any

from storage.job import Job, Photo, new_id
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
