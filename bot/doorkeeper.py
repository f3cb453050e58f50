"""Who comes in and who steers: rows and settings become a Door, decisions become rows.

An admin is whoever ADMIN_IDS names, whoever the database says, and whoever sits at the terminal.
The local page makes nobody an admin by itself: any user of this machine can open it.
"""

import logging
import secrets
from dataclasses import dataclass, field

from bot.access import code_of
from bot.events import Event
from bot.facts import Facts
from bot.office import INVITE as INVITE_MODE
from bot.office import Door
from bot.orders import (
    Appoint,
    Decide,
    Dismiss,
    DoorOrder,
    MakeAdmin,
    MakeInvites,
    SetLimits,
    UseInvite,
)
from storage import access_store, invite_store
from storage.access import CLAIM, INVITE, LOCAL_OPERATOR, Standing
from storage.database import Database, Tx
from storage.job import ALPHABET
from storage.settings import Settings

log = logging.getLogger(__name__)

MOST_ASKING = 20  # at once; a flood of strangers must not become one of messages to admins
GROUPS, LETTERS = 3, 4  # 60 bits: nobody finds it by trying


def new_code(prefix: str) -> str:
    """Like ``claim-7Q2F-K9TB-0XWM``: fit for a deep link, and to be read aloud."""
    words = ("".join(secrets.choice(ALPHABET) for _ in range(LETTERS)) for _ in range(GROUPS))
    return prefix + "-".join(words)


@dataclass(slots=True, kw_only=True)
class Doorkeeper:
    """``claim`` makes whoever brings it the first admin; it lives as long as this process."""

    settings: Settings
    claim: str = field(default_factory=lambda: new_code(CLAIM), repr=False)

    async def admins(self, tx: Tx) -> frozenset[str]:
        return self.settings.admin_ids | await access_store.admins(tx)

    async def introduce(self, database: Database) -> None:
        """The one-time code, in the log while nobody steers: who reads it runs the service."""
        async with database.read() as tx:
            if not await self.admins(tx):
                log.warning(
                    "there is no admin yet: write /start %s to the bot to become the first "
                    "(once; each start has a new code), or set ADMIN_IDS",
                    self.claim,
                )

    async def door(self, tx: Tx, person: str, event: Event | None, now: float) -> Door:
        member, steering = await access_store.at_door(tx, person)
        appointed = person == LOCAL_OPERATOR or person in self.settings.admin_ids
        claimed = event is not None and bool(code_of(event, CLAIM))
        invite = code_of(event, INVITE) if event is not None else ""
        admins = self.settings.admin_ids | steering
        return Door(
            mode=self.settings.access,
            standing=member.standing,
            is_admin=appointed or member.is_admin,
            claim=self.claim if claimed and not admins else "",
            invited=bool(invite) and await invite_store.is_good(tx, invite, now=now),
            admins=tuple(sorted(admins)),
            crowded=await self._is_crowded(tx, member.standing),
        )

    async def _is_crowded(self, tx: Tx, standing: Standing) -> bool:
        if self.settings.access != INVITE_MODE or standing is not Standing.UNKNOWN:
            return False
        return await access_store.asking(tx) >= MOST_ASKING

    async def write(self, tx: Tx, order: DoorOrder, facts: Facts) -> None:
        """Its part in the update's transaction."""
        by, now = facts.person, facts.now
        match order:
            case MakeAdmin() | Appoint() | Dismiss():
                await self._write_role(tx, order, facts)
            case UseInvite(code):
                if await invite_store.use(tx, code, by, now=now):
                    await access_store.set_standing(tx, by, Standing.ALLOWED, by=by, now=now)
            case Decide(person, standing):
                await access_store.set_standing(tx, person, standing, by=by, now=now)
            case SetLimits(person, at_once, a_day):
                await access_store.set_limits(tx, person, at_once, a_day, by=by, now=now)
            case MakeInvites(codes):
                await invite_store.add(tx, codes, by=by, now=now)

    async def _write_role(self, tx: Tx, order: MakeAdmin | Appoint | Dismiss, facts: Facts) -> None:
        by, now = facts.person, facts.now
        match order:
            case MakeAdmin():
                await access_store.make_admin(tx, by, by=by, now=now)
            case Appoint(person):
                await access_store.make_admin(tx, person, by=by, now=now)
            case Dismiss(person):
                others = bool(self.settings.admin_ids - {person})
                await access_store.dismiss_admin(tx, person, others=others, by=by, now=now)

    def claimed(self) -> None:
        """Used, and good for nothing more."""
        self.claim = new_code(CLAIM)
        log.info("the first admin has claimed this bot")
