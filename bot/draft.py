"""One chat's conversation as a value, and its text in the database. Pure.

The text carries a version. Reading never fails: what is unknown is left out, what is missing gets
its default, and a row that makes no sense is an empty conversation.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from bot import opened
from bot.opened import Opened
from bot.screen import Line
from pictures.captions import Wishes
from pictures.verdict import Choice
from storage.job import Args, Photo
from trainer.presets import Quality

VERSION = 1


class State(StrEnum):
    IDLE = "idle"  # no draft
    CONSENT = "consent"  # may these photos be used?
    KIND = "kind"
    NAME = "name"
    TRIGGER = "trigger"
    BASE = "base"
    PHOTOS = "photos"  # the panel is the tally
    SUMMARY = "summary"
    FIX = "fix"  # one photo with a question
    SHEET = "sheet"  # all photos at a glance
    CAPTIONS = "captions"
    CAPTION = "caption"  # waits for one caption's new words
    WORD_IN = "word_in"  # waits for a word that all captions get
    WORD_OUT = "word_out"  # waits for a word that they lose


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """``draft`` is the id of the job-to-be and ``person`` its owner.

    ``uploads`` numbers every upload, used or not; ``refused`` says why the last few were not.
    ``closed``: the person said that these are all photos. ``note`` stands above the panel until
    the next event; ``asking``: the panel asks whether to delete the draft. ``panel`` counts panel
    messages: another number is another message. ``below``: that message already stands below the
    photos that came in the middle of a question. ``at`` is the number of the photo that is looked
    at, or whose caption is written; ``page`` counts pages of captions. ``opened`` is what the
    panel shows of the library instead of the draft.
    """

    state: State = State.IDLE
    draft: str = ""
    person: str = ""
    kind: str = ""
    name: str = ""
    trigger: str = ""
    base: str = ""
    quality: str = Quality.STANDARD
    photos: tuple[Photo, ...] = ()
    uploads: int = 0
    refused: tuple[Line, ...] = ()
    closed: bool = False
    suggestion: str = ""
    note: Line | None = None
    asking: bool = False
    panel: int = 0
    below: bool = False
    at: int = 0
    page: int = 0
    wishes: Wishes = field(default_factory=Wishes)
    opened: Opened | None = None


def is_pictured(conversation: Conversation) -> bool:
    """The panel is a picture with words below it."""
    in_words = conversation.asking or conversation.opened is not None
    return conversation.state in {State.FIX, State.SHEET} and not in_words


def to_json(conversation: Conversation) -> str:
    return json.dumps({"v": VERSION, **asdict(conversation)}, ensure_ascii=False)


def from_json(text: str) -> Conversation:
    try:
        raw = json.loads(text)
    except ValueError:
        return Conversation()
    if not isinstance(raw, dict):
        return Conversation()
    read = _Reader(raw)
    panel = read.number("panel")
    state = read.text("state")
    if state not in set(State) or (state != State.IDLE and not read.text("draft")):
        return Conversation(panel=panel)
    return Conversation(
        state=State(state),
        draft=read.text("draft"),
        person=read.text("person"),
        kind=read.text("kind"),
        name=read.text("name"),
        trigger=read.text("trigger"),
        base=read.text("base"),
        quality=_quality(read.text("quality")),
        suggestion=read.text("suggestion"),
        closed=read.flag("closed"),
        asking=read.flag("asking"),
        below=read.flag("below"),
        photos=tuple(photo for one in read.many("photos") if (photo := _photo(one))),
        uploads=read.number("uploads"),
        refused=tuple(line for one in read.many("refused") if (line := _line(one))),
        note=_line(raw.get("note")),
        panel=panel,
        at=read.number("at"),
        page=read.number("page"),
        wishes=Wishes.from_json(raw.get("wishes")),
        opened=opened.from_json(raw.get("opened")),
    )


def _quality(text: str) -> str:
    return text if text in set(Quality) else Quality.STANDARD


@dataclass(frozen=True, slots=True)
class _Reader:
    raw: Mapping[str, object]

    def text(self, key: str) -> str:
        value = self.raw.get(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str) -> int:
        value = self.raw.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else 0

    def flag(self, key: str) -> bool:
        return self.raw.get(key) is True

    def many(self, key: str) -> list[object]:
        value = self.raw.get(key)
        return value if isinstance(value, list) else []


def _photo(raw: object) -> Photo | None:
    if not isinstance(raw, dict):
        return None
    read = _Reader(raw)
    sha256, number = read.text("sha256"), read.number("number")
    if not sha256 or number < 1:
        return None
    return Photo(
        sha256=sha256,
        number=number,
        file_bytes=read.number("file_bytes"),
        width=read.number("width"),
        height=read.number("height"),
        choice=read.text("choice") if read.text("choice") in set(Choice) else "",
        face=read.number("face"),
        caption=read.text("caption"),
    )


def _line(raw: object) -> Line | None:
    if not isinstance(raw, dict):
        return None
    read = _Reader(raw)
    key, args, n = read.text("key"), raw.get("args"), raw.get("n")
    if not key or not isinstance(args, dict):
        return None
    plain: Args = {
        str(name): value for name, value in args.items() if isinstance(value, str | int | float)
    }
    return Line(key=key, args=plain, n=n if isinstance(n, int) else None)
