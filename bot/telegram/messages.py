"""Our messages as Telegram's: a text or a document, sent, edited, turned into one another."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from telegram import Bot, InputMediaDocument, InputMediaPhoto, LinkPreviewOptions
from telegram.constants import ParseMode, ReactionEmoji
from telegram.error import BadRequest, ChatMigrated, TelegramError

from bot.frontend import Limits, Message, OutFile
from bot.screen import Mark
from bot.telegram.calls import call
from bot.telegram.errors import NO_TEXT, UNCHANGED, WRONG_FILE, explain, says
from bot.telegram.markup import keyboard, to_html

UPLOAD_S = 120.0  # the answer to a large file comes when Telegram has stored it
MEDIA = "media"
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)
NO_PREVIEW_JSON = NO_PREVIEW.to_dict()

# What a person sees under a photo; both are among those that every chat knows.
MARKS = {Mark.LOOK: ReactionEmoji.THINKING_FACE, Mark.OUT: ReactionEmoji.THUMBS_DOWN}

Media = str | bytes | Path
Moved = Callable[[int, int], Awaitable[None]]  # a group's old and new number
Answer = TypeVar("Answer")


class Messages:
    """A message's name is its number, with ``:media`` behind it if it was sent with a file."""

    def __init__(self, bot: Bot, limits: Limits, moved: Moved) -> None:
        self._bot = bot
        self._limits = limits
        self._moved = moved
        self._uploaded: dict[OutFile, str] = {}  # a file keeps the name that it came with

    async def send(self, chat: int, message: Message) -> str:
        try:
            number = await self._send(chat, message)
        except TelegramError as error:
            raise explain(error, sending=True) from None
        has_media = message.file is not None or message.picture is not None
        return f"{number}:{MEDIA}" if has_media else str(number)

    async def edit(self, chat: int, ref: str, message: Message) -> None:
        number, _, kind = ref.partition(":")
        try:
            if message.file is not None:
                await self._edit_file(chat, int(number), message, message.file)
            elif message.picture is not None:
                await self._edit_picture(chat, int(number), message, message.picture)
            elif kind == MEDIA or not await self._edit_text(chat, int(number), message):
                await self._edit_caption(chat, int(number), message)
        except TelegramError as error:
            if not says(error, UNCHANGED):
                raise explain(error) from None

    async def mark(self, chat: int, ref: str, mark: Mark) -> None:
        try:
            shown = [{"type": "emoji", "emoji": MARKS[mark]}] if mark in MARKS else None
            await call(
                self._bot, "setMessageReaction", chat_id=chat, message_id=int(ref), reaction=shown
            )
        except TelegramError as error:
            raise explain(error) from None

    async def _send(self, chat: int, message: Message) -> int:
        send = self._send_text
        if message.file is not None:
            send = self._send_file
        elif message.picture is not None:
            send = self._send_picture
        try:
            return await send(chat, message)
        except ChatMigrated as error:
            await self._moved(chat, error.new_chat_id)
            return await send(error.new_chat_id, message)

    async def _send_text(self, chat: int, message: Message) -> int:
        sent = await call(
            self._bot,
            "sendMessage",
            chat_id=chat,
            text=to_html(message.text, self._limits.text),
            parse_mode=ParseMode.HTML,
            reply_markup=keyboard(message.buttons),
            disable_notification=not message.notify,
            link_preview_options=NO_PREVIEW_JSON,
        )
        return int(sent["message_id"])

    async def _send_file(self, chat: int, message: Message) -> int:
        assert message.file is not None  # noqa: S101  `_send` has looked
        name = message.file.name
        # A document shows a small picture; it goes along only with the file itself.
        small = await _bytes_of(message.picture.small) if message.picture else None
        sent = await self._upload(
            message.file,
            lambda media: self._bot.send_document(
                chat,
                media,
                filename=name,
                thumbnail=small,
                caption=to_html(message.text, self._limits.caption),
                parse_mode=ParseMode.HTML,
                reply_markup=keyboard(message.buttons),
                disable_notification=not message.notify,
                disable_content_type_detection=True,
                read_timeout=UPLOAD_S,
            ),
        )
        if sent.document is not None:
            self._uploaded[message.file] = sent.document.file_id
        return sent.message_id

    async def _send_picture(self, chat: int, message: Message) -> int:
        assert message.picture is not None  # noqa: S101  `_send` has looked
        sent = await self._upload(
            message.picture,
            lambda media: self._bot.send_photo(
                chat,
                media,
                caption=to_html(message.text, self._limits.caption),
                parse_mode=ParseMode.HTML,
                reply_markup=keyboard(message.buttons),
                disable_notification=not message.notify,
                read_timeout=UPLOAD_S,
            ),
        )
        if sent.photo:
            self._uploaded[message.picture] = sent.photo[-1].file_id
        return sent.message_id

    async def _edit_picture(
        self, chat: int, number: int, message: Message, picture: OutFile
    ) -> None:
        await self._upload(
            picture,
            lambda media: self._bot.edit_message_media(
                InputMediaPhoto(
                    media,
                    caption=to_html(message.text, self._limits.caption),
                    parse_mode=ParseMode.HTML,
                ),
                chat_id=chat,
                message_id=number,
                reply_markup=keyboard(message.buttons),
                read_timeout=UPLOAD_S,
            ),
        )

    async def _edit_text(self, chat: int, number: int, message: Message) -> bool:
        """False: the message got a file since it was sent, and has a caption instead."""
        try:
            await call(
                self._bot,
                "editMessageText",
                text=to_html(message.text, self._limits.text),
                chat_id=chat,
                message_id=number,
                parse_mode=ParseMode.HTML,
                reply_markup=keyboard(message.buttons),
                link_preview_options=NO_PREVIEW_JSON,
            )
        except BadRequest as error:
            if not says(error, NO_TEXT):
                raise
            return False
        return True

    async def _edit_caption(self, chat: int, number: int, message: Message) -> None:
        await call(
            self._bot,
            "editMessageCaption",
            chat_id=chat,
            message_id=number,
            caption=to_html(message.text, self._limits.caption),
            parse_mode=ParseMode.HTML,
            reply_markup=keyboard(message.buttons),
        )

    async def _edit_file(self, chat: int, number: int, message: Message, file: OutFile) -> None:
        """Adds the file to a message of text, or takes the place of the one that is there."""
        small = await _bytes_of(message.picture.small) if message.picture else None
        await self._upload(
            file,
            lambda media: self._bot.edit_message_media(
                InputMediaDocument(
                    media,
                    filename=file.name,
                    thumbnail=small,
                    caption=to_html(message.text, self._limits.caption),
                    parse_mode=ParseMode.HTML,
                    disable_content_type_detection=True,
                ),
                chat_id=chat,
                message_id=number,
                reply_markup=keyboard(message.buttons),
                read_timeout=UPLOAD_S,
            ),
        )

    async def _upload(self, file: OutFile, call: Callable[[Media], Awaitable[Answer]]) -> Answer:
        """What Telegram has already goes by its id; a local server reads the path itself."""
        if file in self._uploaded:
            try:
                return await call(self._uploaded[file])
            except BadRequest as error:
                if not says(error, *WRONG_FILE):
                    raise
                del self._uploaded[file]
        if self._bot.local_mode and file.path.name == file.name:
            return await call(file.path)
        return await call(await asyncio.to_thread(file.path.read_bytes))


async def _bytes_of(path: Path | None) -> bytes | None:
    """None where there is none, or none any more."""
    try:
        return await asyncio.to_thread(path.read_bytes) if path else None
    except FileNotFoundError:
        return None
