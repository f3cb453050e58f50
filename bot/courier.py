"""Hand finished files over: down the ladder, one rung after the other, until one holds.

A job waits in "delivering" until its chat has the file, a smaller twin, a link, or at least the
word that the admin has it. What a network takes is learned on the way, and remembered.
"""

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial

from bot import delivery
from bot.frontend import ChatGoneError, Frontend, Message, NetworkError, TooLargeError
from bot.lasting import lasting
from bot.packing import Load, Packer, Parcel, Post
from bot.presenter import Presenter
from bot.screen import Line
from bot.screens import toast
from bot.sending import edit_or_send, send
from storage import access_store, job_store, limit_store, meter_store
from storage.blobs import StoreError
from storage.database import Database
from storage.job import Job
from storage.log_context import about
from storage.meter_store import DELIVERIES, Meter

log = logging.getLogger(__name__)

SENDING = "sending"  # stored before a result goes out: after a crash it may be there already
LOOK_S = 0.5


class Courier:
    """``admins`` of the settings, and those of the database, are told of what could not leave the
    server.
    """

    def __init__(
        self,
        database: Database,
        presenter: Presenter,
        post: Post,
        admins: frozenset[str] = frozenset(),
    ) -> None:
        self._database = database
        self._presenter = presenter
        self._packer = Packer(database, presenter, post)
        self._admins = admins
        self._beside: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)

    async def hand_over(self, job: Job, status_ref: str, frontend: Frontend) -> bool:
        """The result of a job, once. False: not yet, because a smaller twin is being made."""
        if job.result_ref not in ("", SENDING):
            return True  # it has arrived; the bot died before it could say so
        load = Load.ALL
        while (parcel := await self._packer.pack(job, job.chat, frontend, load)) is not None:
            try:
                ref = await self._send_once(job, status_ref, frontend, parcel.message)
            except NetworkError as error:
                load = await self._lighter(job, job.chat, parcel, load, error)
                # It did not arrive, for sure: the next try may be a new message again.
                await lasting(partial(self._note, job, ""))
                job = replace(job, result_ref="")
            else:
                # However long the database is away: nobody else knows that it is there.
                way = way_of(job, parcel, frontend)
                await lasting(partial(self._note, job, ref or SENDING, way))
                if parcel.kept:
                    await self._tell_admins(job)
                return True
        return False

    async def _send_once(
        self, job: Job, status_ref: str, frontend: Frontend, message: Message
    ) -> str:
        """Committed before it is sent: after a crash in between, the file goes into the status
        message by an edit, which may be repeated, and never into a second result.
        """
        key = f"result-{job.id}"
        if job.result_ref == SENDING and not frontend.limits.idempotent and status_ref:
            return await edit_or_send(frontend, job.chat, status_ref, message, key)
        await self._note(job, SENDING)
        ref = await send(frontend, job.chat, message, key)
        if not ref and status_ref:
            ref = await edit_or_send(frontend, job.chat, status_ref, message, key)
        return ref

    async def _note(self, job: Job, ref: str, way: str = "") -> None:
        """``way``: it has just arrived, that way."""
        async with self._database.write() as tx:
            await job_store.mark_sent(tx, job.id, job.version, result_ref=ref)
            if way:
                await meter_store.add(tx, Meter(DELIVERIES, {"way": way}))

    async def _lighter(
        self, job: Job, chat: str, parcel: Parcel, load: Load, error: NetworkError
    ) -> Load:
        """What to try after this refusal. Raises it where less would not help."""
        if not error.permanent or isinstance(error, ChatGoneError):
            raise error
        log.warning("job %s: its result was refused (%s)", job.id, error)
        if parcel.message.picture is not None and load is Load.ALL:
            return Load.FILE
        if not parcel.file_bytes:
            raise error
        if isinstance(error, TooLargeError):
            await self._learn(chat, parcel)
            return load
        # Something about the file, whatever it is: words and a link go through.
        return Load.WORDS

    async def _learn(self, chat: str, parcel: Parcel) -> None:
        """The network refused this size; what it takes is less."""
        async with self._database.write() as tx:
            most = delivery.limit_below(parcel.file_bytes)
            await limit_store.refused(tx, chat, most, now=time.time())
        log.info("a chat takes less than %d bytes", parcel.file_bytes)

    # --- once more ---------------------------------------------------------------------------

    def send_again(
        self, job_id: str, chat: str, frontend: Frontend, *, only_link: bool = False
    ) -> None:
        """A finished file once more, beside everything else: its twin may take a moment."""
        load = Load.WORDS if only_link else Load.ALL
        work = self._again_or_say(job_id, chat, frontend, load)
        with about(job_id):
            task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def _again_or_say(self, job_id: str, chat: str, frontend: Frontend, load: Load) -> None:
        try:
            await self._again(job_id, chat, frontend, load)
        except FileNotFoundError:
            # Deleted while it was packed: there is nothing to send any more.
            await self._presenter.tell(chat, toast(Line(key="models.gone")))
        except StoreError as error:
            log.warning("job %s: its file cannot be fetched (%s)", job_id, error)
            await self._presenter.tell(chat, toast(Line(key="link.away")))

    async def _again(self, job_id: str, chat: str, frontend: Frontend, load: Load) -> None:
        said = False
        while True:
            async with self._database.read() as tx:
                job = await job_store.get(tx, job_id)
            if job is None or job.artifact is None:
                return
            parcel = await self._packer.pack(job, chat, frontend, load)
            if parcel is not None:
                try:
                    async with self._presenter.lock(chat):
                        key = f"again-{job.id}-{time.time_ns()}"
                        await send(frontend, chat, parcel.message, key)
                except FileNotFoundError:
                    # Deleted on its way; the next look says so.
                    continue
                except NetworkError as error:
                    with suppress(NetworkError):
                        load = await self._lighter(job, chat, parcel, load, error)
                        continue
                return
            if not said:
                said = True
                await self._presenter.tell(chat, toast(Line(key="result.shrinking")))
            await asyncio.sleep(LOOK_S)

    async def _tell_admins(self, job: Job) -> None:
        log.warning("job %s: its file could not leave the server; set PUBLIC_URL", job.id)
        line = Line(key="admin.undelivered", args={"code": job.code})
        async with self._database.read() as tx:
            appointed = await access_store.admins(tx)
        for admin in self._admins | appointed:
            await self._presenter.tell(admin, toast(line))


def way_of(job: Job, parcel: Parcel, frontend: Frontend) -> str:
    """How a file reached its chat, in one word."""
    if parcel.kept:
        return "server"
    if parcel.file_bytes:
        whole = job.artifact is not None and parcel.file_bytes == job.artifact.file_bytes
        return "file" if whole else "twin"
    return "path" if frontend.limits.paths else "link"
