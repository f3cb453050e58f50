"""What the conversation may know of the world: values, read by the shell before each step. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bot.office import Door, Office
from pictures.limits import DEFAULT, Limits
from pictures.seen import Seen
from storage.access import Pause, Quota
from storage.bases import Base
from storage.job import LIVE, Job, JobState, Photo
from storage.line import Entry
from storage.preferences import Preferences
from storage.shelf import Page

MODELS_ON_A_PAGE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The line of jobs: running first, then queued in order, as far as anybody reads.

    Behind them ``further`` ones wait, some with known ``places``. ``names`` of people by id, for
    admins; ``starts_in`` seconds by job id; ``next_in`` is the same for a job that would be added
    now; ``online`` counts training computers, and ``able`` are the base models that they can train,
    None while nobody knows.
    """

    line: tuple[Entry, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    starts_in: Mapping[str, float] = field(default_factory=dict)
    next_in: float = 0.0
    online: int = 0
    pause: Pause | None = None
    further: int = 0
    places: Mapping[str, int] = field(default_factory=dict)
    able: frozenset[str] | None = None

    @property
    def queued(self) -> tuple[Entry, ...]:
        """Those of the line that wait."""
        return tuple(job for job in self.line if job.state is JobState.QUEUED)

    @property
    def waiting(self) -> int:
        return len(self.queued) + self.further

    def place(self, job_id: str) -> int:
        """From 1; 0: it does not wait."""
        ids = [one.id for one in self.queued]
        return ids.index(job_id) + 1 if job_id in ids else self.places.get(job_id, 0)

    def can_train(self, base: str) -> bool:
        """Some computer that is online can; where none is, that is another matter."""
        return not self.online or self.able is None or base in self.able


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What is kept of a person; ``with_photos`` are the jobs whose photos are still here."""

    photos: int = 0
    photo_bytes: int = 0
    models: int = 0
    model_bytes: int = 0
    with_photos: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """``jobs`` are this person's, newest first; ``pressed`` is the job that a button named.

    ``new_id`` is for a draft that starts now. ``seconds`` says by base how long a training takes.
    ``seen`` is what is known of the draft's photos, by sha256; ``waiting`` are those that a worker
    has yet to look at; ``sees_faces``: some worker can. ``pictures_go_to`` is another host that
    captions are made on, if there is one. ``models`` is a page of the person's library, where that
    is open; ``kept_photos`` are those of the ``pressed`` job that are still here; ``exhibited``:
    its samples hang in public, or are about to; ``has_links``: files can be loaded over the public
    address. ``wants_consent``: the person has yet to agree to the policy; ``holds``: an admin looks
    at each set before it is trained; below ``min_age`` an estimated age calls one, or
    ``refuses_young`` the set (0: nobody asks for ages); ``stored`` is counted where somebody asks
    for it. ``quota`` is read where a job may begin, ``office`` where an admin asks.
    ``chosen_language`` is empty where the client's own counts. ``in_group``: others read along.
    """

    now: float
    new_id: str
    person: str
    first_name: str = ""
    is_admin: bool = False
    door: Door = field(default_factory=Door)
    quota: Quota = field(default_factory=Quota)
    office: Office = field(default_factory=Office)
    bases: tuple[Base, ...] = ()
    taken: frozenset[str] = frozenset()
    jobs: tuple[Job, ...] = ()
    pressed: Job | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    board: Board = field(default_factory=Board)
    seen: Mapping[str, Seen] = field(default_factory=dict)
    waiting: frozenset[str] = frozenset()
    sees_faces: bool = False
    limits: Limits = DEFAULT
    pictures_go_to: str = ""
    models: Page = field(default_factory=Page)
    exhibited: bool = False
    page_size: int = MODELS_ON_A_PAGE
    kept_photos: tuple[Photo, ...] = ()
    has_links: bool = False
    wants_consent: bool = False
    policy_url: str = ""
    holds: bool = False
    min_age: int = 0
    refuses_young: bool = False
    retention_days: int = 7
    stored: Stored = field(default_factory=Stored)
    preferences: Preferences = field(default_factory=Preferences)
    chosen_language: str = ""
    in_group: bool = False

    def base(self, base_id: str) -> Base | None:
        return next((base for base in self.bases if base.id == base_id), None)

    def may_touch(self, job: Job) -> bool:
        return self.is_admin or job.person == self.person

    @property
    def live_jobs(self) -> tuple[Job, ...]:
        return tuple(job for job in self.jobs if job.state in LIVE)
