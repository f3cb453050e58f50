"""Read what the conversation may know: rows become Facts."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from bot.estimate import Far, start_times
from bot.facts import MODELS_ON_A_PAGE, Board, Facts, Stored
from bot.opened import Opened, View
from bot.unread import GROUPS, unread
from pictures.limits import DEFAULT, Limits
from pictures.seen import from_texts
from storage import (
    clock,
    consent_store,
    exhibit_store,
    job_line,
    job_lists,
    job_store,
    library_store,
    line_parts,
    look_store,
    pause_store,
    people_store,
    preference_store,
    stored_store,
    worker_store,
)
from storage.bases import Base
from storage.database import Tx
from storage.job import Job, JobState, Photo, new_id
from storage.people_store import Person
from storage.settings import Settings
from storage.shelf import Page
from storage.worker_store import SEES_FACES, SEES_TAGS

LOCAL = frozenset({"web", "tty"})  # platforms of this machine
SENSES = frozenset({SEES_FACES, SEES_TAGS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """``bases`` are the operator's, in the order in which they are offered."""

    bases: tuple[Base, ...]
    settings: Settings
    limits: Limits = DEFAULT

    async def facts(  # noqa: PLR0913  what an update may name
        self,
        tx: Tx,
        person: Person,
        pressed_job: str = "",
        photos: Collection[Photo] = (),
        opened: Opened | None = None,
        *,
        counted: bool = False,
        known: Collection[str] = GROUPS,
    ) -> Facts:
        """``opened`` is what the library shows or is about to show; None: it stays shut.
        ``counted``: it is asked what is stored of this person. ``known`` are the groups that are
        read at once; the others when they are needed, by `fill`.
        """
        now = await clock.now(tx)
        pressed_job = pressed_job or (opened.model if opened else "")
        pressed = await job_store.get(tx, pressed_job) if pressed_job else None
        shelf = Page()
        if opened is not None:
            shelf = await library_store.page(tx, person.id, opened.page, MODELS_ON_A_PAGE)
        settled = opened is not None and opened.view is View.SETTINGS
        facts = Facts(
            models=shelf,
            wants_consent=await self.wants_consent(tx, person.id),
            policy_url=self.settings.policy_url,
            holds=self.settings.hold_for_review,
            min_age=self.settings.min_age,
            refuses_young=self.settings.min_age_action == "refuse",
            retention_days=round(self.settings.retention_days),
            stored=await _stored(tx, person.id, photos) if counted else Stored(),
            kept_photos=await _kept(tx, pressed) if opened and pressed else (),
            has_links=bool(self.settings.public_url),
            preferences=unread("preferences"),
            chosen_language=await people_store.chosen_language(tx, person.id) if settled else "",
            limits=self.limits,
            pictures_go_to=self.settings.pictures_go_to,
            now=now,
            new_id=new_id(now),
            person=person.id,
            first_name=person.name,
            bases=self.bases,
            taken=unread("taken"),
            jobs=unread("jobs"),
            pressed=pressed,
            seconds=unread("board"),
            board=unread("board"),
            sees_faces=unread("senses"),
            exhibited=unread("exhibited"),
        )
        for what in known:
            facts = await self.fill(tx, facts, what)
        return await self.looked(tx, facts, photos) if photos else facts

    async def fill(self, tx: Tx, facts: Facts, what: str) -> Facts:
        """The same facts with one group more."""
        match what:
            case "jobs":
                return replace(facts, jobs=tuple(await job_lists.of_person(tx, facts.person)))
            case "taken":
                return replace(facts, taken=await job_lists.names_of(tx, facts.person))
            case "preferences":
                return replace(facts, preferences=await preference_store.get(tx, facts.person))
            case "board":
                seconds = await self.seconds(tx)
                pressed = {facts.pressed.id} if facts.pressed else set()
                theirs = {*await job_line.of_person(tx, facts.person), *pressed}
                board = await self.board(tx, seconds, theirs, now=facts.now)
                return replace(facts, seconds=seconds, board=board)
            case "exhibited":
                return replace(facts, exhibited=await self._hangs(tx, facts.pressed))
            case "senses":
                senses = await worker_store.labels(tx, now=facts.now)
                return replace(facts, sees_faces=SEES_FACES in senses)
        raise ValueError(what)

    async def _hangs(self, tx: Tx, job: Job | None) -> bool:
        if job is None or not self.settings.discord_gallery_channel:
            return False
        shown = await exhibit_store.get(tx, job.id)
        return shown is not None and not shown.gone

    async def looked(self, tx: Tx, facts: Facts, photos: Collection[Photo]) -> Facts:
        """The same facts with what is seen on these photos; enough from one photo to the next."""
        known = await look_store.get(tx, [photo.sha256 for photo in photos])
        senses = await worker_store.labels(tx, now=facts.now) & SENSES
        return replace(
            facts,
            seen={
                key: from_texts(row.look, row.faces, row.described) for key, row in known.items()
            },
            waiting=frozenset(key for key, row in known.items() if not row.seen and senses),
            sees_faces=SEES_FACES in senses,
        )

    async def wants_consent(self, tx: Tx, person: str) -> bool:
        """Where people of a network send photos. Who sits at this machine needs to ask nobody."""
        local = person.partition(":")[0] in LOCAL
        if self.settings.consent == "never" or (self.settings.consent == "auto" and local):
            return False
        return not await consent_store.given(tx, person, self.settings.policy_version)

    async def seconds(self, tx: Tx) -> dict[str, float]:
        """How long a training takes: this server's own past runs, before them the first guess."""
        known = await job_lists.typical_seconds(tx, tuple(base.id for base in self.bases))
        return {base.id: known.get(base.id, base.minutes * 60) for base in self.bases}

    async def board(
        self,
        tx: Tx,
        seconds: dict[str, float],
        jobs: Collection[str] = (),
        *,
        now: float,
        whole: bool = True,
    ) -> Board:
        """The line as far as anybody reads, and the places of these ``jobs`` wherever they wait.
        Not ``whole``: without names, for whoever shows one job.
        """
        line = await job_lists.line(tx)
        shown = {job.id for job in line if job.state is JobState.QUEUED}
        far = Far()
        if len(shown) == job_lists.SHOWN:
            places = await line_parts.places(tx, set(jobs) - shown)
            far = Far(await line_parts.count(tx) - len(shown), places)
        online, labels = await worker_store.present(tx, now=now)
        starts_in, next_in = start_times(line, seconds, online, now, far)
        return Board(
            further=far.further,
            places=far.places,
            able=worker_store.trainable(labels),
            line=tuple(line),
            names=await people_store.names(tx, {job.person for job in line}) if whole else {},
            starts_in=starts_in,
            next_in=next_in,
            online=online,
            pause=await pause_store.get(tx, now=now),
        )


async def _kept(tx: Tx, job: Job) -> tuple[Photo, ...]:
    """A job's photos that were not deleted: whoever deletes one deletes what was seen on it."""
    known = await look_store.get(tx, [photo.sha256 for photo in job.photos])
    return tuple(photo for photo in job.photos if photo.sha256 in known)


async def _stored(tx: Tx, person: str, drafted: Collection[Photo]) -> Stored:
    kept = await stored_store.of_person(tx, person, drafted)
    made = [job.artifact for job in kept.jobs if job.artifact is not None]
    return Stored(
        photos=len(kept.photos),
        photo_bytes=sum(photo.file_bytes for photo in kept.photos.values()),
        models=len(made),
        model_bytes=sum(one.file_bytes for one in made),
        with_photos=kept.with_photos,
    )
