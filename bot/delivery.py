"""How a finished file reaches its chat: the first rung of the ladder that holds. Pure."""

from dataclasses import dataclass

from bot.frontend import Limits


@dataclass(frozen=True, slots=True)
class Attach:
    """The file itself, in the message."""


@dataclass(frozen=True, slots=True)
class Link:
    """A signed link to the bot's own web app; ``base`` is that app's address."""

    base: str


@dataclass(frozen=True, slots=True)
class PathOnly:
    """The reader sits at this machine: the file's path is the shortest way."""


@dataclass(frozen=True, slots=True)
class OnServer:
    """Too large for the network, and no address that the person could open: the admin has it."""


Way = Attach | Link | PathOnly | OnServer


def way(file_bytes: int, limits: Limits, public_url: str) -> Way:
    """Never "failed": a file that is finished is never lost because of its way."""
    if limits.paths:
        return PathOnly()
    if limits.links:
        return Link(base="")
    if file_bytes <= limits.out_file_bytes:
        return Attach()
    return Link(base=public_url) if public_url else OnServer()
