"""Telegram as a chat, on python-telegram-bot: its transport, our conversation and our inbox."""

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from telegram import (
    Bot,
    BotCommand,
    CallbackQuery,
    File,
    InputMediaDocument,
    LinkPreviewOptions,
    Update,
)
from telegram import Message as Sent
from telegram.constants import ParseMode
from telegram.error import BadRequest, ChatMigrated, TelegramError
from telegram.ext import Application, ContextTypes, TypeHandler
from telegram.request import HTTPXRequest

from bot.frontend import Limits, Message, OutFile, Receive
from bot.render import render
from bot.screen import Line
from bot.screens import toast
from bot.telegram.errors import NO_TEXT, UNCHANGED, explain, says
from bot.telegram.markup import keyboard, to_html
from bot.telegram.polling import Kept, Polling, patiently
from bot.telegram.updates import PLATFORM, asks_in_group, chat_id, translate
from bot.texts.catalog import DEFAULT, Catalog, languages, nearest
from storage.database import Database

log = logging.getLogger(__name__)

API_URL = "https://api.telegram.org"
AT_ONCE = 16  # updates; more of them only wait for connections
CONNECTIONS = 3 * AT_ONCE  # downloads, beside them sends, edits and answers
ANSWER_S = 20.0
UPLOAD_S = 120.0  # the answer to a large file comes when Telegram has stored it
STOP_S = 5.0  # what updates in work get to finish when the bot stops
MEDIA = "media"
NO_PREVIEW = LinkPreviewOptions(is_disabled=True)

Answer = TypeVar("Answer")


class Telegram:
    """``api_url`` is the base of a Bot API server; ``local_server`` says that it runs in its local
    mode on this machine's files, where the limits are a hundred times higher.
    """

    platform = PLATFORM

    def __init__(
        self,
        token: str,
        *,
        database: Database,
        api_url: str = API_URL,
        local_server: bool = False,
    ) -> None:
        # The library's coming way to say seconds; with the present one each 429 makes a warning.
        os.environ["PTB_TIMEDELTA"] = "true"
        for name in ("httpx", "httpcore", "telegram"):
            # They log addresses, which hold the token, and updates, which hold people's words.
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self.limits = Limits(
            in_file_bytes=2_000_000_000 if local_server else 20_000_000,
            out_file_bytes=2_000_000_000 if local_server else 50_000_000,
            edit_interval_s=3.0,
        )
        self._local = local_server
        self._app = (
            Application.builder()
            .token(token)
            .base_url(f"{api_url.rstrip('/')}/bot")
            .base_file_url(f"{api_url.rstrip('/')}/file/bot")
            .local_mode(local_server)
            .request(_request(CONNECTIONS))
            .get_updates_request(_request(1))
            .concurrent_updates(AT_ONCE)
            .updater(None)
            .job_queue(None)
            .build()
        )
        self._app.add_handler(TypeHandler(Kept, self._handle))
        self._app.add_error_handler(_complain)
        self._bot: Bot = self._app.bot
        self._polling = Polling(self._bot, database, self._app.update_queue)
        self._receive: Receive | None = None
        self._working: set[asyncio.Task[object]] = set()
        self._uploaded: dict[Path, str] = {}

    async def send(self, chat: str, message: Message, *, key: str) -> str:  # noqa: ARG002
        """Telegram knows no keys: a send without an answer is an UncertainError."""
        try:
            sent = await self._send(chat_id(chat), message)
        except TelegramError as error:
            raise explain(error, sending=True) from None
        return f"{sent.message_id}:{MEDIA}" if message.file else str(sent.message_id)

    async def edit(self, chat: str, ref: str, message: Message) -> None:
        number, _, kind = ref.partition(":")
        try:
            await self._edit(chat_id(chat), int(number), message, media=kind == MEDIA)
        except TelegramError as error:
            if not says(error, UNCHANGED):
                raise explain(error) from None

    async def run(self, receive: Receive) -> None:
        self._receive = receive
        try:
            await patiently(self._app.initialize)
            await patiently(self._bot.delete_webhook)
            await self._app.start()
            self._app.create_task(self._introduce())
            await self._polling.run()
        finally:
            await self._stop()

    async def _stop(self) -> None:
        """What is in work may finish for a moment; the rest is done after the next start."""
        self._receive = None
        working = list(self._working)
        if working:
            await asyncio.wait(working, timeout=STOP_S)
        for task in working:
            task.cancel()
        if self._app.running:
            await self._app.stop()
        await self._app.shutdown()

    async def _handle(self, kept: Kept, _: ContextTypes.DEFAULT_TYPE) -> None:
        """One update: its effect first, then it counts as done."""
        task = asyncio.current_task()
        if self._receive is None or task is None:
            return
        self._working.add(task)
        try:
            update = Update.de_json(json.loads(kept.body), self._bot)
            if update.callback_query is not None:
                self._app.create_task(_answer(update.callback_query))
            if asks_in_group(update, self._bot.username, _commands(DEFAULT)):
                await self._point_to_private(update)
            incoming = translate(update, self._bot.username, self._fetch)
            if incoming is not None:
                await self._receive(incoming)
            await self._polling.done(kept)
        finally:
            self._working.discard(task)

    async def _fetch(self, file_id: str) -> bytes:
        try:
            return await self._download(await self._bot.get_file(file_id))
        except TelegramError as error:
            raise explain(error) from None

    async def _download(self, file: File) -> bytes:
        path = Path(file.file_path or "")
        if self._local and path.is_absolute():
            return await asyncio.to_thread(path.read_bytes)
        return bytes(await file.download_as_bytearray())

    async def _send(self, chat: int, message: Message) -> Sent:
        try:
            return await self._send_to(chat, message)
        except ChatMigrated as error:
            return await self._send_to(error.new_chat_id, message)

    async def _send_to(self, chat: int, message: Message) -> Sent:
        if message.file is not None:
            return await self._send_file(chat, message, message.file)
        return await self._bot.send_message(
            chat,
            to_html(message.text, self.limits.text),
            parse_mode=ParseMode.HTML,
            reply_markup=keyboard(message.buttons),
            disable_notification=not message.notify,
            link_preview_options=NO_PREVIEW,
        )

    async def _send_file(self, chat: int, message: Message, file: OutFile) -> Sent:
        sent = await self._upload(
            file,
            lambda media: self._bot.send_document(
                chat,
                media,
                filename=file.name,
                caption=to_html(message.text, self.limits.caption),
                parse_mode=ParseMode.HTML,
                reply_markup=keyboard(message.buttons),
                disable_notification=not message.notify,
                disable_content_type_detection=True,
                read_timeout=UPLOAD_S,
            ),
        )
        if sent.document is not None:
            self._uploaded[file.path] = sent.document.file_id
        return sent

    async def _edit(self, chat: int, number: int, message: Message, *, media: bool) -> None:
        """Text and caption are edited by different calls, and a text can have got a file since."""
        if message.file is not None:
            await self._edit_file(chat, number, message, message.file)
            return
        if not media:
            try:
                await self._edit_text(chat, number, message)
            except BadRequest as error:
                if not says(error, NO_TEXT):
                    raise
            else:
                return
        await self._bot.edit_message_caption(
            chat,
            number,
            caption=to_html(message.text, self.limits.caption),
            parse_mode=ParseMode.HTML,
            reply_markup=keyboard(message.buttons),
        )

    async def _edit_text(self, chat: int, number: int, message: Message) -> None:
        await self._bot.edit_message_text(
            to_html(message.text, self.limits.text),
            chat_id=chat,
            message_id=number,
            parse_mode=ParseMode.HTML,
            reply_markup=keyboard(message.buttons),
            link_preview_options=NO_PREVIEW,
        )

    async def _edit_file(self, chat: int, number: int, message: Message, file: OutFile) -> None:
        """Adds the file to a message of text, or takes the place of the one that is there."""
        await self._upload(
            file,
            lambda media: self._bot.edit_message_media(
                InputMediaDocument(
                    media,
                    filename=file.name,
                    caption=to_html(message.text, self.limits.caption),
                    parse_mode=ParseMode.HTML,
                    disable_content_type_detection=True,
                ),
                chat_id=chat,
                message_id=number,
                reply_markup=keyboard(message.buttons),
                read_timeout=UPLOAD_S,
            ),
        )

    async def _upload(
        self, file: OutFile, call: Callable[[str | bytes | Path], Awaitable[Answer]]
    ) -> Answer:
        """By its id where Telegram has the file already."""
        if file.path in self._uploaded:
            try:
                return await call(self._uploaded[file.path])
            except BadRequest as error:
                if not says(error, "file identifier", "file_id"):
                    raise
                del self._uploaded[file.path]
        if self._local:
            return await call(file.path)
        return await call(await asyncio.to_thread(file.path.read_bytes))

    async def _introduce(self) -> None:
        """The menu of commands, in each language. Without it the bot works all the same."""
        with suppress(TelegramError):
            for language in languages():
                menu = [BotCommand(*one) for one in _commands(language).items()]
                code = "" if language == DEFAULT else language.partition("_")[0]
                await self._bot.set_my_commands(menu, language_code=code)

    async def _point_to_private(self, update: Update) -> None:
        """In a group others would see the photos, so there is one answer to everything."""
        message, person = update.effective_message, update.effective_user
        if message is None or person is None:
            return
        link = f"https://t.me/{self._bot.username}?start=train"
        screen = toast(Line(key="group.private", args={"link": link}))
        words = render(screen, Catalog.load(nearest(person.language_code or "")), self.limits)
        with suppress(TelegramError):
            await message.reply_html(
                to_html(words.text, self.limits.text), link_preview_options=NO_PREVIEW
            )


def _request(connections: int) -> HTTPXRequest:
    return HTTPXRequest(
        connection_pool_size=connections,
        read_timeout=ANSWER_S,
        write_timeout=ANSWER_S,
        connect_timeout=ANSWER_S,
        pool_timeout=ANSWER_S,
        media_write_timeout=UPLOAD_S,
    )


def _commands(language: str) -> dict[str, str]:
    """Names and what they do, from the help that everybody reads."""
    lines = Catalog.load(language).text("help.text").splitlines()
    parts = [line.removeprefix("/").partition(" – ") for line in lines if line.startswith("/")]
    return {name: words for name, _, words in parts}


async def _answer(query: CallbackQuery) -> None:
    """Ends the button's little clock. Too late is no harm: then the clock has ended by itself."""
    with suppress(TelegramError):
        await query.answer()


async def _complain(update: object, context: ContextTypes.DEFAULT_TYPE) -> None:
    """The update stays in the inbox, for the next start."""
    number = update.update_id if isinstance(update, Kept) else "?"
    log.error("update %s was not handled (%s)", number, type(context.error).__name__)
