"""Reads for the door and for admins what an event is about: rows become values."""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from bot import admin, admin_audit, admin_people
from bot.doorkeeper import Doorkeeper, new_code
from bot.events import Choice, Command, Event, key_of
from bot.facts import Facts
from bot.frontend import Frontend
from bot.office import OPEN, Ledger, Office
from storage import (
    announcement_store,
    audit_store,
    job_lists,
    people_store,
    quota_store,
    roster_store,
    worker_store,
)
from storage.access import INVITE, PERSON
from storage.database import Tx
from storage.job import LIVE, RUNNING, JobState
from storage.roster import Profile, Roster

# What names one person, and what is about announcements: commands and buttons.
NAMES_ONE = frozenset(
    {
        *("/allow", "/ban", "/unban", "/limit", "who", "allow", "deny", "block", "ban", "unban"),
        *("/admin", "appoint", "/unadmin"),
    }
)
LETTERS = frozenset({"/announce", "letter"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Clerk:
    """``frontends`` by platform; by ``secret`` the day's count of forgotten people is found."""

    doorkeeper: Doorkeeper
    frontends: Mapping[str, Frontend]
    secret: str = field(default="", repr=False)

    async def look(self, tx: Tx, event: Event, facts: Facts) -> Facts:
        """The facts with what this event needs of door, quota and office."""
        door = await self.doorkeeper.door(tx, facts.person, event, facts.now)
        facts = replace(facts, door=door, is_admin=door.is_admin)
        key = key_of(event)
        if key == "start" and not facts.is_admin:
            digest = quota_store.digest_of(self.secret, facts.person)
            quota = await quota_store.of_person(
                tx, facts.person, self._usual, now=facts.now, digest=digest
            )
            facts = replace(
                facts, quota=replace(quota, live_free_s=_live_free_s(facts, quota.at_once))
            )
        if facts.is_admin and key in admin.HANDLERS:
            facts = replace(facts, office=await self._office(tx, key, event, facts))
        return facts

    @property
    def _usual(self) -> tuple[int, int]:
        settings = self.doorkeeper.settings
        return settings.max_jobs_per_user, settings.max_jobs_per_day

    async def _office(self, tx: Tx, key: str, event: Event, facts: Facts) -> Office:
        now = facts.now
        platform = facts.person.partition(":")[0]
        said = event.argument if isinstance(event, Command | Choice) else ""
        if key in NAMES_ONE:
            return await self._whom(tx, said, platform)
        if key in LETTERS:
            return await self._mailbox(tx, event, now)
        match key:
            case "/users" | "users":
                return Office(roster=await self._roster(tx, key, said))
            case "/audit" | "audit":
                return Office(ledger=await _ledger(tx, _page_of(key, said)))
            case "/invite":
                link = self.frontends[platform].limits.start_link
                many = range(admin_people.MOST_INVITES)
                codes = tuple(new_code(INVITE) for _ in many)
                return Office(codes=codes, start_link=link)
        return await self._service(tx, key, said, now)

    async def _service(self, tx: Tx, key: str, said: str, now: float) -> Office:
        match key:
            case "/log":
                return Office(found=await job_lists.by_code(tx, said))
            case "/stats":
                disk = await asyncio.to_thread(shutil.disk_usage, self.doorkeeper.settings.data_dir)
                tally = await roster_store.tally(tx, now=now)
                return Office(tally=tally, disk_free=disk.free, disk_all=disk.total)
            case "/gpu":
                return Office(computers=tuple(await worker_store.computers(tx, now=now)))
        return Office()

    async def _roster(self, tx: Tx, key: str, said: str) -> Roster:
        page = await roster_store.page(tx, _page_of(key, said), admin_people.PEOPLE_ON_A_PAGE)
        return replace(page, people=tuple(map(self._with_role, page.people)))

    def _with_role(self, one: Profile) -> Profile:
        """Those of the settings have no row that says so."""
        named = one.id in self.doorkeeper.settings.admin_ids
        return replace(one, member=replace(one.member, is_admin=True)) if named else one

    async def _whom(self, tx: Tx, said: str, platform: str) -> Office:
        person = said if PERSON.fullmatch(said) else admin_people.named(said, platform)
        if not person:
            return Office()
        whose = [job for job in await job_lists.of_person(tx, person) if job.state in LIVE]
        profile = await roster_store.profile(tx, person)
        fixed = person in self.doorkeeper.settings.admin_ids
        return Office(whom=self._with_role(profile), whose=tuple(whose), fixed=fixed)

    async def readers(self, tx: Tx, now: float) -> list[str]:
        """Who gets an announcement: people of late who may still come."""
        private = self.doorkeeper.settings.access != OPEN
        return await roster_store.active(tx, now=now, members_only=private)

    async def _mailbox(self, tx: Tx, event: Event, now: float) -> Office:
        readers = await self.readers(tx, now)
        draft = event.draft if isinstance(event, Choice) else ""
        found = await announcement_store.get(tx, draft) if draft else None
        return Office(
            letter=found.text if found is not None and found.sent_at is None else "",
            readers=len(readers),
            announced_at=await announcement_store.last_sent(tx),
        )


def _page_of(key: str, said: str) -> int:
    """From 0, as buttons count; in commands people count from 1."""
    number = int(said) if said.isdecimal() and len(said) < 6 else 0
    return number - (key.startswith("/") and number > 0)


async def _ledger(tx: Tx, number: int) -> Ledger:
    acts, number, count = await audit_store.page(tx, number, admin_audit.ACTS_ON_A_PAGE)
    people = {one for act in acts for one in (act.who, act.whom)} - {""}
    known = await people_store.get(tx, people)
    names = {one.id: one.name for one in known.values()}
    return Ledger(acts=tuple(acts), names=names, number=number, count=count)


def _live_free_s(facts: Facts, at_once: int) -> float:
    """Seconds until so many of this person's jobs have ended that another may come."""
    ends = sorted(
        facts.board.starts_in.get(job.id, 0.0) + facts.seconds.get(job.params.base_model, 0.0)
        for job in facts.jobs
        if job.state in RUNNING or job.state is JobState.QUEUED
    )
    over = len(ends) - at_once
    return ends[over] if at_once and 0 <= over < len(ends) else 0.0
