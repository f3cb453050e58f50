"""Other saved steps of a run, kept beside the file for people who like an earlier one better.

The run's folder goes with the job, so a few of them are published; they are worth no job, and what
goes wrong here is only logged.
"""

import asyncio
import logging
from pathlib import Path

from pipeline import artifact
from storage.blob_store import artifact_key
from storage.blobs import Blobs
from storage.job import Job, SavedStep, Taken
from trainer import scores
from trainer.run import SAVED

log = logging.getLogger(__name__)

MOST = 3
MOST_BYTES = 400_000_000  # of all of them together


async def publish(job: Job, work: Path, blobs: Blobs, taken: Taken) -> tuple[SavedStep, ...]:
    """``work`` is the run's folder; in the order of the steps."""
    chosen = choose(sorted(work.joinpath(SAVED).glob("*.safetensors")), taken)
    likeness = {one.step: likeness_of(one) for one in scores.read(work)}
    found, left = [], MOST_BYTES
    for step, path in chosen:
        try:
            checked = await asyncio.to_thread(artifact.check, path, job.params.trigger)
            if checked.file_bytes > left:
                continue
            name = f"{job.name}-{step}.safetensors"
            folder = f"{checked.sha256[:16]}/{name}"
            key = artifact_key(job.id, job.fence, folder)
            await blobs.put_file(key, path)
        except (OSError, artifact.BadArtifactError) as error:
            log.warning("job %s: step %d is not kept (%s)", job.id, step, type(error).__name__)
            continue
        left -= checked.file_bytes
        found.append(
            SavedStep(
                step=step,
                key=key,
                sha256=checked.sha256,
                file_bytes=checked.file_bytes,
                likeness=likeness.get(step),
            )
        )
    return tuple(sorted(found, key=lambda one: one.step))


def choose(paths: list[Path], taken: Taken) -> list[tuple[int, Path]]:
    """The recommended one first, then the latest: early ones have learned little."""
    steps = {int(path.stem): path for path in paths if path.stem.isdecimal()}
    others = sorted(steps.keys() - {taken.step}, reverse=True)
    others.sort(key=lambda step: step != taken.best)
    return [(step, steps[step]) for step in others[:MOST]]


def likeness_of(one: scores.Scored) -> float | None:
    """0..1, where 1 is as like as the photos are among each other; by faces where there are."""
    if one.faces is not None and one.among:
        return max(0.0, min(1.0, one.faces / one.among))
    return None if one.likeness is None else max(0.0, min(1.0, one.likeness))
