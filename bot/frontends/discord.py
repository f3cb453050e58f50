"""Discord as a chat, on discord.py: its connection and rate limits, our conversation and inbox."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import discord
import httpx
from discord.errors import ConnectionClosed, GatewayNotFound, LoginFailure

from bot.discord import errors, menu, updates, wire
from bot.discord.gallery import Hall
from bot.discord.gateway import API_URL, Gateway, speak_to
from bot.discord.markup import EPHEMERAL
from bot.discord.messages import Messages
from bot.discord.origins import may_fetch
from bot.discord.places import Places, Reply, read_ref
from bot.discord.prompts import LATER, LATER_HERE, Prompts
from bot.discord.updates import PLATFORM, Kept
from bot.discord.wire import Wire
from bot.events import Choice
from bot.frontend import Limits, Message, NetworkError, Receive
from bot.lasting import lasting
from storage import conversation_store, inbox_store
from storage.bases import Base
from storage.database import Database

log = logging.getLogger(__name__)

EDIT_S = 4.0  # between two changes of one message
AT_ONCE = 16  # updates in work
STOP_S = 5.0  # what updates in work get to finish when the bot stops
KEEP_S = 1.5  # so long an acknowledgement waits for the disk; Discord waits for three
TIDY_S = 30.0  # after so long without an answer the "thinking…" goes
FETCH_S = 60.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
MISSED_DAYS = 3  # drafts that changed since are looked at after a start
AGAIN = Choice("retry")  # where a person could not be written to
FILE_BYTES = 10 * 1024 * 1024  # where nothing else is known


class Discord:
    """``api_url`` is the base of Discord's API; ``bases`` are offered in the form of /train."""

    platform = PLATFORM
    limits = Limits(
        text=3900,  # some characters are escaped, and Discord counts the escapes
        caption=3900,
        in_file_bytes=50_000_000,
        out_file_bytes=FILE_BYTES,
        edit_interval_s=EDIT_S,
    )

    def __init__(
        self,
        token: str,
        *,
        database: Database,
        bases: Sequence[Base],
        api_url: str = API_URL,
        gallery: str = "",
    ) -> None:
        # It logs addresses, which hold tokens, and what people write.
        logging.getLogger("discord").setLevel(logging.CRITICAL)
        speak_to(api_url)
        self._token = token
        self._api_url = api_url
        self._database = database
        self._prompts = Prompts(database, bases)
        self._wire = Wire()
        self._places = Places()
        adult = frozenset(base.id for base in bases if base.adult)
        self._messages = Messages(self._wire, self._places, database, adult)
        self._hall = Hall(self._wire, int(gallery or 0), adult)
        self.limits = replace(Discord.limits, gallery=bool(gallery), edit_interval_s=EDIT_S)
        self._files = httpx.AsyncClient(timeout=FETCH_S, follow_redirects=False)
        self._receive: Receive | None = None
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._in_work: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._tidying: set[asyncio.Task[None]] = set()

    async def send(self, chat: str, message: Message, *, key: str) -> str:
        return await self._messages.send(chat, message, key)

    async def edit(self, chat: str, ref: str, message: Message) -> None:
        await self._messages.edit(chat, ref, message)

    async def exhibit(self, person: str, message: Message, *, key: str) -> str:
        return await self._hall.exhibit(person, message, key)

    async def take_down(self, ref: str) -> None:
        await self._hall.take_down(ref)

    async def run(self, receive: Receive) -> None:
        """The library comes back by itself after a cut; a start that fails is tried again here."""
        self._receive = receive
        pause = FIRST_PAUSE_S
        try:
            while True:
                began = time.monotonic()
                await self._connect()
                self._wire.stop()
                if time.monotonic() - began > LONGEST_PAUSE_S:
                    pause = FIRST_PAUSE_S
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
        finally:
            await self._stop()

    async def _connect(self) -> None:
        try:
            async with Gateway(self) as client:
                await client.start(self._token)
        except LoginFailure:
            raise errors.TokenRejectedError from None
        except ConnectionClosed as error:
            if error.code == 4004:
                raise errors.TokenRejectedError from None
            log.warning("Discord closed the connection (code %s)", error.code)
        except (*errors.FAILURES, GatewayNotFound, AttributeError) as error:
            # The library trips (AttributeError) where its very first connection fails.
            log.warning("Discord does not answer (%s)", type(error).__name__)

    async def _stop(self) -> None:
        """What is in work may finish for a moment; the rest is done after the next start."""
        self._receive = None
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_S)
        left = [*self._tasks, *self._tidying]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._files.aclose()

    # --- what the connection tells ---------------------------------------------------------------

    async def ready(self, client: discord.Client) -> None:
        self._wire.use(client)
        self._beside(self._introduce())
        waiting, newest, shown = await lasting(self._left_over)
        for name, body in waiting:
            if name not in self._in_work:
                self._in_work.add(name)
                self._beside(self._handle(updates.from_json(body)))
        if newest is not None:
            self._beside(self._catch_up(client, newest, [ref for _, ref in shown]))

    async def _left_over(self) -> tuple[list[tuple[str, str]], int | None, list[tuple[str, str]]]:
        """What waits in the inbox, the newest update in it, and the panels that chats show."""
        async with self._database.read() as tx:
            waiting = await inbox_store.pending(tx, PLATFORM)
            newest = await inbox_store.last_update_id(tx, PLATFORM)
            since = time.time() - MISSED_DAYS * 86400
            return waiting, newest, await conversation_store.panels(tx, PLATFORM, since=since)

    async def _catch_up(self, client: discord.Client, newest: int, kept: list[str]) -> None:
        """Photos that came while we were away: the connection does not tell about them."""
        refs = [read_ref(one.partition("|")[2]) for one in kept]
        for channel in {channel for channel, _, ephemeral in refs if channel and not ephemeral}:
            place = client.get_partial_messageable(channel, type=discord.ChannelType.private)
            with suppress(*errors.FAILURES):
                async for one in place.history(after=discord.Object(newest), oldest_first=True):
                    await self.message(one)

    async def message(self, message: discord.Message) -> None:
        kept = updates.of_message(message, time.time())
        if kept is not None and await self._keep(kept):
            self._beside(self._handle(kept))

    async def interaction(self, interaction: discord.Interaction) -> None:
        """Kept first, then acknowledged, then done: all but the last within three seconds."""
        at_once = await self._prompts.answer(interaction)
        if at_once is not None:
            await self._acknowledge(interaction, at_once)
            return
        kept = updates.of_interaction(interaction, time.time())
        known = kept.event is not None or bool(kept.files)
        keeping = asyncio.create_task(self._keep(kept)) if known else None
        if keeping is not None:
            # A busy disk must not make the press fail before the person's eyes.
            await asyncio.wait({keeping}, timeout=KEEP_S)
            if keeping.done() and not keeping.result():
                return
        flags = 0 if kept.private else EPHEMERAL
        later = {"type": LATER, "data": {"flags": flags}} if kept.fresh else {"type": LATER_HERE}
        await self._acknowledge(interaction, later)
        if keeping is not None and await keeping:
            self._beside(self._handle(kept))

    # --- updates ---------------------------------------------------------------------------------

    async def _keep(self, kept: Kept) -> bool:
        """False: it is done or in work already; a connection that comes back tells things twice."""
        if kept.id in self._in_work:
            return False
        self._in_work.add(kept.id)
        waits = await lasting(partial(self._write_down, kept))
        if not waits:
            self._in_work.discard(kept.id)
        return waits

    async def _write_down(self, kept: Kept) -> bool:
        async with self._database.write_soon() as tx:
            item = (kept.id, updates.to_json(kept))
            await inbox_store.keep(tx, PLATFORM, [item], now=time.time())
            return kept.id in await inbox_store.waiting(tx, PLATFORM, [kept.id])

    async def _handle(self, kept: Kept) -> None:
        """Its effect first, then it counts as done. Without one it waits for the next start."""
        reply = self._places.note(kept)
        async with self._gate:
            if (receive := self._receive) is None:
                return
            if kept.event != AGAIN or await self._messages.reopen(kept):
                await lasting(partial(receive, updates.incoming(kept, self._fetch)))
            await lasting(partial(self._done, kept))
        self._in_work.discard(kept.id)
        if reply is not None and reply.open:
            tidying = asyncio.create_task(self._tidy(reply))
            self._tidying.add(tidying)
            tidying.add_done_callback(self._tidying.discard)

    async def _done(self, kept: Kept) -> None:
        async with self._database.write() as tx:
            await inbox_store.done(tx, PLATFORM, kept.id)

    async def _tidy(self, reply: Reply) -> None:
        await asyncio.sleep(TIDY_S)
        await self._messages.tidy(reply)

    async def _fetch(self, url: str) -> bytes:
        """At once, because such addresses expire; never more than the limit, whatever was said."""
        data = bytearray()
        if not may_fetch(url, self._api_url):
            raise NetworkError("Discord: a file from somewhere else", permanent=True)
        try:
            async with self._files.stream("GET", url) as answer:
                answer.raise_for_status()
                async for some in answer.aiter_bytes():
                    data += some
                    if len(data) > self.limits.in_file_bytes:
                        raise NetworkError("Discord: more than was announced", permanent=True)
        except httpx.HTTPStatusError as error:
            code = error.response.status_code
            raise NetworkError(f"Discord: {code}", permanent=code in (403, 404, 410)) from None
        except httpx.HTTPError as error:
            raise NetworkError(f"Discord: {type(error).__name__}") from None
        return bytes(data)

    def _beside(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("an update was not handled (%s)", type(task.exception()).__name__)

    async def _acknowledge(self, interaction: discord.Interaction, answer: dict[str, Any]) -> None:
        """Too late is no harm: what it says is done all the same, and told in a message."""
        ids = {"webhook_id": interaction.id, "webhook_token": interaction.token}
        with suppress(*errors.FAILURES):
            await self._wire.call(wire.ACKNOWLEDGE, ids, answer)

    async def _introduce(self) -> None:
        """Without the menu of commands the bot works all the same."""
        ids = {"application_id": await self._wire.application_id()}
        try:
            await self._wire.call(wire.REGISTER, ids, menu.menu())
        except errors.FAILURES as error:
            log.warning("Discord did not take the commands (%s)", type(error).__name__)
