"""A job as a row and back: plain columns where SQL looks, JSON where only we do."""

import json
from dataclasses import asdict
from typing import Any

from sqlalchemy import RowMapping

from storage.job import (
    SPEC,
    Artifact,
    Failure,
    Job,
    JobState,
    Photo,
    Rejection,
    Samples,
    SavedStep,
    Taken,
)
from trainer.params import TrainParams
from trainer.run import Phase, Progress

_PLAIN = (
    "id",
    "chat",
    "person",
    "name",
    "kind",
    "priority",
    "fence",
    "attempts",
    "version",
    "sent_version",
    "prepared",
    "copied_to",
    "cancel_requested",
    "status_ref",
    "result_ref",
    "wishes",
    "samples_ref",
    "chart",
    "asked_samples",
    "asked_finish",
    "created_at",
    "started_at",
    "finished_at",
)
_JSON = (
    "params",
    "photos",
    "progress",
    "rejections",
    "artifact",
    "failure",
    "samples",
    "taken",
    "saved",
)


def text_of(value: Any) -> str | None:
    """A dataclass, or a tuple of them, as JSON; None stays None."""
    if value is None:
        return None
    if isinstance(value, tuple):
        return json.dumps([asdict(one) for one in value])
    return json.dumps(asdict(value))


def to_row(job: Job) -> dict[str, Any]:
    return {
        **{name: getattr(job, name) for name in _PLAIN},
        "base_model": job.params.base_model,
        "family": job.params.family,
        "state": job.state.value,
        "updated_at": job.created_at,
        "spec": SPEC,
        **{name: text_of(getattr(job, name)) for name in _JSON},
    }


def to_job(row: RowMapping) -> Job:
    return Job(
        **{name: row[name] for name in _PLAIN},
        state=JobState(row["state"]),
        params=TrainParams(**json.loads(row["params"])),
        photos=tuple(Photo(**one) for one in json.loads(row["photos"])),
        rejections=tuple(Rejection(**one) for one in json.loads(row["rejections"])),
        progress=progress_of(row["progress"]),
        artifact=Artifact(**json.loads(row["artifact"])) if row["artifact"] else None,
        failure=Failure(**json.loads(row["failure"])) if row["failure"] else None,
        samples=samples_of(row["samples"]),
        taken=Taken(**json.loads(row["taken"])) if row["taken"] else None,
        saved=tuple(SavedStep(**one) for one in json.loads(row["saved"])),
    )


def samples_of(text: str | None) -> Samples | None:
    if not text:
        return None
    raw = json.loads(text)
    return Samples(**{**raw, "pictures": tuple(raw["pictures"])})


def progress_of(text: str | None) -> Progress | None:
    if not text:
        return None
    raw = json.loads(text)
    return Progress(**{**raw, "phase": Phase(raw["phase"])})
