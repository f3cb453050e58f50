"""What a person has under way and had of late, beside what they may have.

Whoever is forgotten and comes back has no jobs any more, but the same day's count: it is kept for
that day by a digest, which without the server's secret leads to nobody.
"""

import hashlib
import hmac

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage import access_store, job_lists
from storage.access import Quota
from storage.database import Tx
from storage.job import LIVE, JobState
from storage.schema import ordered

DAY_S = 24 * 3600.0


def digest_of(secret: str, person: str) -> str:
    return hmac.new(secret.encode(), f"ordered/{person}".encode(), hashlib.sha256).hexdigest()


async def of_person(
    tx: Tx, person: str, usual: tuple[int, int], *, now: float, digest: str = ""
) -> Quota:
    """``usual`` is everybody's limit at once and in a day; 0 is none. A job whose file is on its
    way holds nobody up any more. ``digest`` is this person's.
    """
    member = await access_store.get(tx, person)
    at_once = usual[0] if member.at_once is None else member.at_once
    a_day = usual[1] if member.a_day is None else member.a_day
    mine = await job_lists.of_person(tx, person, limit=1000)
    live = [job for job in mine if job.state in LIVE and job.state is not JobState.DELIVERING]
    counted = await job_lists.counted(tx, person, since=now - DAY_S)
    counted = sorted(counted + await _kept(tx, digest, since=now - DAY_S))
    over = len(counted) - a_day
    free_s = counted[over] + DAY_S - now if a_day and 0 <= over < len(counted) else 0.0
    return Quota(
        at_once=at_once,
        a_day=a_day,
        live=len(live),
        today=len(counted),
        today_free_s=max(0.0, free_s),
    )


async def _kept(tx: Tx, digest: str, *, since: float) -> list[float]:
    before = sa.select(ordered.c.at).where(ordered.c.digest == digest, ordered.c.at > since)
    return [float(row.at) for row in await tx.execute(before)]


async def keep(tx: Tx, person: str, digest: str, *, now: float) -> None:
    """The day's count of somebody whose jobs are about to be deleted."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    times = await job_lists.counted(tx, person, since=now - DAY_S)
    rows = [{"digest": digest, "at": at} for at in times]
    if rows:
        await tx.execute(dialect.insert(ordered).values(rows).on_conflict_do_nothing())


async def drop_old(tx: Tx, *, now: float) -> None:
    await tx.execute(ordered.delete().where(ordered.c.at <= now - DAY_S))
