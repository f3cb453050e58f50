"""People as admins see them: standing, jobs, storage, last use. Values. Pure."""

from dataclasses import dataclass

from storage.access import Member


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """``seen_at`` is 0 for somebody who never wrote; ``file_bytes`` counts photos and models."""

    member: Member
    name: str = ""
    seen_at: float = 0.0
    jobs: int = 0
    live: int = 0
    file_bytes: int = 0
    decided_by: str = ""

    @property
    def id(self) -> str:
        return self.member.person


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """A page of people. ``number`` counts from 0 and is one that exists; ``count`` is everybody."""

    people: tuple[Profile, ...] = ()
    number: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The service in numbers, over ``days``; seconds are medians, None before the first."""

    days: int = 30
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    waiting: int = 0
    running: int = 0
    wait_s: float | None = None
    train_s: float | None = None
    people: int = 0
    active: int = 0

    @property
    def success(self) -> float | None:
        """Of those that ended by themselves; 0..1."""
        ended = self.done + self.failed
        return self.done / ended if ended else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A graphics card as its driver sees it; None where the driver does not say."""

    number: int
    name: str
    used_bytes: int | None = None
    all_bytes: int | None = None
    celsius: int | None = None
    busy_percent: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Computer:
    """A training computer that is online, and the code of the job that it works on."""

    host: str
    cards: tuple[Card, ...] = ()
    job: str = ""
