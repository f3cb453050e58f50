"""The lane for photos that were just sent: faces and words, within seconds, whatever is trained.

It runs beside the jobs in each worker that has networks. A look that is lost with its worker is
done again by another after a while.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy.exc import DBAPIError

from pictures.look import Refused
from pictures.order import SIDE, Developed, View
from pictures.sandbox import Cells
from pipeline.captions.describe import Describe
from pipeline.eyes import BlindError, Eyes
from storage import clock, look_store
from storage.blob_store import photo_key
from storage.blobs import Blobs, StoreError
from storage.database import Database
from storage.worker_store import SEES_TAGS

log = logging.getLogger(__name__)

HOLD_S = 60.0
PAUSE_S = 0.5
TROUBLE_S = 5.0
DESCRIBED_AT_ONCE = 2
SAID = ("faces", "described")


class Inspector:
    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        cells: Cells,
        eyes: Eyes,
        describe: Describe | None = None,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._cells = cells
        self._eyes = eyes
        self._describe = describe
        self._describing: set[asyncio.Task[None]] = set()
        self._few = asyncio.Semaphore(DESCRIBED_AT_ONCE)
        self.rung = asyncio.Event()

    @property
    def labels(self) -> list[str]:
        """What the chat side may count on."""
        words = [SEES_TAGS] if self._describe else []
        return sorted({*self._eyes.labels, *words})

    async def run(self) -> None:
        """Until cancelled. Without networks there is nothing to see with."""
        if not self.labels:
            return
        while True:
            try:
                self.rung.clear()
                if not await self.look_at_one():
                    with suppress(TimeoutError):
                        async with asyncio.timeout(PAUSE_S):
                            await self.rung.wait()
            except DBAPIError as error:
                log.warning("the database does not answer (%s)", error.orig)
                await asyncio.sleep(TROUBLE_S)
            except (BlindError, StoreError) as error:
                log.warning("photos cannot be looked at: %s", error)
                await asyncio.sleep(TROUBLE_S)

    async def look_at_one(self) -> bool:
        """False when nobody waits."""
        async with self._database.read() as tx:
            if not await look_store.anybody_waits(tx, now=await clock.now(tx)):
                return False
        async with self._database.write() as tx:
            sha256 = await look_store.claim(tx, now=await clock.now(tx), hold_s=HOLD_S)
        if sha256 is None:
            return False
        shown = await self._show(sha256)
        said = await self._see(shown) if shown else {}
        await self._answer(sha256, said)
        if shown is not None and self._describe is not None:
            # A slow server must not hold up the faces of the next photo.
            task = asyncio.create_task(self._put_into_words(sha256, said, shown, self._describe))
            self._describing.add(task)
            task.add_done_callback(self._describing.discard)
        return True

    async def _answer(self, sha256: str, said: Mapping[str, Any]) -> None:
        texts = {name: json.dumps(said[name]) if name in said else None for name in SAID}
        async with self._database.write() as tx:
            await look_store.answer(tx, sha256, now=await clock.now(tx), **texts)

    async def _put_into_words(
        self, sha256: str, said: Mapping[str, Any], shown: Developed, describe: Describe
    ) -> None:
        async with self._few:
            described = await describe(shown.view_size, shown.view)
        if described is not None:
            with suppress(DBAPIError):
                await self._answer(sha256, {**said, "described": described.to_json()})

    async def _show(self, sha256: str) -> Developed | None:
        try:
            data = await self._blobs.get(photo_key(sha256))
        except FileNotFoundError:
            # Deleted meanwhile, and its row with it.
            return None
        shown = await self._cells.view(data, View(side=SIDE, raw=True))
        return None if isinstance(shown, Refused) else shown

    async def _see(self, shown: Developed) -> dict[str, Any]:
        return await self._eyes.see(shown.view_size, shown.view) if self._eyes.labels else {}
