"""People and the service in numbers, for admins. Nothing here writes."""

import json
import statistics
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from storage import people_store
from storage.access import Member, Standing
from storage.database import Tx
from storage.job import LIVE, RUNNING, JobState
from storage.job_store import values
from storage.roster import Profile, Roster, Tally
from storage.schema import jobs, looks, members, people

DAY_S = 24 * 3600.0
ACTIVE_S = 30 * DAY_S


def _everybody() -> sa.Subquery:
    """Whoever wrote to the bot, and whoever an admin decided about before they did."""
    ids = sa.union(sa.select(people.c.id), sa.select(members.c.person)).subquery()
    joined = ids.outerjoin(people, people.c.id == ids.c.id)
    joined = joined.outerjoin(members, members.c.person == ids.c.id)
    return (
        sa.select(
            ids.c.id,
            sa.func.coalesce(people.c.name, "").label("name"),
            sa.func.coalesce(people.c.seen_at, 0.0).label("seen_at"),
            sa.func.coalesce(members.c.standing, "").label("standing"),
            sa.func.coalesce(members.c.is_admin, sa.false()).label("is_admin"),
            members.c.at_once,
            members.c.a_day,
            sa.func.coalesce(members.c.changed_by, "").label("changed_by"),
        )
        .select_from(joined)
        .subquery()
    )


async def page(tx: Tx, number: int, size: int) -> Roster:
    """Who asks to be let in comes first, then whoever was here last."""
    all_ = _everybody()
    counted = await tx.execute(sa.select(sa.func.count()).select_from(all_))
    count = int(counted.scalar_one())
    number = max(0, min(number, (count - 1) // size))
    asks = sa.case((all_.c.standing == Standing.ASKED.value, 0), else_=1)
    wanted = sa.select(all_).order_by(asks, all_.c.seen_at.desc(), all_.c.id)
    rows = await tx.execute(wanted.limit(size).offset(number * size))
    return Roster(people=await _profiles(tx, rows.all()), number=number, count=count)


async def profile(tx: Tx, person: str) -> Profile:
    """Also of somebody who was never here."""
    all_ = _everybody()
    rows = (await tx.execute(sa.select(all_).where(all_.c.id == person))).all()
    found = await _profiles(tx, rows)
    return found[0] if found else Profile(member=Member(person=person))


async def _profiles(tx: Tx, rows: Sequence[sa.Row[Any]]) -> tuple[Profile, ...]:
    ids = [row.id for row in rows]
    counted, live, sizes = await _work(tx, ids)
    deciders = await people_store.get(tx, {row.changed_by for row in rows} - {""})
    return tuple(
        Profile(
            member=Member(
                person=row.id,
                standing=Standing(row.standing),
                is_admin=bool(row.is_admin),
                at_once=row.at_once,
                a_day=row.a_day,
                changed_by=row.changed_by,
            ),
            name=row.name,
            seen_at=row.seen_at,
            jobs=counted.get(row.id, 0),
            live=live.get(row.id, 0),
            file_bytes=sizes.get(row.id, 0),
            decided_by=deciders[row.changed_by].name if row.changed_by in deciders else "",
        )
        for row in rows
    )


async def _work(
    tx: Tx, ids: Sequence[str]
) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """By person: jobs, those under way, and bytes of what is kept for them."""
    wanted = sa.select(jobs.c.person, jobs.c.state, jobs.c.photos, jobs.c.artifact)
    found = (await tx.execute(wanted.where(jobs.c.person.in_(ids)))).all()
    counted: dict[str, int] = dict.fromkeys(ids, 0)
    live: dict[str, int] = dict.fromkeys(ids, 0)
    sizes: dict[str, int] = dict.fromkeys(ids, 0)
    photos: dict[str, dict[str, int]] = {one: {} for one in ids}
    for row in found:
        counted[row.person] += 1
        live[row.person] += row.state in values(LIVE)
        sizes[row.person] += json.loads(row.artifact)["file_bytes"] if row.artifact else 0
        photos[row.person] |= {one["sha256"]: one["file_bytes"] for one in json.loads(row.photos)}
    kept = await _kept(tx, {sha256 for some in photos.values() for sha256 in some})
    for person, some in photos.items():
        sizes[person] += sum(size for sha256, size in some.items() if sha256 in kept)
    return counted, live, sizes


async def _kept(tx: Tx, wanted: Iterable[str]) -> frozenset[str]:
    """Photos that are still here: what was seen on one is forgotten together with it."""
    found = await tx.execute(sa.select(looks.c.sha256).where(looks.c.sha256.in_(list(wanted))))
    return frozenset(row.sha256 for row in found)


async def tally(tx: Tx, *, now: float, days: int = 30) -> Tally:
    wanted = sa.select(jobs.c.state, jobs.c.created_at, jobs.c.started_at, jobs.c.finished_at)
    recent = (await tx.execute(wanted.where(jobs.c.created_at > now - days * DAY_S))).all()
    states = [row.state for row in recent]
    waits = [row.started_at - row.created_at for row in recent if row.started_at is not None]
    took = [
        row.finished_at - row.started_at
        for row in recent
        if row.state == JobState.DONE.value and row.started_at and row.finished_at
    ]
    known = (await tx.execute(sa.select(people.c.seen_at))).all()
    return Tally(
        days=days,
        done=states.count(JobState.DONE.value),
        failed=states.count(JobState.FAILED.value),
        cancelled=states.count(JobState.CANCELLED.value),
        waiting=states.count(JobState.QUEUED.value),
        running=sum(states.count(one) for one in values(RUNNING)),
        wait_s=statistics.median(waits) if waits else None,
        train_s=statistics.median(took) if took else None,
        people=len(known),
        active=sum(row.seen_at > now - 7 * DAY_S for row in known),
    )


async def active(tx: Tx, *, now: float, members_only: bool) -> list[str]:
    """Who was here lately and may still come; ``members_only``: it takes more than to come by."""
    all_ = _everybody()
    wanted = sa.select(all_.c.id).where(
        all_.c.seen_at > now - ACTIVE_S, all_.c.standing != Standing.BANNED.value
    )
    if members_only:
        let_in = sa.or_(all_.c.standing == Standing.ALLOWED.value, all_.c.is_admin.is_(True))
        wanted = wanted.where(let_in)
    return [row.id for row in await tx.execute(wanted.order_by(all_.c.id))]
