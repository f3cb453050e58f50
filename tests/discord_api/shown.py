"""Messages as a chat shows them."""

import re
from dataclasses import dataclass, field
from typing import Any

from tests.discord_api import checks

Json = dict[str, Any]

MARKUP = re.compile(r"\*\*|[`\\]")


@dataclass
class Shown:
    """One message. ``only_for``: an ephemeral one, with the tokens that can change it."""

    number: int
    channel: int
    author: Json
    created: float
    body: Json = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    attachments: list[Json] = field(default_factory=list)
    only_for: int = 0
    tokens: set[str] = field(default_factory=set)
    thinking: bool = False
    gone: bool = False
    edits: int = 0

    @property
    def from_bot(self) -> bool:
        return bool(self.author.get("bot"))

    @property
    def flags(self) -> int:
        return int(self.body.get("flags", 0))

    @property
    def silent(self) -> bool:
        return bool(self.flags & checks.SILENT)

    @property
    def text(self) -> str:
        """As it is read: without markup."""
        words = [one["content"] for one in self._every if one["type"] == checks.WORDS]
        whole = "\n".join([*words, self.body.get("content") or ""])
        return MARKUP.sub("", whole).strip()

    @property
    def buttons(self) -> list[Json]:
        return [one for one in self._every if one["type"] == checks.BUTTON]

    @property
    def menus(self) -> list[Json]:
        return [one for one in self._every if one["type"] == checks.SELECT]

    @property
    def labels(self) -> list[str]:
        return [str(one["label"]) for one in self.buttons]

    @property
    def shows_picture(self) -> bool:
        return any(one["type"] == checks.GALLERY for one in self._every)

    @property
    def _every(self) -> list[Json]:
        return list(checks.walk(self.body.get("components") or []))

    def raw(self) -> Json:
        """As the API tells it."""
        return {
            "id": str(self.number),
            "channel_id": str(self.channel),
            "author": self.author,
            "content": self.body.get("content") or "",
            "timestamp": "2026-01-01T00:00:00.000000+00:00",
            "edited_timestamp": None,
            "tts": False,
            "mention_everyone": False,
            "mentions": [],
            "mention_roles": [],
            "attachments": self.attachments,
            "embeds": [],
            "pinned": False,
            "type": 0,
            "flags": self.flags | (checks.EPHEMERAL if self.only_for else 0),
            "components": self.body.get("components") or [],
        }
