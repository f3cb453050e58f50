"""Small silent letters, each of them once: a draft that waits, a model that is asked about.

A letter is marked before it goes out: a bot that dies may lose one, and never repeats one.
"""

import asyncio
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError

from bot import draft, rating
from bot.clock import DAY_S, HOUR_S
from bot.draft import Conversation, State
from bot.frontend import Frontend
from bot.presenter import Presenter
from bot.screen import Button, Line, Screen
from bot.screens import toast
from storage import nudge_store, preference_store
from storage.database import Database
from storage.job import Job
from storage.nudge_store import DRAFT, RATE, QuietDraft
from storage.preferences import Pings

log = logging.getLogger(__name__)

LOOK_S = 900.0
IDLE_S = DAY_S  # a draft that nobody touched for so long
IN_TIME_S = HOUR_S  # before its end there has to be so much time to go on with it
NEXT_DAY_S = 20 * HOUR_S  # after the file came
TOO_LATE_S = 3 * DAY_S  # nobody remembers; also, a service that was off for weeks asks nobody
FORGET_S = 90 * DAY_S


def reminder(conversation: Conversation, days: int) -> Screen:
    name, count = conversation.name or "–", len(conversation.photos)
    waits = Line(key="draft.idle", args={"name": name}, n=count)
    row = (
        Button(label="button.pick_up", verb="pickup", draft=conversation.draft),
        Button(label="button.discard", verb="discard", draft=conversation.draft, danger=True),
    )
    return toast(waits, Line(key="draft.idle_ends", n=days), buttons=(row,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Nudger:
    """``draft_days`` is when the janitor deletes a draft."""

    database: Database
    presenter: Presenter
    frontends: Mapping[str, Frontend]
    draft_days: float

    async def run(self) -> None:
        while True:
            try:
                await self.look(time.time())
            except DBAPIError as error:
                log.warning("the database does not answer (%s)", type(error.orig).__name__)
            await asyncio.sleep(LOOK_S)

    async def look(self, now: float) -> None:
        await self._drafts(now)
        await self._models(now)
        async with self.database.write() as tx:
            await nudge_store.forget_old(tx, DRAFT, before=now - FORGET_S)

    async def _drafts(self, now: float) -> None:
        ends_s = self.draft_days * DAY_S
        async with self.database.read() as tx:
            quiet = await nudge_store.quiet_drafts(
                tx, list(self.frontends), since=now - ends_s + IN_TIME_S, before=now - IDLE_S
            )
        for one in quiet:
            days = math.ceil((one.updated_at + ends_s - now) / DAY_S)
            await self._remind(one, days, now)

    async def _remind(self, one: QuietDraft, days: int, now: float) -> None:
        conversation = draft.from_json(one.text)
        if conversation.state is State.IDLE:
            return
        async with self.database.write() as tx:
            wanted = await preference_store.get(tx, conversation.person)
            first = await nudge_store.first(tx, DRAFT, conversation.draft, one.chat, now=now)
        if first and wanted.pings is Pings.ALL:
            await self.presenter.tell(one.chat, reminder(conversation, days))

    async def _models(self, now: float) -> None:
        """One for each chat, the newest; whoever trained five is not asked five times."""
        async with self.database.read() as tx:
            ready = await nudge_store.unrated(
                tx, list(self.frontends), since=now - TOO_LATE_S, before=now - NEXT_DAY_S
            )
        asked: set[str] = set()
        for job in ready:
            await self._ask(job, now, first_today=job.chat not in asked)
            asked.add(job.chat)

    async def _ask(self, job: Job, now: float, *, first_today: bool) -> None:
        async with self.database.write() as tx:
            wanted = await preference_store.get(tx, job.person)
            first = await nudge_store.first(tx, RATE, job.id, job.chat, now=now)
        if first and first_today and wanted.pings is Pings.ALL:
            await self.presenter.tell(job.chat, rating.question(job))
