"""What admins decide becomes true: in the update's transaction, or right after it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field

from bot.clerk import Clerk
from bot.crier import Crier
from bot.curator import Curator
from bot.doorkeeper import Doorkeeper
from bot.events import Event
from bot.facts import Facts
from bot.job_letters import JobLetters
from bot.orders import (
    Appoint,
    BeginPause,
    Decide,
    DecideJob,
    Dismiss,
    DraftLetter,
    DropLetter,
    EndPause,
    Exhibit,
    MakeAdmin,
    MakeInvites,
    Note,
    Order,
    PostLetter,
    Reorder,
    RunDoctor,
    SendLog,
    SetLimits,
    TakeDown,
    Tell,
    UseInvite,
)
from bot.presenter import Presenter
from bot.screen import Line
from bot.screens import toast
from storage import (
    announcement_store,
    audit_store,
    exhibit_store,
    job_order,
    job_review,
    pause_store,
)
from storage.access import Act, Pause
from storage.announcement_store import Announcement
from storage.database import Database, Tx

log = logging.getLogger(__name__)

Lines = Sequence[tuple[str, str, str, str]]
Checkup = Callable[[], Awaitable[Lines]]  # mark, what, what is said, and the fix, of each finding


@dataclass(slots=True, kw_only=True)
class Backroom:
    """``checkup`` examines this machine."""

    database: Database
    doorkeeper: Doorkeeper
    clerk: Clerk
    presenter: Presenter
    crier: Crier
    curator: Curator
    letters: JobLetters
    checkup: Checkup
    _beside: set[asyncio.Task[None]] = field(default_factory=set)
    _examining: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def admits(self, person: str) -> bool:
        """Whether files of this person are fetched at all."""
        async with self.database.read() as tx:
            return (await self.doorkeeper.door(tx, person, None, time.time())).admits

    async def look(self, tx: Tx, event: Event, facts: Facts) -> Facts:
        return await self.clerk.look(tx, event, facts)

    async def write(self, tx: Tx, order: Order, facts: Facts) -> None:
        """Its part in the update's transaction."""
        match order:
            case (
                MakeAdmin()
                | Appoint()
                | Dismiss()
                | UseInvite()
                | Decide()
                | SetLimits()
                | MakeInvites()
            ):
                await self.doorkeeper.write(tx, order, facts)
            case DraftLetter() | PostLetter() | DropLetter():
                await self._write_letter(tx, order, facts)
            case BeginPause() | EndPause() | Reorder() | DecideJob():
                await self._write_jobs(tx, order, facts)
            case Exhibit() | TakeDown():
                await self._write_exhibit(tx, order, facts)
            case Note(what, whom, detail):
                who, at = facts.person, facts.now
                act = Act(at=at, who=who, what=what, whom=whom, detail=detail)
                await audit_store.add(tx, act)

    async def _write_jobs(
        self, tx: Tx, order: BeginPause | EndPause | Reorder | DecideJob, facts: Facts
    ) -> None:
        by, now = facts.person, facts.now
        match order:
            case BeginPause(until, reason):
                await pause_store.begin(tx, Pause(since=now, until=until, reason=reason, by=by))
            case EndPause():
                await pause_store.end(tx)
            case Reorder(priorities):
                await job_order.write(tx, priorities, now=now)
            case DecideJob(job_id, approved):
                await job_review.decide(tx, job_id, approved=approved, now=now)

    async def _write_exhibit(self, tx: Tx, order: Exhibit | TakeDown, facts: Facts) -> None:
        match order:
            case Exhibit(job_id):
                place = facts.person.partition(":")[0]
                one = exhibit_store.Exhibit(job_id=job_id, person=facts.person, place=place)
                await exhibit_store.add(tx, one, now=facts.now)
            case TakeDown(job_id):
                await exhibit_store.take_down(tx, job_id)

    async def _write_letter(
        self, tx: Tx, order: DraftLetter | PostLetter | DropLetter, facts: Facts
    ) -> None:
        by, now = facts.person, facts.now
        match order:
            case DraftLetter(draft, text):
                one = Announcement(id=draft, text=text, made_by=by, made_at=now)
                await announcement_store.add(tx, one)
            case PostLetter(draft):
                readers = await self.clerk.readers(tx, now)
                await announcement_store.post(tx, draft, readers, now=now)
            case DropLetter(draft):
                await announcement_store.drop(tx, draft)

    async def after(self, order: Order, chat: str) -> None:
        """Once that is committed."""
        match order:
            case Tell(person, screen):
                await self.presenter.tell(person, screen)
            case MakeAdmin():
                self.doorkeeper.claimed()
            case PostLetter():
                self.crier.wake()
            case Exhibit() | TakeDown():
                self.curator.wake()
            case RunDoctor():
                self._start(self._examine(chat))
            case SendLog(job_id):
                self._start(self.letters.send_log(job_id, chat))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def _examine(self, chat: str) -> None:
        """One look at a time: it starts children and opens the network."""
        try:
            async with self._examining:
                found = await self.checkup()
        except Exception:
            # Ours; the admin must not wait for an answer that never comes.
            log.exception("the doctor could not finish")
            await self.presenter.tell(chat, toast(Line(key="doctor.failed")))
            return
        lines = []
        for mark, what, said, fix in found:
            lines.append(Line(key="doctor.line", args={"mark": mark, "what": what, "said": said}))
            lines += [Line(key="doctor.fix", args={"fix": fix})] if fix else []
        await self.presenter.tell(chat, toast(*lines))

    async def close(self) -> None:
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
