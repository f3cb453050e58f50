"""Send and edit: answers to interactions, direct messages, private threads."""

import logging
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from discord.errors import HTTPException, RateLimited

from bot.discord import errors, wire
from bot.discord.markup import EPHEMERAL, SILENT, body_of, sent_once
from bot.discord.places import Places, Reply, read_ref, ref_of
from bot.discord.updates import Kept, user_id
from bot.discord.wire import Wire
from bot.frontend import (
    ChatGoneError,
    Message,
    MessageGoneError,
    OutFile,
    RenderedButton,
    UncertainError,
)
from bot.screen import Slot
from bot.texts.catalog import Catalog, nearest
from storage import conversation_store, job_lists, people_store
from storage.database import Database

log = logging.getLogger(__name__)

MOMENTARY = (Slot.PANEL, Slot.TOAST)  # what need not last longer than an answer can be changed
THREAD = 12  # a private one
KEEP_MINUTES = 10080
RETRY = "retry::"  # a button's data

Raw = dict[str, Any]


class Messages:
    """A message's name is its channel's number and its own; with an ``e`` before it, only one
    person sees it, and only a living interaction can change it. ``adult`` are bases whose pictures
    are shown only where that is allowed.
    """

    def __init__(
        self, calls: Wire, places: Places, database: Database, adult: frozenset[str] = frozenset()
    ) -> None:
        self._adult = adult
        self._calls = calls
        self._places = places
        self._database = database

    async def send(self, chat: str, message: Message, key: str) -> str:
        reply = self._places.reply(chat)
        if reply is not None and message.slot in MOMENTARY:
            ref = await self._answer(chat, reply, message)
            if ref:
                return ref
        try:
            return await self._post(chat, message, key)
        except errors.FAILURES as error:
            # With its nonce the same message sent again is one message.
            raise errors.explain(error) from None

    async def edit(self, chat: str, ref: str, message: Message) -> None:
        channel, number, ephemeral = read_ref(ref)
        if not number:
            raise MessageGoneError("Discord: not a name of a message")
        try:
            if ephemeral:
                await self._change_answer(chat, number, message)
            else:
                await self._change(channel, number, message)
        except MessageGoneError:
            raise
        except errors.FAILURES as error:
            why = errors.explain(error)
            if isinstance(why, MessageGoneError | ChatGoneError):
                self._places.lost[chat] += 1
                raise MessageGoneError(str(why)) from None
            raise why from None

    async def tidy(self, reply: Reply) -> None:
        """If nothing was said to this interaction, the "thinking…" goes."""
        if reply.open:
            reply.open = False
            with suppress(*errors.FAILURES):
                await self._of(wire.DELETE_ANSWER, reply, wire.ORIGINAL)

    # --- answers to interactions -----------------------------------------------------------------

    async def _answer(self, chat: str, reply: Reply, message: Message) -> str:
        """Empty: this interaction takes no answer any more."""
        was_open, reply.open = reply.open, False
        if reply.private and not was_open:
            return ""
        seemly, veiled = self._seemly(reply.channel, message)
        body, files = body_of(seemly, typed=not reply.private, veiled=veiled)
        try:
            if was_open:
                sent = await self._of(wire.CHANGE_ANSWER, reply, wire.ORIGINAL, body, files)
            else:
                body["flags"] |= EPHEMERAL
                sent = await self._of(wire.FOLLOW_UP, reply, "", body, files)
        except HTTPException as error:
            if error.status in (401, 404) or error.code in errors.ANSWER_OVER:
                self._places.close(chat, reply)
                return ""
            reply.open = was_open
            raise errors.explain(error) from None
        except errors.FAILURES as error:
            reply.open = was_open
            if was_open or isinstance(error, RateLimited):
                raise errors.explain(error) from None
            raise UncertainError(f"Discord: {type(error).__name__}") from None
        number = int(sent["id"])
        if not reply.private:
            self._places.remember(number, reply)
        return ref_of(reply.channel, number, ephemeral=not reply.private)

    async def _change_answer(self, chat: str, number: int, message: Message) -> None:
        reply = self._places.changes(number)
        if reply is None:
            raise MessageGoneError("Discord: the answer is too old to be changed")
        try:
            if message.slot not in MOMENTARY:
                self._places.forget(number)
                moved, _ = body_of(await self._said(chat, "place.moved"))
                await self._of(wire.CHANGE_ANSWER, reply, str(number), moved)
            elif not message.buttons and message.asks is None:
                # A panel that moved away; one without buttons would only stand in the way.
                await self._of(wire.DELETE_ANSWER, reply, str(number))
                return
            else:
                body, files = body_of(message, typed=True)
                await self._of(wire.CHANGE_ANSWER, reply, str(number), body, files)
                return
        except HTTPException as error:
            if error.status not in (401, 404) and error.code not in errors.ANSWER_OVER:
                raise
            self._places.forget(number)
        raise MessageGoneError("Discord: the answer cannot be changed any more")

    async def _of(
        self,
        what: tuple[str, str],
        reply: Reply,
        message: str,
        body: Raw | None = None,
        files: tuple[OutFile, ...] = (),
    ) -> Any:
        application = await self._calls.application_id()
        return await self._calls.call(
            what,
            {"webhook_id": application, "webhook_token": reply.token, "message_id": message},
            body,
            files,
        )

    # --- messages that last ----------------------------------------------------------------------

    def _seemly(self, channel: int, message: Message) -> tuple[Message, bool]:
        """The message as this channel may show it, and whether its picture is veiled."""
        if message.drawn_by not in self._adult:
            return message, False
        allowed = self._calls.allows_adults(channel)
        return (message if allowed is not False else replace(message, picture=None)), not allowed

    async def _change(self, channel: int, number: int, message: Message) -> None:
        seemly, veiled = self._seemly(channel, message)
        body, files = body_of(seemly, veiled=veiled)
        ids = {"channel_id": channel, "message_id": number}
        try:
            await self._calls.call(wire.CHANGE, ids, body, files)
        except (HTTPException, KeyError) as error:
            # The library looks for a pause in each 429; this refusal may come without one.
            if isinstance(error, HTTPException) and error.code != errors.OLD_EDITS:
                raise
            # After an hour few edits are left; a new message takes its place.
            with suppress(*errors.FAILURES):
                await self._calls.call(wire.DELETE, ids)
            raise MessageGoneError("Discord: the message is too old for more edits") from None

    async def _post(self, chat: str, message: Message, key: str) -> str:
        home = self._places.homes.get(chat) or await self._direct(chat)
        if ref := await self._try(chat, home, message, key):
            return ref
        self._places.homes.pop(chat, None)
        return await self._elsewhere(chat, home, message, key)

    async def _create(self, chat: str, channel: int, message: Message, key: str) -> str:
        seemly, veiled = self._seemly(channel, message)
        body, files = body_of(seemly, veiled=veiled)
        body["flags"] |= 0 if message.notify else SILENT
        once = sent_once(body, f"{key}|{channel}|{self._places.lost[chat]}")
        sent = await self._calls.call(wire.CREATE, {"channel_id": channel}, once, files)
        self._places.homes[chat] = channel
        return ref_of(channel, int(sent["id"]))

    async def _direct(self, chat: str) -> int:
        opened = await self._calls.call(wire.OPEN_DM, {}, {"recipient_id": str(user_id(chat))})
        return int(opened["id"])

    async def _elsewhere(self, chat: str, closed: int, message: Message, key: str) -> str:
        """No direct messages: a private thread, else whoever waits for an answer right now."""
        thread, door = await self._earlier(chat, closed)
        door = self._places.doors.get(chat) or door
        if thread and (ref := await self._try(chat, thread, message, key)):
            return ref
        if door and (thread := await self._thread(chat, door)):
            return await self._create(chat, thread, message, key)
        reply = self._places.reply(chat)
        if reply is not None and not reply.private:
            log.info("a person takes no messages, and no thread could be opened")
            await self._answer(chat, reply, await self._closed(chat))
            if ref := await self._answer(chat, reply, message):
                return ref
        raise ChatGoneError("Discord: the person takes no messages")

    async def _try(self, chat: str, channel: int, message: Message, key: str) -> str:
        """Empty: this channel is closed to us."""
        try:
            return await self._create(chat, channel, message, key)
        except HTTPException as error:
            if error.code not in errors.CHAT_GONE:
                raise
            return ""

    async def _thread(self, chat: str, door: int) -> int:
        """A new private thread with this person in it; 0 where we may not open one."""
        catalog = await self._catalog(chat)
        body = {
            "name": catalog.text("place.thread_name"),
            "type": THREAD,
            "invitable": False,
            "auto_archive_duration": KEEP_MINUTES,
        }
        try:
            opened = await self._calls.call(wire.OPEN_THREAD, {"channel_id": door}, body)
            thread = int(opened["id"])
            who = {"channel_id": thread, "user_id": user_id(chat)}
            await self._calls.call(wire.JOIN_THREAD, who)
            # Known before anything is said in it: a try that breaks off here opens no second one.
            self._places.homes[chat] = thread
            hello, _ = body_of(Message(text=catalog.text("place.thread")))
            await self._calls.call(wire.CREATE, {"channel_id": thread}, hello)
        except HTTPException as error:
            if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            # No right to, or not a kind of channel that has threads.
            log.info("Discord: no private thread could be opened (code %s)", error.code)
            return 0
        return thread

    async def _earlier(self, chat: str, closed: int) -> tuple[int, int]:
        """A thread that we have opened for this chat, and a server's channel; 0 if unknown."""
        async with self._database.read() as tx:
            jobs = await job_lists.of_person(tx, chat)
            stored = await conversation_store.load(tx, chat)
        kept = stored.panel_ref.partition("|")[2] if stored else ""
        refs = [read_ref(one) for one in (kept, *(job.status_ref for job in jobs))]
        threads = [channel for channel, _, gone in refs if channel not in (0, closed) and not gone]
        doors = [channel for channel, _, ephemeral in refs if ephemeral]
        return next(iter(threads), 0), next(iter(doors), 0)

    async def reopen(self, kept: Kept) -> bool:
        """The press on Retry: whether the person can be written to by now. If so their messages go
        there from here on; if not the message with the button stays as it is.
        """
        try:
            home = await self._direct(kept.chat)
            hello = await self._said(kept.chat, "place.open")
            opened = await self._try(kept.chat, home, hello, f"retry-{kept.id}")
        except errors.FAILURES as error:
            log.info("a person is still not reached (%s)", type(error).__name__)
            return False
        if opened:
            with suppress(MessageGoneError, *errors.FAILURES):
                await self._change_answer(kept.chat, kept.message, Message(text=""))
        return bool(opened)

    async def _closed(self, chat: str) -> Message:
        catalog = await self._catalog(chat)
        again = RenderedButton(label=catalog.text("button.retry"), data=RETRY)
        return Message(text=catalog.text("place.closed"), buttons=((again,),))

    async def _said(self, chat: str, key: str) -> Message:
        return Message(text=(await self._catalog(chat)).text(key))

    async def _catalog(self, chat: str) -> Catalog:
        async with self._database.read() as tx:
            return Catalog.load(nearest(await people_store.language(tx, chat)))
