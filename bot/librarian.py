"""What the library decides becomes true: new names, files sent again, files that go for good."""

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path

from bot.cards import Cards
from bot.courier import Courier
from bot.events import (
    DeleteModel,
    LibraryAction,
    Rate,
    RenameModel,
    SendCard,
    SendResult,
    SendStep,
)
from bot.facts import Facts
from bot.frontend import Frontend
from bot.step_files import StepFiles
from storage import exhibit_store, job_store, library_store, nudge_store
from storage.blob_store import artifact_prefix, file_digest, samples_prefix
from storage.blobs import Blobs
from storage.database import Database, Tx
from storage.library_store import Doomed

log = logging.getLogger(__name__)

LOOK_S = 600.0  # after a fault of the disk it is tried again


@dataclass(frozen=True, slots=True, kw_only=True)
class Librarian:
    """``lora_dir`` is the folder that finished files are copied to, if this machine has it."""

    database: Database
    blobs: Blobs
    courier: Courier
    cards: Cards
    steps: StepFiles
    lora_dir: Path | None = None
    _sweeping: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def write(self, tx: Tx, action: LibraryAction, facts: Facts) -> None:
        """Its part in the update's transaction. Whose model it is was looked at before."""
        match action:
            case RenameModel(job_id, name):
                await library_store.rename(tx, job_id, name)
            case Rate(job_id, answer):
                await nudge_store.answer(tx, nudge_store.RATE, job_id, answer)
            case DeleteModel(job_id, with_copy=with_copy):
                job = await job_store.get(tx, job_id)
                if job is not None and job.person == facts.person:
                    await library_store.doom(tx, job, with_copy=with_copy)
                    await exhibit_store.take_down(tx, job_id)

    async def after(self, action: LibraryAction, chat: str, frontend: Frontend) -> None:
        """Once that is committed."""
        match action:
            case SendResult(job_id, only_link=only_link):
                self.courier.send_again(job_id, chat, frontend, only_link=only_link)
            case SendCard(job_id):
                await self.cards.send(job_id, chat, frontend)
            case SendStep(job_id, step):
                await self.steps.send(job_id, step, chat, frontend)
            case DeleteModel():
                await self.sweep()

    async def run(self) -> None:
        """What a predecessor did not get to delete, and what a disk refused to."""
        while True:
            await self.sweep()
            await asyncio.sleep(LOOK_S)

    async def sweep(self) -> None:
        async with self._sweeping:
            async with self.database.read() as tx:
                waiting = await library_store.all_doomed(tx)
            for one in waiting:
                try:
                    await self._delete(one)
                except OSError as error:
                    log.warning("job %s: its files stay for now (%s)", one.job_id, error.strerror)
                    continue
                async with self.database.write() as tx:
                    await library_store.gone(tx, one.job_id)
                log.info("job %s: its model was deleted", one.job_id)

    async def _delete(self, one: Doomed) -> None:
        for prefix in (artifact_prefix(one.job_id), samples_prefix(one.job_id)):
            await self.blobs.delete_prefix(prefix)
        if one.copied_to and self.lora_dir is not None:
            await asyncio.to_thread(delete_copy, self.lora_dir / one.copied_to, one.sha256)


def delete_copy(path: Path, sha256: str) -> None:
    """Only if it is still that very file: the folder belongs to other programs, too."""
    if path.is_file() and file_digest(path).hex() == sha256:
        path.unlink(missing_ok=True)
