"""A chat that could not be written to can be again: what it missed comes now. Pure."""

from bot import commands
from bot.draft import Conversation
from bot.events import Event, SendResult, Show
from bot.facts import Facts
from bot.moves import Step
from storage.job import JobState

MOST_AT_ONCE = 3


def retry(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    """Finished files that never arrived, and how things stand."""
    missed = [
        job
        for job in facts.jobs
        if job.state is JobState.DONE and job.artifact is not None and not job.result_ref
    ]
    files = tuple(SendResult(job.id) for job in missed[:MOST_AT_ONCE])
    if files and not facts.live_jobs:
        return conversation, files
    return conversation, (*files, Show(commands.status(conversation, facts)))
