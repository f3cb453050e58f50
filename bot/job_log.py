"""A job's log as an admin may read it: no names, no captions, no paths. Pure."""

from collections.abc import Sequence

from bot.clock import span
from storage.job import Job
from storage.log_lines import clean, private_words, scrub


def job_log(job: Job, tail: str, *, names: Sequence[str], now: float) -> str:
    """What is known of the job, and the last lines of what the trainer said.

    ``names`` are further words that must not leave: the person's name.
    """
    private = (*private_words(job), *names)
    kept = clean(tail, job, names) or ["(the trainer said nothing)"]
    return "\n".join([*_head(job, private, now), *kept])


def _head(job: Job, private: Sequence[str], now: float) -> list[str]:
    lines = [
        f"{job.code} {job.id}",
        f"state {job.state}, attempt {job.attempts}, fence {job.fence}, version {job.version}",
        f"base {job.params.base_model}, {len(job.photos)} photos, {job.params.max_steps} steps",
        f"ordered {span(now - job.created_at)} ago",
    ]
    if job.started_at is not None:
        took = (job.finished_at or now) - job.started_at
        lines.append(f"waited {span(job.started_at - job.created_at)}, took {span(took)}")
    if job.progress is not None:
        at = job.progress
        lines.append(f"phase {at.phase}, step {at.step} of {at.total}")
    if job.failure is not None:
        detail = scrub(" ".join(job.failure.detail.split()), job.id, private)
        lines.append(f"failed: {job.failure.code} {detail}".rstrip())
    return [*lines, "---"]
