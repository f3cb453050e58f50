"""A job's log on its way to an admin: as a file, or as text where a network takes no files."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.frontend import Frontend, Message, NetworkError, OutFile
from bot.job_log import job_log
from bot.presenter import Presenter
from bot.render import render
from bot.screen import Line
from bot.screens import toast
from bot.sending import send
from storage import job_store, log_files, people_store
from storage.blobs import Blobs
from storage.database import Database
from storage.job import Job, new_id

log = logging.getLogger(__name__)

TAIL_BYTES = 64_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLetters:
    """Workers put the last lines of their trainers among the ``blobs``; ``logs`` is where those of
    this machine keep more of them. ``spool`` holds a file while it is sent.
    """

    database: Database
    blobs: Blobs
    presenter: Presenter
    frontends: Mapping[str, Frontend]
    logs: Path
    spool: Path

    async def send_log(self, job_id: str, chat: str) -> None:
        async with self.database.read() as tx:
            job = await job_store.get(tx, job_id)
            known = await people_store.get(tx, [job.person]) if job else {}
        if job is None:
            await self.presenter.tell(chat, toast(Line(key="admin.no_job")))
            return
        tail = await self._tail(job.id)
        names = [word for one in known.values() for word in (one.name, *one.name.split())]
        text = job_log(job, tail, names=names, now=time.time())
        try:
            await self._send(job, text, chat)
        except NetworkError as error:
            log.warning("job %s: its log was not sent (%s)", job.id, type(error).__name__)

    async def _tail(self, job_id: str) -> str:
        try:
            kept = await log_files.newest(self.blobs, job_id)
        except OSError as error:
            log.warning("job %s: the store does not give its log (%s)", job_id, error)
            kept = ""
        return kept or await asyncio.to_thread(_tail, log_files.whole(self.logs, job_id))

    async def _send(self, job: Job, text: str, chat: str) -> None:
        frontend = self.frontends[chat.partition(":")[0]]
        catalog = await self.presenter.catalog(chat)
        title = Line(key="admin.log", args={"code": job.code})
        if not frontend.limits.out_file_bytes:
            await self.presenter.tell(chat, toast(title, Line(words=text)))
            return
        # A place of its own each time: networks remember what they were sent by its path.
        path = self.spool / f"{new_id()}.txt"
        data = text.encode()
        await asyncio.to_thread(_write, path, data)
        file = OutFile(path=path, name=f"{job.code}.txt", file_bytes=len(data))
        message: Message = render(toast(title), catalog, frontend.limits, file)
        try:
            async with self.presenter.lock(chat):
                await send(frontend, chat, message, f"log-{path.stem}")
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)


def _tail(path: Path) -> str:
    """The end of a log, or nothing where it is not on this machine."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_bytes(data)
