"""Bring the marks under photos up to date, one after the other, and never at any cost.

They are a comfort: the panel says the same in words. So a chat that takes none is left alone.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy.exc import DBAPIError

from bot.frontend import Marking, NetworkError, SlowDownError
from bot.screen import Mark
from storage import mark_store
from storage.database import Database

log = logging.getLogger(__name__)

PACE_S = 1.0  # in one chat; whether they count against its limits no network's document says
MOST_PAUSE_S = 60.0
REFUSALS = 2  # in a row: then this chat takes no marks


@dataclass(slots=True, kw_only=True)
class Marker:
    database: Database
    _wanted: dict[str, Mapping[str, Mark]] = field(default_factory=dict)
    _busy: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _refused: dict[str, int] = field(default_factory=dict)
    _closed: set[str] = field(default_factory=set)

    def look(self, chat: str, frontend: Marking, wanted: Mapping[str, Mark]) -> None:
        """``wanted`` by message. What was wanted before counts no more."""
        if chat in self._closed:
            return
        self._wanted[chat] = wanted
        if chat not in self._busy or self._busy[chat].done():
            self._busy[chat] = asyncio.create_task(self._run(chat, frontend))

    async def close(self) -> None:
        for task in self._busy.values():
            task.cancel()
        await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def _run(self, chat: str, frontend: Marking) -> None:
        try:
            while (wanted := self._wanted.pop(chat, None)) is not None:
                await self._bring(chat, frontend, wanted)
        except NetworkError as error:
            # The next look at the panel tries again.
            log.info("marks were not set (%s)", type(error).__name__)
        except DBAPIError as error:
            log.warning("marks wait for the database (%s)", type(error.orig).__name__)

    async def _bring(self, chat: str, frontend: Marking, wanted: Mapping[str, Mark]) -> None:
        async with self.database.read() as tx:
            shown = {one.message: one.shown for one in await mark_store.of_chat(tx, chat)}
        for message, mark in wanted.items():
            if mark.value == shown.get(message, mark.value):
                continue
            taken = await self._set(chat, frontend, message, mark)
            # Also one that was refused: it is not tried for ever.
            async with self.database.write() as tx:
                await mark_store.shown(tx, chat, message, mark.value)
            self._refused[chat] = 0 if taken else self._refused.get(chat, 0) + 1
            if self._refused[chat] == REFUSALS:
                self._closed.add(chat)
                self._wanted.pop(chat, None)
            await asyncio.sleep(PACE_S)
            if chat in self._closed or chat in self._wanted:
                return

    async def _set(self, chat: str, frontend: Marking, message: str, mark: Mark) -> bool:
        """False: refused, because the message is gone or the chat allows none."""
        try:
            await frontend.mark(chat, message, mark)
        except SlowDownError as error:
            await asyncio.sleep(min(error.after_s, MOST_PAUSE_S))
            await frontend.mark(chat, message, mark)
        except NetworkError as error:
            if not error.permanent:
                raise
            return False
        return True
