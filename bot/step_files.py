"""Other versions of a finished file on their way: as a file, a link or a path."""

import logging
import time
from dataclasses import dataclass, replace

from bot import result_screen
from bot.frontend import Frontend, NetworkError
from bot.packing import Post
from bot.presenter import Presenter
from bot.render import render
from bot.sample_screens import percent_of
from bot.screen import Line
from bot.sending import send
from storage import job_store
from storage.database import Database
from storage.job import Args

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFiles:
    database: Database
    presenter: Presenter
    post: Post

    async def send(self, job_id: str, step: int, chat: str, frontend: Frontend) -> None:
        async with self.database.read() as tx:
            job = await job_store.get(tx, job_id)
        found = next((one for one in job.saved if one.step == step), None) if job else None
        if job is None or found is None:
            return
        catalog = await self.presenter.catalog(job.person)
        try:
            one = await self.post.beside(found.key, job.id, job.person, frontend.limits)
            name = f"{job.name}-{step}.safetensors"
            file = replace(one.file, name=name) if one.file else None
            args: Args = {"name": job.name, "percent": percent_of(job, step)}
            screen = result_screen.sent_beside(
                Line(key="steps.sent", args=args), "button.step_open", one.way, one.url, one.path
            )
            message = render(screen, catalog, frontend.limits, file)
            async with self.presenter.lock(chat):
                await send(frontend, chat, message, f"step-{job.id}-{time.time_ns()}")
        except (NetworkError, OSError) as error:
            log.warning("job %s: a version was not sent (%s)", job.id, type(error).__name__)
