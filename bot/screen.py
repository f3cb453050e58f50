"""What is shown, before there are words: text keys, arguments, buttons. Pure."""

from dataclasses import dataclass, field
from enum import StrEnum

from pictures.box import Box
from storage.job import Args

MAX_BUTTON_DATA = 64  # bytes; the tightest network (Telegram's callback_data) decides


class Slot(StrEnum):
    """The living messages of a chat; a toast is sent once and never edited."""

    PANEL = "panel"
    STATUS = "status"
    SAMPLES = "samples"
    RESULT = "result"
    TOAST = "toast"


class Mark(StrEnum):
    """A small sign under a photo; none means that all is well."""

    NONE = ""
    LOOK = "look"  # there is a question about it
    OUT = "out"  # it is not used


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """``label`` is a text key; pressed, it comes back as a Choice(verb, draft, argument).

    With ``url`` it opens a page instead, with ``copy`` it puts these words into the clipboard where
    the network can do that. ``danger`` marks what destroys something, ``chosen`` what is in force
    among several, ``public`` what only a network with a gallery can do. With ``private`` it opens
    the chat that nobody else reads, and this word there, where the network has such links.
    """

    label: str
    args: Args = field(default_factory=dict)
    verb: str = ""
    draft: str = ""
    argument: str = ""
    url: str = ""
    copy: str = ""
    danger: bool = False
    chosen: bool = False
    public: bool = False
    private: str = ""

    @property
    def data(self) -> str:
        return f"{self.verb}:{self.draft}:{self.argument}" if self.verb else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One paragraph: a text key and its arguments. ``n`` chooses the plural form.

    ``words`` stand in place of all that: an admin's own, in as many lines as they have.
    """

    key: str = ""
    args: Args = field(default_factory=dict)
    n: int | None = None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Tile:
    """One photo of a contact sheet."""

    number: int
    sha256: str
    used: bool = True
    doubtful: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One photo with its faces numbered (``boxes`` in shares), or a contact sheet of several.

    ``draft`` is what it belongs to, and is deleted with.
    """

    draft: str
    tiles: tuple[Tile, ...]
    boxes: tuple[Box, ...] = ()
    sheet: bool = False


@dataclass(frozen=True, slots=True)
class Shelved:
    """A picture that lies in the blob store; ``small`` is the same within 320 pixels. What takes
    its place there would take it out of the chat, too, unless it is to ``stay``. ``base`` is the
    base model that drew it, if one did.
    """

    key: str
    small: str = ""
    stay: bool = False
    base: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """``asks``: an answer in words or photos are expected; a network where neither can be sent by
    itself offers this button, which opens a form.
    """

    slot: Slot
    lines: tuple[Line, ...]
    buttons: tuple[tuple[Button, ...], ...] = ()
    notify: bool = False
    asks: Button | None = None
    picture: Picture | Shelved | None = None


def parse_data(data: str) -> tuple[str, str, str] | None:
    """Verb, draft and argument of a button's data, or None if it is not one of ours."""
    if len(data.encode()) > MAX_BUTTON_DATA:
        return None
    parts = data.split(":", 2)
    if len(parts) != 3 or not parts[0].isidentifier():
        return None
    return parts[0], parts[1], parts[2]
