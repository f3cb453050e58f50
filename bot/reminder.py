"""Sets that wait for an admin's eye are shown again: at each start, because a crash may have lost
the question, and once a day.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from bot import admin_review
from bot.clock import DAY_S
from bot.doorkeeper import Doorkeeper
from bot.frontend import Frontend
from bot.presenter import Presenter
from storage import job_review, people_store
from storage.database import Database

EVERY_S = DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    database: Database
    doorkeeper: Doorkeeper
    presenter: Presenter
    frontends: Mapping[str, Frontend]

    async def run(self) -> None:
        while True:
            await self.remind()
            await asyncio.sleep(EVERY_S)

    async def remind(self) -> None:
        async with self.database.read() as tx:
            waiting = await job_review.held(tx)
            admins = await self.doorkeeper.admins(tx) if waiting else frozenset()
            known = await people_store.get(tx, {job.person for job in waiting})
        for job in waiting:
            who = known[job.person].name if job.person in known else job.person
            for admin in sorted(admins):
                if admin.partition(":")[0] in self.frontends:
                    await self.presenter.tell(admin, admin_review.of_job(job, who))
