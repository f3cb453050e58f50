"""What a chat network must offer, and nothing more. A new network is one file that fits this."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from bot.events import Event
from bot.screen import Mark, Slot
from storage.people_store import Person


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """A network's own limits. Bytes, characters, seconds.

    ``out_file_bytes`` is the network's own; a chat of its own limit says so (`Incoming`).
    ``links`` is true where a link of the bot's own web app always opens (the local page);
    ``paths`` where the reader sits at this machine and a file's path is the best delivery;
    ``idempotent`` where a second send with the same key is the same message; ``copies`` where a
    button can put words into the clipboard. ``start_link`` is the address that hands the word
    behind it to the bot, where the network has one; ``gallery``: there is a place where people can
    show something to everybody.
    """

    text: int = 4096
    caption: int = 1024
    in_file_bytes: int = 50_000_000
    out_file_bytes: int = 0
    edit_interval_s: float = 0.0
    links: bool = False
    paths: bool = False
    idempotent: bool = False
    copies: bool = False
    start_link: str = ""
    gallery: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedButton:
    """A button in words: it sends ``data`` back, opens ``url``, or copies ``copy``."""

    label: str
    data: str = ""
    url: str = ""
    copy: str = ""
    danger: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OutFile:
    """``small`` is a picture's own small version, within 320 pixels, if there is one; ``key`` is
    where the store has it, for who shows it from there.
    """

    path: Path
    name: str
    file_bytes: int
    small: Path | None = None
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A screen in words. The only markup: ``**bold**`` and backticks; line breaks count.

    ``picture`` is a JPEG that is shown above the words. A message keeps having one, or none: a new
    picture may take its place, but no text. Beside a ``file`` it is shown as far as the network
    can; ``drawn_by`` is the base model that drew it, if one did. ``slot`` says which of the chat's
    messages this is; ``asks`` is the button for what people write or send by themselves on most
    networks.
    """

    text: str
    buttons: tuple[tuple[RenderedButton, ...], ...] = ()
    file: OutFile | None = None
    picture: OutFile | None = None
    notify: bool = False
    slot: Slot = Slot.TOAST
    asks: RenderedButton | None = None
    drawn_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that a person sent. ``fetch`` downloads it; it raises NetworkError.

    ``suffix`` is all of its name that we look at: lower case, with the dot. ``ref`` names the
    message that brought it, where a mark can be set under that.
    """

    fetch: Callable[[], Awaitable[bytes]]
    file_bytes: int | None = None
    suffix: str = ""
    ref: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """One update: an event, or files, from one person in one chat.

    ``chat`` and ``person`` are ``platform:id``. ``update_id`` is unique on its platform: the same
    update delivered twice has its effect once. ``out_file_bytes`` is the largest file that this
    chat takes from us now, where the network says so with each update; None where it does not.
    ``in_group``: others read along. ``once`` claims the update's effect for the transaction that it
    is given, where the frontend keeps its updates itself; else the update's id does.
    """

    platform: str
    update_id: str
    chat: str
    person: Person
    event: Event | None = None
    attachments: tuple[Attachment, ...] = ()
    out_file_bytes: int | None = None
    in_group: bool = False
    once: Callable[[Any], Awaitable[bool]] | None = None


class NetworkError(Exception):
    """The network did not do it. ``permanent`` decides on a retry."""

    def __init__(self, what: str, *, permanent: bool = False) -> None:
        super().__init__(what)
        self.permanent = permanent


class MessageGoneError(NetworkError):
    """The message to edit is no longer there; send a new one."""

    def __init__(self, what: str) -> None:
        super().__init__(what, permanent=True)


class ChatGoneError(NetworkError):
    """The person blocked the bot or left; nothing more can be shown in this chat."""

    def __init__(self, what: str) -> None:
        super().__init__(what, permanent=True)


class TooLargeError(NetworkError):
    """The network does not take a file of this size: the same file is never sent again."""

    def __init__(self, what: str) -> None:
        super().__init__(what, permanent=True)


class ExhibitRefusedError(NetworkError):
    """The gallery does not take it; ``key`` is the sentence that says why."""

    def __init__(self, what: str, key: str) -> None:
        super().__init__(what, permanent=True)
        self.key = key


class SlowDownError(NetworkError):
    """The network asks for a pause of ``after_s`` seconds in this chat."""

    def __init__(self, what: str, *, after_s: float) -> None:
        super().__init__(what)
        self.after_s = after_s


class UncertainError(NetworkError):
    """A send without an answer: it may have arrived. Never sent again blindly."""


Receive = Callable[[Incoming], Awaitable[None]]


@runtime_checkable
class Marking(Protocol):
    """A network that can set a mark under a person's own message."""

    async def mark(self, chat: str, ref: str, mark: Mark) -> None:
        """In place of the mark that is there. Raises NetworkError."""


class Frontend(Protocol):
    """One chat network. ``platform`` is the prefix of its chats' names."""

    platform: str
    limits: Limits

    async def send(self, chat: str, message: Message, *, key: str) -> str:
        """Send, return the message's name for `edit`. ``key`` names this message for ever: where
        the network can, a second send with the same key is the same message.
        """

    async def edit(self, chat: str, ref: str, message: Message) -> None:
        """Make the message say this. Saying the same again is fine."""

    async def run(self, receive: Receive) -> None:
        """Deliver updates to ``receive`` until cancelled. Acknowledge after it returned."""


@runtime_checkable
class Gallery(Protocol):
    """A network with a place where people can show something to everybody."""

    limits: Limits

    async def exhibit(self, person: str, message: Message, *, key: str) -> str:
        """The message's name. Raises ExhibitRefusedError where it cannot hang."""

    async def take_down(self, ref: str) -> None:
        """What is gone already is fine."""
