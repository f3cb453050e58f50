"""What is answered where others read along: no names, no drafts, nothing to press. Pure."""

from collections.abc import Callable, Mapping

from bot import commands, job_screens, screens
from bot.facts import Facts
from bot.pausing import paused
from bot.screen import Button, Line, Screen
from storage.job import Args, Job, JobState

REST = Button(label="button.private", private="status")  # all that only its owner may read


def status(facts: Facts) -> Screen:
    """The person's own trainings: how far, how long still, and which place."""
    jobs = facts.live_jobs[: commands.MAX_LISTED]
    if not jobs:
        return screens.toast(Line(key="aloud.nothing"), buttons=((REST,),))
    lines = [Line(key="aloud.title", n=len(jobs)), *(_job(facts, job) for job in jobs)]
    if any(job.state is JobState.QUEUED for job in jobs):
        lines += _held_up(facts)
    return screens.toast(*lines, buttons=((REST,),))


def _job(facts: Facts, job: Job) -> Line:
    match job.state:
        case JobState.QUEUED:
            return _queued(facts, job)
        case JobState.PREPARING:
            return Line(key="aloud.preparing")
        case JobState.TRAINING:
            return _training(job)
        case JobState.COPYING | JobState.DELIVERING:
            return Line(key="aloud.copying")
    return Line(key="aloud.waiting")


def _queued(facts: Facts, job: Job) -> Line:
    board = facts.board
    args: Args = {"place": max(1, board.place(job.id))}
    starts_in_s = board.starts_in.get(job.id, 0.0)
    if _held_up(facts) or starts_in_s < 1 or not board.can_train(job.params.base_model):
        return Line(key="aloud.queued", args=args)
    return Line(key="aloud.queued_in", args={**args, "minutes": screens.minutes(starts_in_s)})


def _held_up(facts: Facts) -> tuple[Line, ...]:
    """Why nobody can say when what waits begins."""
    if facts.board.pause:
        return (paused(facts.board.pause),)
    return () if facts.board.online else (Line(key="queue.nobody"),)


def _training(job: Job) -> Line:
    left = job_screens.left(job)
    if not job_screens.share(job):
        return Line(key="aloud.loading")
    args: Args = {"percent": job_screens.done(job)}
    if left is None:
        return Line(key="aloud.training", args=args)
    return Line(key="aloud.training_left", args={**args, "minutes": screens.minutes(left)})


# By command; every other one is answered in private alone.
ANSWERS: Mapping[str, Callable[[Facts], Screen]] = {"queue": commands.queue, "status": status}
