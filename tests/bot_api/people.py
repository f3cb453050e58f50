"""People who use the bot: what they type, send and press, and what they see."""

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bot_api.chats import Chat
from tests.bot_api.methods import Methods
from tests.bot_api.shown import Json, Shown
from tests.drawn import photos
from tests.patience import PATIENCE_S

SIZES = (90, 320, 800, 1280)  # the long sides in which a photo is kept

_albums = itertools.count(13_000_000)


@dataclass
class Group:
    methods: Methods
    chat: Chat

    def upgrade(self, by: Json | None = None) -> Chat:
        """It becomes a supergroup, with another id; both say so, where it is told ``by`` whom."""
        old, new = self.chat, Chat(-1_000_000_000_000 + self.chat.chat_id, "supergroup")
        new.title = old.title
        old.moved_to = new.chat_id
        if by is not None:
            self._tell(old, by, {"migrate_to_chat_id": new.chat_id})
            self._tell(new, by, {"migrate_from_chat_id": old.chat_id})
        return self.methods.chats.open(new)

    def _tell(self, chat: Chat, by: Json, what: Json) -> None:
        body: Json = {"message_id": 1, "from": by, "chat": chat.json(), "date": 1_790_000_000}
        self.methods.feed.add("message", body | what)


class Person:
    """Each act gives the update's id, or ids, as the bot will get them."""

    def __init__(self, methods: Methods, chat: Chat, sender: Json) -> None:
        self.chat = chat
        self.sender = sender
        self._methods = methods

    @property
    def name(self) -> str:
        """As the bot's core calls this chat and this person."""
        return f"tg:{self.chat.chat_id}"

    @property
    def sees(self) -> list[Shown]:
        """What the bot has written, as it stands there now."""
        return [shown for shown in self.chat.messages if shown.from_bot]

    async def says(self, text: str, *, to: Group | None = None) -> int:
        chat = to.chat if to else self.chat
        length = len(text.split(maxsplit=1)[0]) if text.startswith("/") else 0
        command = {"type": "bot_command", "offset": 0, "length": length}
        shown = await self._methods.chats.add(
            chat, self.sender, text, entities=[command] if length else []
        )
        return self._update(chat, shown)

    async def sends_photos(self, pictures: int | Sequence[bytes], caption: str = "") -> list[int]:
        """One, or an album: as many updates, held together by a ``media_group_id``."""
        files = photos(pictures) if isinstance(pictures, int) else pictures
        album = {} if len(files) == 1 else {"media_group_id": str(next(_albums))}
        ids = []
        for data in files:
            media: Json = {"photo": [self._size(data, side) for side in SIZES], **album}
            shown = await self._methods.chats.add(self.chat, self.sender, caption, media=media)
            ids.append(self._update(self.chat, shown))
        return ids

    async def sends_file(
        self, data: bytes, name: str, mime: str = "", *, claimed_bytes: int | None = None
    ) -> int:
        held = self._methods.files.hold(data, name, "documents", claimed_bytes=claimed_bytes)
        document: Json = {
            "file_id": held.file_id,
            "file_unique_id": held.path,
            "file_size": held.claimed_bytes,
            "file_name": name,
            **({"mime_type": mime} if mime else {}),
        }
        return await self.sends({"document": document})

    async def sends(self, media: Json) -> int:
        """Any other message: a sticker, a voice, a place."""
        shown = await self._methods.chats.add(self.chat, self.sender, media=media)
        return self._update(self.chat, shown)

    async def presses(self, label: str) -> str:
        """The newest button that reads so; gives the query's id."""
        for shown in reversed(self.sees):
            for button in (button for row in shown.rows for button in row):
                if button.text == label and button.data:
                    return self.presses_data(shown, button.data)
        raise AssertionError(f"no {label!r} among {[shown.labels for shown in self.sees]}")

    async def presses_when(self, label: str, within_s: float = PATIENCE_S) -> str:
        """The same, as soon as it is there."""
        chats = self._methods.chats
        async with asyncio.timeout(within_s), chats.changed:
            await chats.changed.wait_for(lambda: any(label in one.labels for one in self.sees))
        return await self.presses(label)

    def presses_data(self, shown: Shown, data: str) -> str:
        query = str(next(self._methods.query_ids))
        self._methods.queries.add(query)
        body: Json = {
            "id": query,
            "from": self.sender,
            "message": self._methods.chats.json(self.chat, shown),
            "chat_instance": "-42",
            "data": data,
        }
        self._methods.feed.add("callback_query", body)
        return query

    def blocks(self) -> None:
        self.chat.blocked = True
        member = {"user": {"id": 4242, "is_bot": True, "first_name": "LoRA"}}
        body: Json = {
            "chat": self.chat.json(),
            "from": self.sender,
            "date": 1_790_000_000,
            "old_chat_member": {**member, "status": "member"},
            "new_chat_member": {**member, "status": "kicked", "until_date": 0},
        }
        self._methods.feed.add("my_chat_member", body)

    async def reads(self, words: str, within_s: float = PATIENCE_S) -> Shown:
        """Wait until a message of the bot says this; the newest one that does."""
        chats = self._methods.chats
        try:
            async with asyncio.timeout(within_s), chats.changed:
                await chats.changed.wait_for(lambda: self._with(words))
        except TimeoutError:
            raise AssertionError(f"no {words!r} in {[one.text for one in self.sees]}") from None
        return self._with(words)[-1]

    def _with(self, words: str) -> list[Shown]:
        return [shown for shown in self.sees if words in shown.text]

    def _size(self, data: bytes, side: int) -> Json:
        """Only the largest one holds the picture; the others would be found out at once."""
        whole = side == SIZES[-1]
        held = self._methods.files.hold(data if whole else b"small", "photo.jpg", "photos")
        return {
            "file_id": held.file_id,
            "file_unique_id": held.path,
            "file_size": held.claimed_bytes,
            "width": side * 3 // 4,
            "height": side,
        }

    def _update(self, chat: Chat, shown: Shown) -> int:
        return self._methods.feed.add("message", self._methods.chats.json(chat, shown))
