"""Telegram as a chat, on python-telegram-bot: its transport, our conversation and our inbox."""

import asyncio
import json
import logging
import os
from collections.abc import Collection, Coroutine
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from sqlalchemy.exc import DBAPIError
from telegram import Bot, File, Update
from telegram.error import TelegramError
from telegram.ext import Application, ContextTypes, TypeHandler

from bot.frontend import Limits, Message, Receive
from bot.render import render
from bot.screen import Line, Mark
from bot.screens import toast
from bot.telegram.bringing import Bringing
from bot.telegram.calls import Calls, call
from bot.telegram.errors import explain
from bot.telegram.inbox import Inbox, Kept, Raw
from bot.telegram.markup import to_html
from bot.telegram.menus import Menus, commands
from bot.telegram.messages import NO_PREVIEW, UPLOAD_S, Messages
from bot.telegram.polling import ANSWER_S, Polling, patiently
from bot.telegram.updates import PLATFORM, asked_in_group, chat_id, moved, translate
from bot.telegram.webhook import Webhook
from bot.texts.catalog import DEFAULT, Catalog, nearest
from storage import chat_moves
from storage.database import Database

log = logging.getLogger(__name__)

API_URL = "https://api.telegram.org"
AT_ONCE = 4096  # updates: whoever presses a button must not wait behind other people's photos
FILES_AT_ONCE = 16  # of them with files; more of these only wait for connections
CONNECTIONS = 3 * FILES_AT_ONCE  # downloads, beside them sends, edits and answers
STOP_S = 5.0  # what updates in work get to finish when the bot stops
LOCAL_BYTES = 2_000_000_000


class Telegram:
    """``api_url`` is the base of a Bot API server; ``local_server`` says that it runs in its local
    mode and shares this machine's files, where the limits are a hundred times higher. ``admins``
    are those of the settings: their menus are longer. With a ``webhook`` Telegram brings updates,
    without one they are fetched.
    """

    platform = PLATFORM

    def __init__(
        self,
        token: str,
        *,
        database: Database,
        api_url: str = API_URL,
        local_server: bool = False,
        admins: Collection[str] = (),
        webhook: Webhook | None = None,
    ) -> None:
        # The library's coming way to say seconds; with the present one each 429 makes a warning.
        os.environ["PTB_TIMEDELTA"] = "true"
        for name in ("aiohttp", "telegram"):
            # They log addresses, which hold the token, and updates, which hold people's words.
            logging.getLogger(name).setLevel(logging.CRITICAL)
        self.limits = Limits(
            in_file_bytes=LOCAL_BYTES if local_server else 20_000_000,
            out_file_bytes=LOCAL_BYTES if local_server else 50_000_000,
            edit_interval_s=3.0,
            copies=True,
        )
        self._database = database
        self._calls = tuple(
            Calls(api_url, number, answer_s=ANSWER_S, upload_s=UPLOAD_S)
            for number in (CONNECTIONS, 1)
        )
        calls, updates = self._calls
        self._app = (
            Application.builder()
            .token(token)
            .base_url(f"{api_url.rstrip('/')}/bot")
            .base_file_url(f"{api_url.rstrip('/')}/file/bot")
            .local_mode(local_server)
            .request(calls)
            .get_updates_request(updates)
            .concurrent_updates(AT_ONCE)
            .updater(None)
            .job_queue(None)
            .build()
        )
        self._app.add_handler(TypeHandler(Kept, self._handle))
        self._app.add_error_handler(_complain)
        self._bot: Bot = self._app.bot
        self._messages = Messages(self._bot, self.limits, self._move)
        self._inbox = Inbox(database, self._app.update_queue, self._met)
        self._source: Polling | Bringing = Polling(updates, self._bot, self._inbox)
        if webhook is not None:
            self._source = Bringing(self._bot, self._inbox, webhook)
        self._menus = Menus(self._bot, database, admins)
        self._receive: Receive | None = None
        self._fetching = asyncio.Semaphore(FILES_AT_ONCE)
        self._working: set[asyncio.Task[None]] = set()

    async def send(self, chat: str, message: Message, *, key: str) -> str:  # noqa: ARG002
        """Telegram knows no keys: a send without an answer is an UncertainError."""
        return await self._messages.send(chat_id(chat), message)

    async def edit(self, chat: str, ref: str, message: Message) -> None:
        await self._messages.edit(chat_id(chat), ref, message)

    async def mark(self, chat: str, ref: str, mark: Mark) -> None:
        await self._messages.mark(chat_id(chat), ref, mark)

    async def run(self, receive: Receive) -> None:
        self._receive = receive
        menus: asyncio.Task[None] | None = None
        try:
            await patiently(self._app.initialize)
            await self._app.start()
            self.limits = replace(self.limits, start_link=start_link(self._bot.username))
            menus = asyncio.create_task(self._menus.run())
            await self._source.run()
        finally:
            if menus is not None:
                menus.cancel()
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
        for calls in self._calls:
            await calls.shutdown()  # where the start came no further than the first call

    def _beside(self, work: Coroutine[object, object, None]) -> None:
        self._count(self._app.create_task(work))

    def _count(self, task: asyncio.Task[None]) -> None:
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _handle(self, kept: Kept, _: ContextTypes.DEFAULT_TYPE) -> None:
        """One update: its effect first, then it counts as done."""
        task, receive = asyncio.current_task(), self._receive
        if receive is None or task is None:
            return
        self._count(task)
        try:
            await self._take(kept, receive)
        except DBAPIError as error:
            log.warning("update %s: once more later (%s)", kept.update_id, type(error).__name__)
            self._beside(self._inbox.again(kept))

    def _met(self, update: Raw) -> None:
        """A button's little clock ends at once, whatever comes of the press."""
        match update:
            case {"callback_query": {"id": str(query_id)}}:
                self._beside(self._answer(query_id))

    async def _answer(self, query_id: str) -> None:
        """Too late is no harm: then the clock has ended by itself."""
        with suppress(TelegramError):
            await call(self._bot, "answerCallbackQuery", callback_query_id=query_id)

    async def _take(self, kept: Kept, receive: Receive) -> None:
        update = Update.de_json(json.loads(kept.body), self._bot)
        if (chats := moved(update)) is not None:
            await self._move(*chats)
        asked = asked_in_group(update, self._bot.username, commands(DEFAULT))
        if asked is not None:
            await self._point_to_private(update, asked)
        incoming = translate(update, self._bot.username, self._fetch)
        if incoming is not None:
            async with self._fetching if incoming.attachments else nullcontext():
                await receive(replace(incoming, once=partial(self._inbox.once, kept)))
        await self._inbox.done(kept)

    async def _fetch(self, file_id: str) -> bytes:
        try:
            return await self._download(await self._bot.get_file(file_id))
        except TelegramError as error:
            raise explain(error) from None

    async def _download(self, file: File) -> bytes:
        path = Path(file.file_path or "")
        if self._bot.local_mode and path.is_absolute():
            return await asyncio.to_thread(path.read_bytes)
        return bytes(await file.download_as_bytearray())

    async def _move(self, old: int, new: int) -> None:
        """A group became another one; what we know of it goes along."""
        async with self._database.write() as tx:
            await chat_moves.move(tx, f"{PLATFORM}:{old}", f"{PLATFORM}:{new}")

    async def _point_to_private(self, update: Update, word: str) -> None:
        """In a group others would see the photos: the same command goes on in private."""
        message, person = update.effective_message, update.effective_user
        if message is None or person is None:
            return
        link = f"{start_link(self._bot.username)}{word}"
        screen = toast(Line(key="group.private", args={"link": link}))
        words = render(screen, Catalog.load(nearest(person.language_code or "")), self.limits)
        with suppress(TelegramError):
            text = to_html(words.text, self.limits.text)
            await message.reply_html(text, link_preview_options=NO_PREVIEW)


def start_link(username: str) -> str:
    """Opens the private chat; whatever stands behind it comes as the word of a /start."""
    return f"https://t.me/{username}?start="


async def _complain(update: object, context: ContextTypes.DEFAULT_TYPE) -> None:
    """The update stays in the inbox, for the next start."""
    number = update.update_id if isinstance(update, Kept) else "?"
    log.error("update %s was not handled (%s)", number, type(context.error).__name__)
