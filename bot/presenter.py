"""Show panels and toasts, one chat at a time.

A panel is a function of the conversation's row: whoever looks shows the row as it is now, so many
changes in a moment become one edit, and after a crash the next look shows what is missing.
"""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from bot import draft
from bot.darkroom import Darkroom
from bot.draft import Conversation
from bot.facts import Facts
from bot.frontend import Frontend, Marking, Message, NetworkError, OutFile
from bot.lasting import lasting
from bot.marker import Marker
from bot.marks import marks_of
from bot.panels import panel
from bot.reading import Reader
from bot.render import render
from bot.screen import Screen
from bot.sending import edit_or_send, send
from bot.texts.catalog import Catalog, nearest
from bot.unread import UnreadError
from storage import conversation_store, job_lists, mark_store, people_store
from storage.blobs import StoreError
from storage.conversation_store import Stored
from storage.database import Database, Tx
from storage.job import new_id
from storage.people_store import Person

log = logging.getLogger(__name__)

Drawn = TypeVar("Drawn")

DEBOUNCE_S = 0.35  # photos of an album arrive together; their tally is edited once
LOOK_S = 1.0  # also how soon the chat hears what a worker saw on its photos


def panel_ref(kept: str, number: int) -> str:
    """The network's name of panel message ``number``, or empty if that is not the one we kept."""
    shown, _, ref = kept.partition("|")
    return ref if shown == str(number) else ""


@dataclass(frozen=True, slots=True)
class Toast:
    """``language`` is the person's, where it is known already."""

    screen: Screen
    language: str | None = None


@dataclass(slots=True)
class Chat:
    """What waits to be shown in one chat, and the last panel with its draft; ``lock`` keeps its
    messages in order.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    toasts: deque[Toast] = field(default_factory=deque)
    dirty: bool = False
    panel: tuple[str, Message] | None = None
    showing: asyncio.Task[None] | None = None


class Presenter:
    def __init__(
        self,
        database: Database,
        reader: Reader,
        frontends: Mapping[str, Frontend],
        darkroom: Darkroom,
    ) -> None:
        self._darkroom = darkroom
        self._marker = Marker(database=database)
        self._database = database
        self._reader = reader
        self._frontends = frontends
        self._chats: defaultdict[str, Chat] = defaultdict(Chat)

    async def tell(self, chat: str, screen: Screen, *, language: str | None = None) -> None:
        """Also people of networks that another process serves: they hear nothing from this one.
        ``language`` saves looking for the person's.
        """
        if chat.partition(":")[0] not in self._frontends:
            return
        self._chats[chat].toasts.append(Toast(screen, language))
        self._start(chat)

    def look(self, chat: str) -> None:
        self._chats[chat].dirty = True
        self._start(chat)

    def lock(self, chat: str) -> asyncio.Lock:
        """Whoever else writes into this chat waits for its turn."""
        return self._chats[chat].lock

    async def run(self) -> None:
        """What a predecessor did not get to show, and whatever fell through: look again."""
        try:
            while True:
                # While the database is away, what is being sent is not broken off.
                for chat in await lasting(self._behind):
                    self.look(chat)
                await asyncio.sleep(LOOK_S)
        finally:
            tasks = [one.showing for one in self._chats.values() if one.showing]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._marker.close()

    async def _behind(self) -> list[str]:
        async with self._database.read() as tx:
            return await conversation_store.unshown(tx, list(self._frontends))

    async def catalog(self, person: str) -> Catalog:
        async with self._database.read() as tx:
            return await _catalog(tx, person)

    async def picture(self, screen: Screen) -> OutFile | None:
        """What it shows, as a file; None where there is nothing to show any more."""
        return await self._darkroom.print(screen.picture) if screen.picture else None

    def _start(self, name: str) -> None:
        chat = self._chats[name]
        if chat.showing is None or chat.showing.done():
            chat.showing = asyncio.create_task(self._show_all(name, chat))

    async def _show_all(self, name: str, chat: Chat) -> None:
        """Until nothing waits. A failure of ours must not silence the chat for ever."""
        while chat.toasts or chat.dirty:
            try:
                while chat.toasts:
                    async with chat.lock:
                        await self._next_toast(name, chat.toasts)
                if chat.dirty:
                    chat.dirty = False
                    async with chat.lock:
                        await self._panel(name)
                    await asyncio.sleep(DEBOUNCE_S)
            except NetworkError as error:
                log.warning("a chat could not be reached (%s)", type(error).__name__)
                return
            except DBAPIError as error:
                # A panel is looked for again; what waits to be said still does.
                log.warning("a chat has to wait for the database (%s)", type(error.orig).__name__)
                await asyncio.sleep(LOOK_S)
            except FileNotFoundError:
                # The draft ended while its picture was on the way; the next look shows what is.
                return
            except StoreError as error:
                log.warning("a panel has to wait for its picture (%s)", error)
                return

    async def _next_toast(self, name: str, waiting: deque[Toast]) -> None:
        toast = waiting.popleft()
        try:
            await self._toast(name, toast)
        except DBAPIError:
            waiting.appendleft(toast)  # nothing of it was sent
            raise

    async def _toast(self, name: str, toast: Toast) -> None:
        frontend, screen = self._frontends[name.partition(":")[0]], toast.screen
        if toast.language is None:
            catalog = await self.catalog(name)
        else:
            catalog = Catalog.load(nearest(toast.language))
        key = f"toast-{new_id()}"
        try:
            picture = await self.picture(screen)
        except StoreError as error:
            # Its words are worth more than its picture.
            log.warning("a message goes without its picture (%s)", error)
            picture = None
        await send(frontend, name, render(screen, catalog, frontend.limits, picture=picture), key)

    async def _panel(self, name: str) -> None:
        frontend = self._frontends[name.partition(":")[0]]
        async with self._database.read() as tx:
            stored = await conversation_store.load(tx, name)
            if stored is None or stored.shown_version >= stored.version:
                return
            conversation = draft.from_json(stored.text)
            person = Person(id=conversation.person or name, name="")
            photos, opened = conversation.photos, conversation.opened
            facts = await self._reader.facts(tx, person, photos=photos, opened=opened, known=())
            # Of the same moment: a photo that came since is not yet known to be used.
            signs = isinstance(frontend, Marking) and bool(photos)
            marked = await mark_store.of_chat(tx, name) if signs else []
            catalog = await _catalog(tx, person.id)
        screen = await self._drawn(panel, conversation, facts)
        ref = panel_ref(stored.panel_ref, conversation.panel)
        if not ref or screen is None:
            await self._retire(frontend, name, stored.panel_ref, person.id)
        kept = ""
        if screen is not None:
            picture = await self.picture(screen)
            message = render(screen, catalog, frontend.limits, picture=picture)
            key = f"panel-{conversation.draft}-{conversation.panel}"
            kept = f"{conversation.panel}|{await edit_or_send(frontend, name, ref, message, key)}"
            self._chats[name].panel = (conversation.draft, message)
        # However long the database is away: else the panel would be sent once more.
        await lasting(partial(self._mark, name, stored, kept))
        if marked and isinstance(frontend, Marking):
            marks = await self._drawn(partial(marks_of, marked), conversation, facts)
            self._marker.look(name, frontend, marks)

    async def _drawn(
        self, draw: Callable[[Conversation, Facts], Drawn], conversation: Conversation, facts: Facts
    ) -> Drawn:
        """What it makes of the conversation, with the facts that it turns out to need."""
        while True:
            try:
                if not conversation.photos:
                    return draw(conversation, facts)
                # To lay photos on each other takes a while the first time.
                return await asyncio.to_thread(draw, conversation, facts)
            except UnreadError as unread:
                async with self._database.read() as tx:
                    facts = await self._reader.fill(tx, facts, unread.what)

    async def _retire(self, frontend: Frontend, name: str, kept: str, person: str) -> None:
        """A panel that moved, or whose draft was dropped, loses its buttons; one whose draft has
        become a job belongs to the notifier. After a restart we do not know its words any more:
        then its buttons stay, and answer that they are old.
        """
        ref, last = kept.partition("|")[2], self._chats[name].panel
        self._chats[name].panel = None
        if not ref or last is None:
            return
        async with self._database.read() as tx:
            jobs = {job.id for job in await job_lists.of_person(tx, person)}
        if last[0] not in jobs:
            with suppress(NetworkError):
                # Its picture may be deleted by now.
                retired = replace(last[1], buttons=(), asks=None, picture=None)
                await frontend.edit(name, ref, retired)

    async def _mark(self, name: str, stored: Stored, kept: str) -> None:
        async with self._database.write() as tx:
            await conversation_store.mark_shown(tx, name, stored.version, kept)


async def _catalog(tx: Tx, person: str) -> Catalog:
    return Catalog.load(nearest(await people_store.language(tx, person)))
