"""What a person has under way and had of late, beside what they may have."""

from storage import access_store, job_lists
from storage.access import Quota
from storage.database import Tx
from storage.job import LIVE, JobState

DAY_S = 24 * 3600.0


async def of_person(tx: Tx, person: str, usual: tuple[int, int], *, now: float) -> Quota:
    """``usual`` is everybody's limit at once and in a day; 0 is none. A job whose file is on its
    way holds nobody up any more.
    """
    member = await access_store.get(tx, person)
    at_once = usual[0] if member.at_once is None else member.at_once
    a_day = usual[1] if member.a_day is None else member.a_day
    mine = await job_lists.of_person(tx, person, limit=1000)
    live = [job for job in mine if job.state in LIVE and job.state is not JobState.DELIVERING]
    counted = await job_lists.counted(tx, person, since=now - DAY_S)
    over = len(counted) - a_day
    free_s = counted[over] + DAY_S - now if a_day and 0 <= over < len(counted) else 0.0
    return Quota(
        at_once=at_once,
        a_day=a_day,
        live=len(live),
        today=len(counted),
        today_free_s=max(0.0, free_s),
    )
