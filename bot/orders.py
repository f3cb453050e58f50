"""What admins and the door ask for, done in the update's transaction or right after. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from bot.screen import Screen
from storage.access import Standing


@dataclass(frozen=True, slots=True)
class MakeAdmin:
    """Whoever brought the one-time code."""


@dataclass(frozen=True, slots=True)
class Appoint:
    """An admin makes another one."""

    person: str


@dataclass(frozen=True, slots=True)
class Dismiss:
    """An admin is one no more, if another one is left."""

    person: str


@dataclass(frozen=True, slots=True)
class UseInvite:
    """Whoever brought this code is let in, and nobody else by it."""

    code: str


@dataclass(frozen=True, slots=True)
class Decide:
    person: str
    standing: Standing


@dataclass(frozen=True, slots=True)
class SetLimits:
    """None: the limit of everybody."""

    person: str
    at_once: int | None
    a_day: int | None


@dataclass(frozen=True, slots=True)
class MakeInvites:
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tell:
    """A message to somebody else."""

    person: str
    screen: Screen


@dataclass(frozen=True, slots=True)
class BeginPause:
    """``until`` in seconds since the epoch; None: until somebody ends it."""

    until: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class EndPause:
    pass


@dataclass(frozen=True, slots=True)
class Reorder:
    """Priorities of waiting jobs, by id."""

    priorities: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RunDoctor:
    """Takes seconds: the answer is a message of its own."""


@dataclass(frozen=True, slots=True)
class DecideJob:
    """A set that was held is trained, or refused."""

    job_id: str
    approved: bool


@dataclass(frozen=True, slots=True)
class SendLog:
    job_id: str


@dataclass(frozen=True, slots=True)
class DraftLetter:
    announcement: str
    text: str


@dataclass(frozen=True, slots=True)
class PostLetter:
    announcement: str


@dataclass(frozen=True, slots=True)
class DropLetter:
    announcement: str


@dataclass(frozen=True, slots=True)
class Note:
    """For the audit log; who and when are known."""

    what: str
    whom: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A model's owner shows its samples to everybody."""

    job_id: str


@dataclass(frozen=True, slots=True)
class TakeDown:
    job_id: str


DoorOrder = MakeAdmin | Appoint | Dismiss | UseInvite | Decide | SetLimits | MakeInvites
DeskOrder = BeginPause | EndPause | Reorder | DecideJob | RunDoctor | SendLog
LetterOrder = Tell | DraftLetter | PostLetter | DropLetter | Note
GalleryOrder = Exhibit | TakeDown
Order = DoorOrder | DeskOrder | LetterOrder | GalleryOrder
