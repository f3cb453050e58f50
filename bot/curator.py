"""Hangs up what people show in public and takes it down: by rows, so a crash loses nothing."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from bot import exhibiting
from bot.frontend import ExhibitRefusedError, Frontend, Gallery, Message, NetworkError
from bot.presenter import Presenter
from bot.render import render
from bot.screen import Line
from bot.screens import toast
from bot.texts.catalog import Catalog, nearest
from storage import exhibit_store, job_store, people_store
from storage.database import Database
from storage.exhibit_store import Exhibit
from storage.job import Job

log = logging.getLogger(__name__)

LOOK_S = 60.0  # what a network did not take just now is tried again


@dataclass(slots=True, kw_only=True)
class Curator:
    """``galleries`` by platform."""

    database: Database
    presenter: Presenter
    galleries: Mapping[str, Gallery]
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        while True:
            self._wake.clear()
            async with self.database.read() as tx:
                waiting = await exhibit_store.to_do(tx)
            for one in waiting:
                try:
                    await self._bring_about(one)
                except NetworkError as error:
                    log.warning("job %s: the gallery waits (%s)", one.job_id, error)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()

    async def _bring_about(self, one: Exhibit) -> None:
        gallery = self.galleries.get(one.place)
        if one.gone:
            if one.ref and gallery is None:
                # Its network is switched off: it goes when that is back.
                return
            if one.ref and gallery is not None:
                await gallery.take_down(one.ref)
            await self._forget(one)
        elif gallery is not None:
            await self._hang(one, gallery)

    async def _hang(self, one: Exhibit, gallery: Gallery) -> None:
        async with self.database.read() as tx:
            job = await job_store.get(tx, one.job_id)
            known = await people_store.get(tx, [one.person])
        who = known[one.person].name if one.person in known else ""
        message = await self._message(job, who, gallery) if job is not None else None
        if job is None or message is None:
            await self._forget(one)
            return
        try:
            ref = await gallery.exhibit(one.person, message, key=f"exhibit-{job.id}-{one.at}")
        except ExhibitRefusedError as refused:
            log.warning("job %s: not shown in the gallery (%s)", job.id, refused)
            await self._forget(one)
            await self.presenter.tell(one.person, toast(Line(key=refused.key)))
            return
        async with self.database.write() as tx:
            await exhibit_store.hung(tx, job.id, ref)
        await self.presenter.tell(one.person, exhibiting.there(job))

    async def _message(self, job: Job, who: str, gallery: Gallery) -> Message | None:
        """In the server's language: everybody reads it."""
        screen = exhibiting.exhibit(job, who)
        picture = await self.presenter.picture(screen) if screen is not None else None
        if screen is None or picture is None:
            return None
        return render(screen, Catalog.load(nearest("")), gallery.limits, picture=picture)

    async def _forget(self, one: Exhibit) -> None:
        async with self.database.write() as tx:
            await exhibit_store.forget(tx, one)


def galleries(frontends: Mapping[str, Frontend]) -> dict[str, Gallery]:
    """Those of the networks that have one."""
    return {
        name: one
        for name, one in frontends.items()
        if one.limits.gallery and isinstance(one, Gallery)
    }
