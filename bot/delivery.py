"""How a finished file reaches its chat: the first rung of the ladder that holds. Pure.

It fits: attach it. Else a smaller twin, with a link to the whole file; else the link; else the
admin has it. Never "failed": a file that is finished is never lost because of its way.
"""

from dataclasses import dataclass
from enum import Enum, auto

from bot.frontend import Limits

MEGABYTE = 1_000_000
LEAST_TWIN_BYTES = MEGABYTE  # below it not even the lowest rank of a small model is worth anything
MOST_LOST = 0.5  # a twin that lost more of the change is not handed out where there is a link
STEPS_MB = (100, 50, 25, 20, 10, 8, 5, 3, 2, 1)  # limits that networks have, and below them ours


@dataclass(frozen=True, slots=True)
class Attach:
    """The file itself, in the message."""


@dataclass(frozen=True, slots=True)
class Link:
    """A signed link to the bot's own web app; ``base`` is that app's address."""

    base: str


@dataclass(frozen=True, slots=True)
class AttachTwin:
    """The smaller twin in the message, and beside it the link to the whole file if there is one."""

    link: Link | None = None


@dataclass(frozen=True, slots=True)
class AskTwin:
    """A twin of at most ``max_bytes`` first; then look again."""

    max_bytes: int


@dataclass(frozen=True, slots=True)
class PathOnly:
    """The reader sits at this machine: the file's path is the shortest way."""


@dataclass(frozen=True, slots=True)
class OnServer:
    """Too large for the network, and no address that the person could open: the admin has it."""


Way = Attach | AttachTwin | AskTwin | Link | PathOnly | OnServer


class NoTwin(Enum):
    YET = auto()  # it was not asked for, or is being made
    EVER = auto()  # none can be made that is small enough, or nobody is there to make it


@dataclass(frozen=True, slots=True)
class Made:
    """A twin that is there; ``lost`` is the share 0..1 of the change that it lacks."""

    file_bytes: int
    lost: float


def way(file_bytes: int, limits: Limits, public_url: str, twin: Made | NoTwin = NoTwin.EVER) -> Way:
    """``limits`` are those of the chat itself; ``public_url`` is empty where there is none."""
    if limits.paths:
        return PathOnly()
    if limits.links:
        return Link(base="")
    if file_bytes <= limits.out_file_bytes:
        return Attach()
    link = Link(base=public_url) if public_url else None
    if limits.out_file_bytes >= LEAST_TWIN_BYTES:
        if twin is NoTwin.YET:
            return AskTwin(limits.out_file_bytes)
        if isinstance(twin, Made) and _is_worth_it(twin, limits, link):
            return AttachTwin(link)
    return link or OnServer()


def _is_worth_it(twin: Made, limits: Limits, link: Link | None) -> bool:
    return twin.file_bytes <= limits.out_file_bytes and (link is None or twin.lost <= MOST_LOST)


def limit_below(file_bytes: int) -> int:
    """The limit that a network most likely has that refused so many bytes; 0: no files at all."""
    return next((mb * MEGABYTE for mb in STEPS_MB if mb * MEGABYTE < file_bytes), 0)
