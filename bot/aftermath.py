"""What an update leaves to be done once its transaction is committed."""

from dataclasses import dataclass, field

from bot.events import (
    AskFinish,
    AskSamples,
    CancelJob,
    JobAction,
    LibraryAction,
    PrivacyAction,
)
from bot.facts import Facts
from bot.orders import Order
from bot.screen import Screen
from storage import job_store, job_wishes
from storage.database import Tx
from storage.job import JobState


@dataclass(slots=True, kw_only=True)
class After:
    """What is left to do once the transaction is committed. ``language`` is the person's, where it
    speaks to them alone and is known.
    """

    language: str | None = None
    screens: list[Screen] = field(default_factory=list)
    library: list[LibraryAction] = field(default_factory=list)
    privacy: list[PrivacyAction] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    ring: bool = False
    jobs_changed: bool = False
    panel_changed: bool = False


async def ask_of_job(tx: Tx, action: JobAction, facts: Facts, after: After) -> None:
    """A wish about one job, in the update's transaction."""
    match action:
        case CancelJob(job_id):
            state = await job_store.request_cancel(tx, job_id, now=facts.now)
            after.cancelled += [job_id] if state is JobState.CANCELLED else []
        case AskSamples(job_id):
            await job_wishes.ask_samples(tx, job_id)
        case AskFinish(job_id):
            await job_wishes.ask_finish(tx, job_id, now=facts.now)
    after.jobs_changed = True
