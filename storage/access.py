"""Who may use the bot, who steers it, and for how much: values. Pure."""

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

LOCAL_OPERATOR = "tty:local"  # the terminal: whoever sits there can read the data folder anyway
CLAIM, INVITE = "claim-", "inv-"
PERSON = re.compile(r"[a-z]{1,8}:[\w.-]{1,40}")


class Standing(StrEnum):
    UNKNOWN = ""  # nobody has decided, and nothing was asked
    ASKED = "asked"
    ALLOWED = "allowed"
    DENIED = "denied"
    BANNED = "banned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """``at_once`` and ``a_day`` are limits of this person's own; None: those of everybody."""

    person: str
    standing: Standing = Standing.UNKNOWN
    is_admin: bool = False
    at_once: int | None = None
    a_day: int | None = None
    changed_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """Jobs that a person may have, and has; 0 at most is no limit. ``*_free_s``: seconds until the
    next one is possible.
    """

    at_once: int = 0
    a_day: int = 0
    live: int = 0
    today: int = 0
    live_free_s: float = 0.0
    today_free_s: float = 0.0

    @property
    def full(self) -> bool:
        return self.full_at_once or self.full_today

    @property
    def full_at_once(self) -> bool:
        return 0 < self.at_once <= self.live

    @property
    def full_today(self) -> bool:
        return 0 < self.a_day <= self.today


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What an admin did. ``who`` and ``whom`` are people's or jobs' ids; ``what`` is a word like
    "ban".
    """

    at: float
    who: str
    what: str
    whom: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """No new job is taken. ``until`` in seconds since the epoch; None: until somebody ends it."""

    since: float
    until: float | None = None
    reason: str = ""
    by: str = ""


def digest(code: str) -> str:
    """What is kept of a code: the code itself cannot be read from it."""
    return hashlib.sha256(code.strip().upper().encode()).hexdigest()
