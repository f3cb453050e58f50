"""Handlers of the buttons under a running job: samples now, its chart, and the ways to stop. Pure.

Only who ordered it, or an admin, may press them.
"""

from bot import job_screens, sample_screens, screens
from bot.draft import Conversation
from bot.events import Action, AskFinish, AskSamples, CancelJob, Event, Show
from bot.facts import Facts
from bot.moves import Step
from bot.orders import Note
from bot.screen import Line
from storage.job import FINAL, Job, JobState

TOO_LATE = FINAL | {JobState.DELIVERING}


def ask_stop(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    job = _theirs(facts)
    if job is None:
        return _old(conversation)
    if job.state in TOO_LATE:
        return _say(conversation, "stop.late", job)
    return conversation, (Show(job_screens.ask_stop(job)),)


def stop(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    """And throw away what was trained."""
    job = _theirs(facts)
    if job is None:
        return _old(conversation)
    if job.state in TOO_LATE:
        return _say(conversation, "stop.late", job)
    return _say(conversation, "stop.done", job, CancelJob(job.id), *_noted("cancel", job, facts))


def stop_and_keep(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    job = _theirs(facts)
    if job is None:
        return _old(conversation)
    if job.state in TOO_LATE or job.state is JobState.COPYING:
        return _say(conversation, "stop.late", job)
    if job.state is not JobState.TRAINING:
        return _say(conversation, "stop.not_now", job)
    return _say(conversation, "stop.keeping", job, AskFinish(job.id), *_noted("end", job, facts))


def go_on(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    return conversation, (Show(screens.toast(Line(key="stop.not"))),)


def samples_now(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    job = _theirs(facts)
    if job is None:
        return _old(conversation)
    if job.state is not JobState.TRAINING:
        return _say(conversation, "stop.not_now", job)
    return _say(conversation, "samples.coming", job, AskSamples(job.id))


def show_chart(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    job = _theirs(facts)
    if job is None:
        return _old(conversation)
    return conversation, (Show(sample_screens.chart(job)),)


def _noted(what: str, job: Job, facts: Facts) -> tuple[Action, ...]:
    """An admin who ends somebody else's job is written down."""
    return () if job.person == facts.person else (Note(what, job.id),)


def _theirs(facts: Facts) -> Job | None:
    """The job that the button belongs to, if this person may touch it."""
    job = facts.pressed
    return job if job is not None and facts.may_touch(job) else None


def _old(conversation: Conversation) -> Step:
    return conversation, (Show(screens.toast(Line(key="old.button"))),)


def _say(conversation: Conversation, key: str, job: Job, *first: Action) -> Step:
    return conversation, (*first, Show(screens.toast(Line(key=key, args={"name": job.name}))))
