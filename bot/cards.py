"""Model cards on their way: as a file, a link or a path, as the network has it."""

import hashlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

from bot import result_screen
from bot.frontend import Frontend, NetworkError
from bot.model_card import card
from bot.packing import Post
from bot.presenter import Presenter
from bot.render import render
from bot.screen import Line
from bot.sending import send
from storage import job_store
from storage.blob_store import artifact_prefix
from storage.database import Database

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cards:
    """``bases`` are the base models' titles by id."""

    database: Database
    presenter: Presenter
    post: Post
    bases: Mapping[str, str]

    async def send(self, job_id: str, chat: str, frontend: Frontend) -> None:
        async with self.database.read() as tx:
            job = await job_store.get(tx, job_id)
        if job is None or job.artifact is None:
            return
        catalog = await self.presenter.catalog(job.person)
        base = self.bases.get(job.params.base_model, job.params.base_model)
        text = card(job, job.artifact, base, catalog).encode()
        # Kept beside the file, and deleted with it; the name of its place is its content's.
        digest = hashlib.sha256(text).hexdigest()[:16]
        key = f"{artifact_prefix(job.id)}/card-{digest}/{job.name}.md"
        await self.post.blobs.put(key, text)
        one = await self.post.beside(key, job.id, job.person, frontend.limits)
        title = Line(key="card.title", args={"name": job.name})
        screen = result_screen.sent_beside(title, "button.card", one.way, one.url, one.path)
        message = render(screen, catalog, frontend.limits, one.file)
        try:
            async with self.presenter.lock(chat):
                await send(frontend, chat, message, f"card-{job.id}-{time.time_ns()}")
        except NetworkError as error:
            log.warning("job %s: its card was not sent (%s)", job.id, type(error).__name__)
