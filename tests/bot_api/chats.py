"""Who can be written to, and what each chat shows."""

import asyncio
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.bot_api.refusals import bad_request, forbidden, migrated
from tests.bot_api.shown import Button, Json, Shown

BOT: Json = {"id": 4242, "is_bot": True, "first_name": "LoRA", "username": "test_lora_bot"}


@dataclass
class Chat:
    """``moved_to`` is the supergroup that took a group's place."""

    chat_id: int
    kind: str = "private"
    title: str = ""
    blocked: bool = False
    moved_to: int = 0
    messages: list[Shown] = field(default_factory=list)

    def json(self) -> Json:
        name = {"first_name": self.title} if self.kind == "private" else {"title": self.title}
        return {"id": self.chat_id, "type": self.kind, **name}


class Chats:
    def __init__(self) -> None:
        self._chats: dict[int, Chat] = {}
        self._numbers = itertools.count(1)
        self.changed = asyncio.Condition()

    def open(self, chat: Chat) -> Chat:
        self._chats[chat.chat_id] = chat
        return chat

    def writable(self, chat_id: object) -> Chat:
        """The chat, if the bot may write there."""
        chat = self._chats.get(int(str(chat_id)))
        if chat is None:
            raise bad_request("chat not found")
        if chat.moved_to:
            raise migrated(chat.moved_to)
        if chat.blocked:
            raise forbidden(
                "bot was blocked by the user" if chat.kind == "private" else "bot was kicked"
            )
        return chat

    async def add(self, chat: Chat, sender: Json, text: str = "", **rest: Any) -> Shown:
        shown = Shown(next(self._numbers), chat.chat_id, sender, text, **rest)
        chat.messages.append(shown)
        await self.tell()
        return shown

    def editable(self, chat: Chat, message_id: object) -> Shown:
        for shown in chat.messages:
            if shown.message_id == int(str(message_id)):
                if not shown.from_bot:
                    raise bad_request("message can't be edited")
                return shown
        raise bad_request("message to edit not found")

    async def change(self, shown: Shown, rows: list[list[Button]], **content: object) -> None:
        """Everything or nothing, and an edit that changes nothing is an error."""
        before = shown.content()
        after = Shown(shown.message_id, shown.chat_id, shown.sender, rows=rows)
        for name in ("text", "entities", "media"):
            setattr(after, name, content.get(name, getattr(shown, name)))
        if after.content() == before:
            raise bad_request(
                "message is not modified: specified new message content and reply markup are "
                "exactly the same as a current content and reply markup of the message"
            )
        shown.text, shown.entities, shown.media = after.text, after.entities, after.media
        shown.rows = rows
        shown.edits += 1
        await self.tell()

    async def tell(self) -> None:
        """Whoever watches a chat looks again."""
        async with self.changed:
            self.changed.notify_all()

    def json(self, chat: Chat, shown: Shown) -> Json:
        body: Json = {
            "message_id": shown.message_id,
            "from": shown.sender,
            "chat": chat.json(),
            "date": int(datetime.now(tz=UTC).timestamp()),
        }
        names = ("caption", "caption_entities") if shown.media else ("text", "entities")
        if shown.text:
            body[names[0]] = shown.text
        if shown.entities:
            body[names[1]] = shown.entities
        return body | (shown.media or {})
