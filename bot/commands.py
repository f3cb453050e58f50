"""The answers to /start /help /status /queue /models /cancel: who sees what. Pure."""

from bot import admin_queue, job_screens, screens
from bot.draft import Conversation, State
from bot.facts import Facts
from bot.pausing import paused
from bot.photo_screens import where_photos_go
from bot.screen import Button, Line, Screen
from storage.job import LIVE, RUNNING, Job, JobState
from storage.line import Entry

MAX_LISTED = 10


def start(facts: Facts) -> Screen:
    done = sum(job.state is JobState.DONE and job.artifact is not None for job in facts.jobs)
    if not facts.jobs:
        hello = Line(key="start.hello", args={"name": facts.first_name})
        what, where = Line(key="start.what"), where_photos_go(facts)
        return screens.toast(hello, what, where, buttons=((screens.TRAIN, screens.HELP),))
    lines = (Line(key="start.again", n=done),)
    return screens.toast(*lines, buttons=((screens.TRAIN, screens.MODELS),))


def help_screen(facts: Facts) -> Screen:
    admin = (Line(key="help.admin"),) if facts.is_admin else ()
    lines = (Line(key="help.text"), *admin, Line(key="help.photos"))
    return screens.toast(*lines, buttons=((screens.TRAIN, screens.MODELS),))


def status(conversation: Conversation, facts: Facts) -> Screen:
    """What this person has under way: the draft, and jobs with their places."""
    lines: list[Line] = []
    if conversation.state is not State.IDLE:
        name = conversation.name or "–"
        lines.append(Line(key="status.draft", args={"name": name}, n=len(conversation.photos)))
    buttons = []
    for job in facts.live_jobs[:MAX_LISTED]:
        lines += job_screens.status(
            job,
            place=_place(facts, job),
            starts_in_s=facts.board.starts_in.get(job.id, 0.0),
            online=facts.board.online,
            pause=facts.board.pause,
            able=facts.board.can_train(job.params.base_model),
        ).lines
        buttons.append((_stop_button(job),))
    if not lines:
        return screens.toast(Line(key="status.nothing"), buttons=((screens.TRAIN,),))
    return screens.toast(*lines, buttons=tuple(buttons))


def _place(facts: Facts, job: Job) -> int:
    return facts.board.place(job.id)


def _stop_button(job: Job) -> Button:
    return Button(
        label="button.stop_named",
        args={"name": job.name},
        verb="stop",
        draft=job.id,
        danger=True,
    )


def queue(facts: Facts) -> Screen:
    """Everybody's places without names; an admin sees names, and each job's details, though not
    where others read along.
    """
    line = facts.board.line
    if not line:
        return screens.toast(Line(key="queue.empty"), *_workers(facts))
    lines = [Line(key="queue.title", n=len(line) + facts.board.further), *_workers(facts)]
    buttons = []
    for number, job in enumerate(line[:MAX_LISTED], start=1):
        lines.append(_queue_line(facts, number, job))
        if facts.is_admin and not facts.in_group:
            buttons.append((admin_queue.details_button(job),))
    if (more := len(line) + facts.board.further - MAX_LISTED) > 0:
        lines.append(Line(key="queue.more", n=more))
    return screens.toast(*lines, buttons=tuple(buttons))


def _queue_line(facts: Facts, number: int, job: Entry) -> Line:
    args: dict[str, str | int | float] = {
        "number": number,
        "minutes": screens.minutes(facts.board.starts_in.get(job.id, 0.0)),
        "name": job.name,
        "code": job.code,
        "who": facts.board.names.get(job.person, job.person),
    }
    when = "running" if job.state in RUNNING else "waiting"
    mine = job.person == facts.person
    whose = "admin" if facts.is_admin else ("mine" if mine else "other")
    whose = "other" if facts.in_group else whose
    return Line(key=f"queue.{whose}.{when}", args=args)


def _workers(facts: Facts) -> tuple[Line, ...]:
    pause = (paused(facts.board.pause),) if facts.board.pause else ()
    if not facts.board.online:
        return (*pause, Line(key="queue.nobody"))
    return (*pause, Line(key="queue.online", n=facts.board.online))


def cancel(facts: Facts) -> Screen:
    """/cancel without a draft: the jobs that could be stopped."""
    live = [job for job in facts.jobs if job.state in LIVE and job.state is not JobState.DELIVERING]
    if not live:
        return screens.toast(Line(key="cancel.nothing"), buttons=((screens.TRAIN,),))
    if len(live) == 1:
        return job_screens.ask_stop(live[0])
    return screens.toast(
        Line(key="cancel.which"), buttons=tuple((_stop_button(job),) for job in live[:MAX_LISTED])
    )
