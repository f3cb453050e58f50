"""Read what the conversation may know: rows become Facts."""

import time
from collections.abc import Collection
from dataclasses import dataclass

from bot.estimate import start_times
from bot.facts import Board, Facts
from pictures.limits import DEFAULT, Limits
from pictures.seen import from_texts
from storage import job_lists, job_store, look_store, people_store, worker_store
from storage.bases import Base
from storage.database import Tx
from storage.job import Photo, new_id
from storage.people_store import Person
from storage.settings import Settings
from storage.worker_store import SEES_FACES, SEES_TAGS

SENSES = frozenset({SEES_FACES, SEES_TAGS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """``bases`` are the operator's, in the order in which they are offered."""

    bases: tuple[Base, ...]
    settings: Settings
    limits: Limits = DEFAULT

    async def facts(
        self, tx: Tx, person: Person, pressed_job: str = "", photos: Collection[Photo] = ()
    ) -> Facts:
        now = time.time()
        seconds = await self.seconds(tx)
        pressed = await job_store.get(tx, pressed_job) if pressed_job else None
        known = await look_store.get(tx, [photo.sha256 for photo in photos]) if photos else {}
        senses = await worker_store.labels(tx, now=now) & SENSES
        return Facts(
            seen={
                key: from_texts(row.look, row.faces, row.described) for key, row in known.items()
            },
            waiting=frozenset(key for key, row in known.items() if not row.seen and senses),
            sees_faces=SEES_FACES in senses,
            limits=self.limits,
            pictures_go_to=self.settings.pictures_go_to,
            now=now,
            new_id=new_id(now),
            person=person.id,
            first_name=person.name,
            is_admin=person.id in self.settings.admin_ids,
            bases=self.bases,
            taken=await job_lists.names_of(tx, person.id),
            jobs=tuple(await job_lists.of_person(tx, person.id)),
            pressed=pressed,
            seconds=seconds,
            board=await self.board(tx, seconds, now),
        )

    async def seconds(self, tx: Tx) -> dict[str, float]:
        """How long a training takes: this server's own past runs, before them the first guess."""
        found = {}
        for base in self.bases:
            typical = await job_lists.typical_seconds(tx, base.id)
            found[base.id] = base.minutes * 60 if typical is None else typical
        return found

    async def board(self, tx: Tx, seconds: dict[str, float], now: float) -> Board:
        line = await job_lists.line(tx)
        online = await worker_store.online(tx, now=now)
        starts_in, next_in = start_times(line, seconds, online, now)
        people = await people_store.get(tx, {job.person for job in line})
        return Board(
            line=tuple(line),
            names={one.id: one.name for one in people.values()},
            starts_in=starts_in,
            next_in=next_in,
            online=online,
        )
