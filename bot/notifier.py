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

from sqlalchemy.exc import DBAPIError

from bot import counts, job_screens, sample_screens
from bot.courier import Courier
from bot.frontend import ChatGoneError, Frontend, Message, NetworkError
from bot.presenter import Presenter
from bot.reading import Reader
from bot.render import render
from bot.sending import edit_or_send
from storage import clock, job_lists, job_store, preference_store
from storage.blobs import StoreError
from storage.database import Database
from storage.job import Job, JobState
from storage.log_context import about

log = logging.getLogger(__name__)

LOOK_S = 0.4
QUEUE_LOOK_S = 15.0  # a place in the queue changes without the job's own row changing
AFTER_TROUBLE_S = 5.0
NOT_SHOWN = frozenset({JobState.FAILED, JobState.CANCELLED})  # what was drawn is deleted
WAIT_FOR_WORKER_S = 20.0  # a worker that starts again needs a moment before it counts as gone


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
        self._shown: dict[str, Message] = {}
        self._not_before: defaultdict[str, float] = defaultdict(float)

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        """One task for each chat that lags behind: a slow chat holds up no other."""
        queue_look = 0.0
        try:
            while True:
                self._woken.clear()
                async with self._database.read() as tx:
                    behind = await job_lists.unsent(tx, list(self._frontends))
                    behind += await job_lists.delivering(tx, list(self._frontends))
                if time.monotonic() > queue_look:
                    queue_look = time.monotonic() + QUEUE_LOOK_S
                    behind += await self._waiting()
                for job in behind:
                    if job.chat not in self._busy or self._busy[job.chat].done():
                        with about(job.id):
                            self._busy[job.chat] = asyncio.create_task(self._update(job))
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._woken.wait(), LOOK_S)
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)
            await self._courier.close()

    async def _waiting(self) -> list[Job]:
        async with self._database.read() as tx:
            line = await job_lists.line(tx)
        ours = [job for job in line if job.chat.partition(":")[0] in self._frontends]
        return [job for job in ours if job.state is JobState.QUEUED]

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
            seconds = await self._reader.seconds(tx)
            board = await self._reader.board(tx, seconds, {job_id})
            now = await clock.now(tx)
        if job is None:
            return
        starting = now - job.created_at < WAIT_FOR_WORKER_S
        screen = job_screens.status(
            job,
            place=board.place(job.id),
            able=starting or board.can_train(job.params.base_model),
            starts_in_s=board.starts_in.get(job.id, 0.0),
            online=max(board.online, int(starting)),
            pause=board.pause,
        )
        catalog = await self._presenter.catalog(job.person)
        message = render(screen, catalog, frontend.limits)
        ref = job.status_ref
        # Where the result had to go into the status message, that message has said all.
        merged = bool(job.result_ref) and job.result_ref == ref
        if message != self._shown.get(job.id) and not merged:
            ref = await edit_or_send(frontend, job.chat, ref, message, f"status-{job.id}")
            self._shown[job.id] = message
        skipped = max(0, job.version - job.sent_version - 1)
        counts.COALESCED.labels(frontend.platform).inc(skipped)
        await self._show_samples(job, frontend)
        async with self._database.write() as tx:
            await job_store.mark_sent(tx, job.id, job.version, status_ref=ref)
        if job.state is JobState.DELIVERING and await self._courier.hand_over(job, ref, frontend):
            await self._close(job)

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
            await self._note_samples(job, f"{showing}|")
        try:
            ref = await edit_or_send(frontend, job.chat, ref, message, f"samples-{job.id}")
        except NetworkError as error:
            if not error.permanent or isinstance(error, ChatGoneError):
                await self._note_samples(job, job.samples_ref)
                raise
            log.warning("job %s: its samples were refused (%s)", job.id, error)
        await self._note_samples(job, f"{showing}|{ref}")

    async def _wants_samples(self, job: Job) -> bool:
        async with self._database.read() as tx:
            return (await preference_store.get(tx, job.person)).samples

    async def _note_samples(self, job: Job, ref: str) -> None:
        async with self._database.write() as tx:
            await job_store.mark_sent(tx, job.id, job.sent_version, samples_ref=ref)

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
