"""What every job on a worker needs, and the two ways in which a job does not get on."""

from dataclasses import dataclass
from pathlib import Path

from pictures.limits import Limits
from pictures.sandbox import Cells
from pipeline import train
from pipeline.captions.describe import Describe
from pipeline.crew import Crew
from pipeline.eyes import Eyes
from storage.bases import Base
from storage.blobs import Blobs
from storage.database import Database
from storage.job import Failure, Job
from storage.settings import Settings


class FailedError(Exception):
    """The job cannot be done; the person is told why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


class AgainError(Exception):
    """Not this time; the next attempt may go better. Only what the job may have done counts."""

    def __init__(self, why: str, *, counted: bool = True) -> None:
        super().__init__(why)
        self.counted = counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """What every job on this worker needs."""

    settings: Settings
    database: Database
    blobs: Blobs
    bases: dict[str, Base]
    backend: train.Backend
    cells: Cells
    eyes: Eyes
    limits: Limits
    describe: Describe | None = None
    device: int = 0
    crew: Crew | None = None

    def home(self, job: Job) -> Path:
        return self.settings.data_dir / "work" / job.id

    @property
    def lock(self) -> Path:
        return self.settings.data_dir / "run" / f"gpu-{self.device}.lock"
