"""What is known at the door and in the admins' office: values, read by the shell. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from storage.access import Act, Member, Standing
from storage.job import Job
from storage.roster import Computer, Profile, Roster, Tally

OPEN, LIST, INVITE = "open", "list", "invite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """``mode`` is the operator's ACCESS. ``claim`` is the one-time code while there is no admin;
    ``invited``: this event brings a good invite; ``admins`` are who is asked, unless
    so many ask already that it is ``crowded``.
    """

    mode: str = OPEN
    standing: Standing = Standing.UNKNOWN
    is_admin: bool = False
    claim: str = ""
    invited: bool = False
    admins: tuple[str, ...] = ()
    crowded: bool = False

    @property
    def admits(self) -> bool:
        if self.is_admin:
            return True
        if self.standing is Standing.BANNED:
            return False
        return self.mode == OPEN or self.standing is Standing.ALLOWED


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """A page of what admins did, the newest first; ``names`` of people by id."""

    acts: tuple[Act, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    number: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """Read for admins only, and only what their command is about.

    ``whom`` is the person that it names, ``whose`` are their live jobs, and ``fixed`` says that the
    settings make them an admin; ``found`` is the job that it names. ``codes`` are new invites;
    ``start_link`` is the address that hands a word to this bot, where its network has one.
    ``letter`` is an announcement that waits for its author's word, ``readers`` counts who would get
    it, ``announced_at`` is when the latest one went out. Bytes of the disk.
    """

    whom: Profile = field(default_factory=lambda: Profile(member=Member(person="")))
    whose: tuple[Job, ...] = ()
    fixed: bool = False
    found: Job | None = None
    roster: Roster = field(default_factory=Roster)
    tally: Tally = field(default_factory=Tally)
    computers: tuple[Computer, ...] = ()
    ledger: Ledger = field(default_factory=Ledger)
    codes: tuple[str, ...] = ()
    start_link: str = ""
    letter: str = ""
    readers: int = 0
    announced_at: float | None = None
    disk_free: int = 0
    disk_all: int = 0
