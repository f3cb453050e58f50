"""Keep each job's status message true, and hand over what is finished.

Level-triggered: it takes jobs whose chat shows an older version, renders the row as it is now, and
stores which version is shown. An old stage can therefore never appear after a newer one.
"""

import asyncio
import hashlib
import logging
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from sqlalchemy.exc import DBAPIError

from bot import counts, job_screens, sample_screens
from bot.courier import Courier
from bot.frontend import ChatGoneError, Frontend, NetworkError
from bot.lasting import lasting
from bot.outlook import Outlook, outlook
from bot.presenter import Presenter
from bot.reading import Reader
from bot.render import render
from bot.screen import Line
from bot.sending import edit_or_send
from storage import clock, job_lists, job_store, line_parts, pause_store, preference_store
from storage.blobs import StoreError
from storage.database import Database, Tx
from storage.job import FINAL, Job, JobState
from storage.line import entry_of
from storage.log_context import about

log = logging.getLogger(__name__)

LOOK_S = 0.4
QUEUE_LOOK_S = 15.0  # a place in the queue changes without the job's own row changing
AFTER_TROUBLE_S = 5.0
NOT_SHOWN = frozenset({JobState.FAILED, JobState.CANCELLED})  # what was drawn is deleted
TOLD_AT_ONCE = 50  # of those who wait, when a pause begins or ends: others have news, too


class Notifier:
    def __init__(
        self,
        database: Database,
        reader: Reader,
        presenter: Presenter,
        frontends: Mapping[str, Frontend],
        courier: Courier,
    ) -> None:
        self._database = database
        self._reader = reader
        self._presenter = presenter
        self._frontends = frontends
        self._courier = courier
        self._woken = asyncio.Event()
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._shown: dict[str, bytes] = {}
        self._outlooks: dict[str, tuple[int, Line]] = {}
        self._queue_look = 0.0
        self._not_before: defaultdict[str, float] = defaultdict(float)

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """One task for each chat that lags behind: a slow chat holds up no other."""
        try:
            while True:
                self._woken.clear()
                # While the database is away, what is being sent is not broken off.
                behind = await lasting(self._behind)
                self._busy = {chat: one for chat, one in self._busy.items() if not one.done()}
                for job in behind:
                    if job.chat not in self._busy:
                        with about(job.id):
                            self._busy[job.chat] = asyncio.create_task(self._update(job))
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._woken.wait()
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)
            await self._courier.close()

    async def _behind(self) -> list[Job]:
        async with self._database.read() as tx:
            behind = await job_lists.unsent(tx, list(self._frontends))
            behind += await job_lists.delivering(tx, list(self._frontends))
            tells = await pause_store.to_tell(tx, now=await clock.now(tx))
        if tells and self._has_leisure(behind):
            await self._database.retrying(_tell_some)
            self.wake()
        if time.monotonic() > self._queue_look:
            behind += await self._waiting()
            self._queue_look = time.monotonic() + QUEUE_LOOK_S
        return behind

    def _has_leisure(self, behind: list[Job]) -> bool:
        """Few lag behind, not counting chats that have to wait or cannot be reached just now."""
        now = time.monotonic()
        due = sum(self._not_before.get(job.chat, 0.0) <= now for job in behind)
        return due < TOLD_AT_ONCE and len(behind) < 2 * TOLD_AT_ONCE

    async def _waiting(self) -> list[Job]:
        """Of the front of the line, those whose chat shows another place or another start."""
        async with self._database.read() as tx:
            wants_folding = await line_parts.want_folding(tx)
        if wants_folding:
            await self._database.retrying(line_parts.fold)
        async with self._database.read() as tx:
            now, seconds = await clock.now(tx), await self._reader.seconds(tx)
            board = await self._reader.board(tx, seconds, now=now, whole=False)
            ours = [one for one in board.queued if one.chat.partition(":")[0] in self._frontends]
            known = self._outlooks
            other = [one for one in ours if known.get(one.id) != outlook(one, board, now).shown]
            return await job_lists.those(tx, [one.id for one in other])

    async def _update(self, job: Job) -> None:
        frontend = self._frontends[job.chat.partition(":")[0]]
        await asyncio.sleep(max(0.0, self._not_before[job.chat] - time.monotonic()))
        try:
            async with self._presenter.lock(job.chat):
                await self._bring_up_to_date(job.id, frontend)
            pause = frontend.limits.edit_interval_s
        except ChatGoneError:
            await self._give_up(job)
            pause = 0.0
        except NetworkError as error:
            log.warning("job %s: the chat was not reached (%s)", job.id, type(error).__name__)
            pause = AFTER_TROUBLE_S
        except StoreError as error:
            log.warning("job %s: its files cannot be fetched (%s)", job.id, error)
            pause = AFTER_TROUBLE_S
        except DBAPIError as error:
            log.warning("job %s: its chat waits (%s)", job.id, type(error.orig).__name__)
            pause = AFTER_TROUBLE_S
        except Exception:
            # Ours. The row stays behind, so it is tried again, not too soon.
            log.exception("job %s: its chat could not be brought up to date", job.id)
            pause = AFTER_TROUBLE_S
        self._not_before[job.chat] = time.monotonic() + pause

    async def _bring_up_to_date(self, job_id: str, frontend: Frontend) -> None:
        """The row as it is now; between choosing the job and its turn it may have moved on."""
        async with self._database.read() as tx:
            job = await job_store.get(tx, job_id)
            if job is None:
                return
            known = await self._outlook(tx, job)
        screen = job_screens.status(
            job,
            place=known.place,
            able=known.able,
            starts_in_s=known.starts_in_s,
            online=known.online,
            pause=known.pause,
        )
        catalog = await self._presenter.catalog(job.person)
        message = render(screen, catalog, frontend.limits)
        ref = job.status_ref
        # Where the result had to go into the status message, that message has said all.
        merged = bool(job.result_ref) and job.result_ref == ref
        shows = hashlib.sha256(repr(message).encode()).digest()
        if shows != self._shown.get(job.id) and not merged:
            ref = await edit_or_send(frontend, job.chat, ref, message, f"status-{job.id}")
            if ref != job.status_ref:
                # At once, and however long the database is away: else it would be sent once more.
                await lasting(partial(self._note, job, status_ref=ref))
            self._shown[job.id] = shows
        if known.place <= job_lists.SHOWN:
            self._outlooks[job.id] = known.shown
        skipped = max(0, job.version - job.sent_version - 1)
        counts.COALESCED.labels(frontend.platform).inc(skipped)
        await self._show_samples(job, frontend)
        async with self._database.write() as tx:
            await job_store.mark_sent(tx, job.id, job.version, status_ref=ref)
        if job.state in FINAL:  # it was shown for the last time
            self._shown.pop(job.id, None)
        if job.state is not JobState.QUEUED:
            self._outlooks.pop(job.id, None)
        if job.state is JobState.DELIVERING and await self._courier.hand_over(job, ref, frontend):
            await self._close(job)

    async def _outlook(self, tx: Tx, job: Job) -> Outlook:
        """Only of one that waits: what is ahead of it is looked up for nobody else."""
        if job.state is not JobState.QUEUED:
            return Outlook()
        now, seconds = await clock.now(tx), await self._reader.seconds(tx)
        board = await self._reader.board(tx, seconds, {job.id}, now=now, whole=False)
        return outlook(entry_of(job), board, now)

    async def _show_samples(self, job: Job, frontend: Frontend) -> None:
        """The one message of the samples, with the newest. Its row says what it shows, and behind a
        bar its name. A picture that the network refuses is passed over: the file is what counts.
        """
        screen = sample_screens.samples(job)
        picture = await self._presenter.picture(screen) if screen else None
        if screen is None or picture is None or job.state in NOT_SHOWN:
            return
        if not job.asked_samples and not await self._wants_samples(job):
            return
        catalog = await self._presenter.catalog(job.person)
        message = render(screen, catalog, frontend.limits, picture=picture)
        shown, _, ref = job.samples_ref.partition("|")
        showing = hashlib.sha256(repr((screen.picture, message.text)).encode()).hexdigest()[:16]
        if showing == shown:
            return
        if not ref:
            # Committed before it is sent: after a crash in between it may be there already.
            await self._note(job, samples_ref=f"{showing}|")
        try:
            key, tried = f"samples-{job.id}", bool(shown)
            ref = await edit_or_send(frontend, job.chat, ref, message, key, tried=tried)
        except NetworkError as error:
            if not error.permanent or isinstance(error, ChatGoneError):
                await self._note(job, samples_ref=job.samples_ref)
                raise
            log.warning("job %s: its samples were refused (%s)", job.id, error)
        await lasting(partial(self._note, job, samples_ref=f"{showing}|{ref}"))

    async def _wants_samples(self, job: Job) -> bool:
        async with self._database.read() as tx:
            return (await preference_store.get(tx, job.person)).samples

    async def _note(self, job: Job, **refs: str) -> None:
        """Names of messages alone; what the chat shows of the row is as it was."""
        async with self._database.write() as tx:
            await job_store.mark_sent(tx, job.id, job.sent_version, **refs)

    async def _close(self, job: Job) -> None:
        async with self._database.write() as tx:
            await job_store.delivered(tx, job.id, now=await clock.now(tx))
        log.info("job %s: done", job.id)
        self.wake()

    async def _give_up(self, job: Job) -> None:
        """The person left or blocked the bot: nothing more to show; the file is kept."""
        async with self._database.write() as tx:
            await job_store.mark_sent(tx, job.id, job.version)
            await job_store.delivered(tx, job.id, now=await clock.now(tx))


async def _tell_some(tx: Tx) -> None:
    await pause_store.tell(tx, limit=TOLD_AT_ONCE, now=await clock.now(tx))
