"""What has to go goes: photos after their days, forgotten drafts, people who want to be forgotten.

Every look begins with the rows, so what a crash interrupted is done by the next one. Rows go
first, files after them: a file that is named nowhere is found by the sweep that follows.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bot import draft
from bot.clock import DAY_S
from bot.darkroom import shown_prefix
from bot.draft import Conversation, State
from bot.frontend import Frontend, NetworkError
from bot.librarian import Librarian
from bot.presenter import Presenter
from bot.render import render
from bot.screen import Line
from bot.screens import toast
from bot.sending import send
from bot.texts.catalog import Catalog, nearest
from storage import (
    conversation_store,
    erase_store,
    job_store,
    log_files,
    look_store,
    mark_store,
    quota_store,
    retention_store,
)
from storage.blob_store import photo_key, samples_prefix
from storage.blobs import Blobs, StoreError
from storage.database import Database, Tx
from storage.erase_store import Leaving
from storage.job import FINAL

log = logging.getLogger(__name__)

LOOK_S = 900.0
LEAVING_S = 1.0  # how often it is looked whether a worker has let go
HALF_WRITTEN_S = DAY_S
MARKS_S = 30 * DAY_S
EXPORTS = "exports"
SHOWN = "shown"  # pictures of panels: printed again where one is still looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """How long things are kept: photos after their training, drafts after their last change, the
    local page's messages.
    """

    photos: float = 7.0
    drafts: float = 3.0
    messages: float = 90.0
    exports: float = 2.0


@dataclass(slots=True, kw_only=True)
class Janitor:
    """``logs`` is where the workers of this machine keep what their trainers said. With a
    ``secret`` the day's count of trainings outlives whoever is forgotten, without their name.
    """

    database: Database
    blobs: Blobs
    librarian: Librarian
    presenter: Presenter
    frontends: Mapping[str, Frontend]
    days: Days = field(default_factory=Days)
    logs: Path | None = None
    secret: str = field(default="", repr=False)
    _strays_at: float = 0.0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _sweeping: asyncio.Lock = field(default_factory=asyncio.Lock)

    def wake(self) -> None:
        """Somebody wants to be forgotten."""
        self._wake.set()

    async def run(self) -> None:
        while True:
            # Before: who asks amid a sweep has come too late for it.
            self._wake.clear()
            left = await self.sweep(time.time())
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVING_S if left else LOOK_S):
                    await self._wake.wait()

    async def sweep(self, now: float) -> int:
        """Once over everything; how many people are still waiting to be forgotten."""
        async with self._sweeping:
            await self._end_drafts(now)
            await self._end_photos(now)
            async with self.database.write() as tx:
                before = now - self.days.messages * DAY_S
                await retention_store.forget_chat_log(tx, before=before)
                await mark_store.forget_old(tx, before=now - MARKS_S)
                await quota_store.drop_old(tx, now=now)
            await self._end_logs(now)
            try:
                await self._sweep_files(now)
            except StoreError as error:
                log.warning("old files stay for now (%s)", error)
            async with self.database.read() as tx:
                waiting = await erase_store.asked(tx)
            gone = [await self._forget(one, now) for one in waiting]
        return gone.count(False)

    async def _sweep_files(self, now: float) -> None:
        await self._end_strays(now)
        await self.blobs.sweep(SHOWN, before=now - self.days.drafts * DAY_S)
        await self.blobs.sweep(EXPORTS, before=now - self.days.exports * DAY_S)
        await self.blobs.sweep_half_written(before=now - HALF_WRITTEN_S)

    # --- after some days ---------------------------------------------------------------------

    async def _end_drafts(self, now: float) -> None:
        async with self.database.read() as tx:
            quiet = await retention_store.stale_drafts(tx, before=now - self.days.drafts * DAY_S)
        for one in quiet:
            stored = draft.from_json(one.text)
            empty = draft.to_json(Conversation(panel=stored.panel))
            keys: list[str] = []
            async with self.database.write() as tx:
                ended = await retention_store.end_draft(tx, one, empty, now=now)
                if ended:
                    await mark_store.forget(tx, [one.chat])
                    keys = await _free(tx, [photo.sha256 for photo in stored.photos])
            if not ended or stored.state is State.IDLE:
                continue
            await self._delete_photos(keys, (shown_prefix(stored.draft),))
            log.info("draft %s: deleted after its days", stored.draft)
            self.presenter.look(one.chat)
            line = Line(key="draft.expired", args={"name": stored.name or "–"})
            await self.presenter.tell(one.chat, toast(line))

    async def _end_photos(self, now: float) -> None:
        async with self.database.write() as tx:
            before = now - self.days.photos * DAY_S
            spent = await retention_store.spent_photos(tx, before=before)
            await retention_store.forget_looks(tx, spent.keys)
            await retention_store.photos_gone(tx, spent.job_ids)
        await self._delete_photos(spent.keys)
        if spent.job_ids:
            log.info("photos of %d trainings deleted after their days", len(spent.job_ids))

    async def _end_strays(self, now: float) -> None:
        """Photos whose rows went, or never came, while a process died; once a day is enough."""
        if now < self._strays_at:
            return
        old = await self.blobs.older("photos", before=now - DAY_S)
        async with self.database.read() as tx:
            strays = await retention_store.strays(tx, old)
        self._strays_at = now + DAY_S
        await self._delete_photos(strays)

    async def _end_logs(self, now: float) -> None:
        """What trainers said goes with the photos that they were trained on."""
        before = now - self.days.photos * DAY_S
        await self.blobs.sweep(log_files.PREFIX, before=before)
        if self.logs is not None:
            old = await asyncio.to_thread(log_files.jobs_in, self.logs, before=before)
            await asyncio.to_thread(log_files.remove, self.logs, old)

    # --- because somebody wants it -----------------------------------------------------------

    async def drop_photos(self, job_id: str, person: str) -> None:
        """Of one training that has ended."""
        async with self.database.write() as tx:
            job = await job_store.get(tx, job_id)
            if job is None or job.person != person or job.state not in FINAL:
                return
            keys = sorted({photo.sha256 for photo in job.photos})
            free = await retention_store.free_of(tx, keys, [job_id])
            await retention_store.forget_looks(tx, free)
            await retention_store.photos_gone(tx, [job_id])
        await self._delete_photos(free)

    async def _forget(self, one: Leaving, now: float) -> bool:
        """False: a worker still holds a job of theirs, or their files cannot be deleted now."""
        if fault := await self.blobs.fault(ask=True):
            log.warning("somebody waits to be forgotten (%s)", fault)
            return False
        async with self.database.write() as tx:
            held = await erase_store.still_running(tx, one.person)
            for job_id in held:
                await job_store.request_cancel(tx, job_id, now=now)
            if await erase_store.still_running(tx, one.person):
                return False
            stored = await conversation_store.load(tx, one.chat)
            open_draft = draft.from_json(stored.text) if stored else Conversation()
            photos = [photo.sha256 for photo in open_draft.photos]
            drafts = [open_draft.draft] if open_draft.draft else []
            if self.secret:
                digest = quota_store.digest_of(self.secret, one.person)
                await quota_store.keep(tx, one.person, digest, now=now)
            erased = await erase_store.erase(tx, one, drafts, photos)
        below = (samples_prefix, shown_prefix, log_files.log_prefix)
        names = [one(name) for name in erased.job_ids for one in below]
        await self._delete_photos(erased.photos, names)
        if self.logs is not None:
            await asyncio.to_thread(log_files.remove, self.logs, erased.job_ids)
        await self.librarian.sweep()
        log.info("a person was forgotten: %d jobs", len(erased.job_ids))
        await self._last_word(one)
        return True

    async def _last_word(self, one: Leaving) -> None:
        frontend = self.frontends.get(one.chat.partition(":")[0])
        if frontend is None:
            return
        catalog = Catalog.load(nearest(one.language))
        message = render(toast(Line(key="delete.done")), catalog, frontend.limits)
        with suppress(NetworkError):
            async with self.presenter.lock(one.chat):
                await send(frontend, one.chat, message, f"forgotten-{one.person}")

    async def _delete_photos(self, keys: Sequence[str], prefixes: Sequence[str] = ()) -> None:
        """And what lies below ``prefixes``."""
        try:
            for key in keys:
                await self.blobs.delete(photo_key(key))
            for prefix in prefixes:
                await self.blobs.delete_prefix(prefix)
        except StoreError as error:
            # No row names them any more: the next look for strays finds them.
            log.warning("files stay for now (%s)", error)
            self._strays_at = 0.0


async def _free(tx: Tx, keys: list[str]) -> list[str]:
    free = await look_store.unused(tx, keys)
    await look_store.delete(tx, free)
    return free
