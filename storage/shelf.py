"""What a person has: a page of their finished models, and a model's smaller twin. Pure."""

from dataclasses import dataclass

from storage.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """``number`` counts from 0 and is one that exists; ``count`` is that of all models."""

    models: tuple[Job, ...] = ()
    number: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A published twin: its place in the blob store, its rank, and the share 0..1 of the change
    that it lost.
    """

    key: str
    sha256: str
    file_bytes: int
    name: str
    rank: int
    lost: float
