"""A set that waits for an admin's eye: the question with its sheet, and the answer. Pure."""

from bot import screens
from bot.draft import Conversation
from bot.events import Choice, Event, Show
from bot.facts import Facts
from bot.moves import Step
from bot.orders import DecideJob, Note
from bot.screen import Button, Line, Picture, Screen, Slot, Tile
from storage.job import Job, JobState
from storage.job import Photo as JobPhoto


def question(
    job_id: str,
    code: str,
    who: str,
    photos: tuple[JobPhoto, ...],
    doubts: tuple[Line, ...] = (),
) -> Screen:
    """What each admin gets. The sheet shows photos by their numbers, no names of files."""
    tiles = tuple(Tile(one.number, one.sha256) for one in photos)
    row = (
        Button(label="button.approve", verb="approve", draft=job_id),
        Button(label="button.refuse", verb="refuse", draft=job_id, danger=True),
    )
    return Screen(
        slot=Slot.TOAST,
        lines=(Line(key="review.ask", args={"code": code, "who": who}, n=len(photos)), *doubts),
        buttons=(row,),
        picture=Picture(draft=job_id, tiles=tiles, sheet=True),
        notify=True,
    )


def of_job(job: Job, who: str) -> Screen:
    return question(job.id, job.code, who, job.photos)


def approve(conversation: Conversation, event: Event, facts: Facts) -> Step:
    return _decide(conversation, event, facts, approved=True)


def refuse(conversation: Conversation, event: Event, facts: Facts) -> Step:
    return _decide(conversation, event, facts, approved=False)


def _decide(conversation: Conversation, event: Event, facts: Facts, *, approved: bool) -> Step:
    job = facts.pressed
    if not isinstance(event, Choice) or job is None or job.state is not JobState.HELD:
        return conversation, (Show(screens.toast(Line(key="review.late"))),)
    key = "review.approved" if approved else "review.refused"
    done = Show(screens.toast(Line(key=key, args={"code": job.code})))
    what = "approve" if approved else "refuse"
    return conversation, (DecideJob(job.id, approved), Note(what, job.person), done)
