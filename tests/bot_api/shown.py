"""Messages as a chat shows them, and the rules for what may stand in one."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.bot_api.entities import Entity, units
from tests.bot_api.refusals import bad_request

TEXT_UNITS = 4096
CAPTION_UNITS = 1024
BUTTON_BYTES = 64
BUTTONS = 100
COPIED_UNITS = 256
STYLES = ("danger", "success", "primary")

Json = dict[str, object]


@dataclass(frozen=True)
class Button:
    text: str
    data: str = ""
    url: str = ""
    copy: str = ""
    style: str = ""


@dataclass
class Shown:
    """One message. ``text`` is its caption where it has a file; ``edits`` counts true changes."""

    message_id: int
    chat_id: int
    sender: Json
    text: str = ""
    entities: list[Entity] = field(default_factory=list)
    rows: list[list[Button]] = field(default_factory=list)
    media: Json | None = None  # {"document": {...}}, {"photo": [...]}, …
    data: bytes = b""  # the file's content
    silent: bool = False
    edits: int = 0
    reply_to: int | None = None
    reaction: str = ""

    @property
    def from_bot(self) -> bool:
        return bool(self.sender["is_bot"])

    @property
    def labels(self) -> list[str]:
        return [button.text for row in self.rows for button in row]

    @property
    def file_name(self) -> str:
        document = (self.media or {}).get("document")
        return str(document["file_name"]) if isinstance(document, dict) else ""

    def bold(self) -> list[str]:
        return self._parts("bold")

    def code(self) -> list[str]:
        return self._parts("code")

    def _parts(self, kind: str) -> list[str]:
        coded = self.text.encode("utf-16-le")
        spans = [(one["offset"], one["length"]) for one in self.entities if one["type"] == kind]
        return [
            coded[2 * start : 2 * (start + length)].decode("utf-16-le")
            for start, length in spans
            if isinstance(start, int) and isinstance(length, int)
        ]

    def content(self) -> tuple[object, ...]:
        return self.text, self.entities, self.rows, self.media


def check_text(text: str) -> None:
    if not text.strip():
        raise bad_request("message text is empty")
    if units(text) > TEXT_UNITS:
        raise bad_request("message is too long")


def check_caption(text: str) -> None:
    if units(text) > CAPTION_UNITS:
        raise bad_request("message caption is too long")


def rows_of(markup: object) -> list[list[Button]]:
    """Buttons of an inline keyboard, each checked."""
    if not isinstance(markup, dict):
        return []
    rows = [[_button(one) for one in row] for row in markup.get("inline_keyboard", [])]
    if sum(map(len, rows)) > BUTTONS:
        raise bad_request("reply markup is too long")
    return rows


def _button(raw: Json) -> Button:
    unknown = raw.keys() - {"text", "callback_data", "url", "copy_text", "style"}
    if unknown:
        raise bad_request(f"the fake server does not know buttons with {sorted(unknown)}")
    button = Button(
        text=str(raw.get("text", "")),
        data=str(raw.get("callback_data", "")),
        url=str(raw.get("url", "")),
        copy=_copied(raw.get("copy_text")),
        style=str(raw.get("style", "")),
    )
    if not button.text:
        raise bad_request("inline keyboard button text must be non-empty")
    if [bool(button.data), bool(button.url), bool(button.copy)].count(True) != 1:
        raise bad_request("inline keyboard button type must be exactly one")
    if len(button.data.encode()) > BUTTON_BYTES:
        raise bad_request("BUTTON_DATA_INVALID")
    if button.style and button.style not in STYLES:
        raise bad_request("invalid button style")
    if button.url:
        _check_url(button.url)
    return button


def _copied(raw: object) -> str:
    """From 1 to 256 characters."""
    if not isinstance(raw, dict):
        return ""
    text = str(raw.get("text", ""))
    if not 1 <= units(text) <= COPIED_UNITS:
        raise bad_request("COPY_TEXT_INVALID")
    return text


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https", "tg"} or "." not in (parts.hostname or ""):
        raise bad_request(f"inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")
