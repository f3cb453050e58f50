"""A job's log as an admin may read it: no names, no captions, no paths. Pure."""

import re
from collections.abc import Sequence

from bot.clock import span
from storage.job import Job

LINES = 40
MOST_READ = 1000  # characters of one line
MOST_LETTERS = 300  # of it that are shown
QUOTE = re.compile(r"['\"`\[]")
PATH = re.compile(r"(?:file://)?(?:~|\.{1,2})?(?:/[^\s'\":,;()<>|\[\]{}]+)+")
WINDOWS = re.compile(r"\b[A-Za-z]:\\[^\s'\":,;]+")
ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+")
MAIL = re.compile(r"\S+@\S+\.\S+")
QUOTED = re.compile(r"(['\"`])(?P<words>(?:(?!\1).)*)\1")
LISTED = re.compile(r"\[[^\]]*['\"][^\]]*\]")
LONG = re.compile(r"\b[\w-]{24,}\b")
PROGRESS = re.compile(r"^\s*\d+%\|")
HIDDEN = "…"


def job_log(job: Job, tail: str, *, names: Sequence[str], now: float) -> str:
    """What is known of the job, and the last lines of what the trainer said.

    ``names`` are further words that must not leave: the person's name.
    """
    private = (*_private(job), *names)
    said = [line for line in re.split(r"[\r\n]+", tail) if line.strip()]
    kept = [scrub(line, job.id, private) for line in said if not PROGRESS.match(line)]
    return "\n".join(
        [*_head(job, private, now), *(kept[-LINES:] or ["(the trainer said nothing)"])]
    )


def scrub(line: str, job_id: str, private: Sequence[str]) -> str:
    """Whatever could be a path, an address, a caption or a name is left out."""
    if len(line) > MOST_READ:
        # Cut somewhere, a quotation could lose its end; and a search must stay quick.
        line = QUOTE.split(line[:MOST_READ], maxsplit=1)[0]
    line = ADDRESS.sub(HIDDEN, line)
    line = PATH.sub(_end_of_path, line)
    line = WINDOWS.sub(HIDDEN, line)
    line = MAIL.sub(HIDDEN, line)
    line = LISTED.sub(f"[{HIDDEN}]", line)
    line = QUOTED.sub(_quoted, line)
    for word in sorted((one for one in private if len(one) > 1), key=len, reverse=True):
        line = re.sub(rf"(?i)(?<![a-z]){re.escape(word)}(?![a-z])", HIDDEN, line)
    line = LONG.sub(lambda found: found[0] if found[0] == job_id else HIDDEN, line)
    return line[:MOST_LETTERS]


def _end_of_path(found: re.Match[str]) -> str:
    """A source file keeps its own name: it says where, and nothing about anybody."""
    name = found[0].rstrip("/").rpartition("/")[2]
    return f"{HIDDEN}/{name}" if name.endswith(".py") else HIDDEN


def _quoted(found: re.Match[str]) -> str:
    """Several words in quotes may be a caption; one word is a key, an option or a type."""
    words = found["words"]
    return f"{found[1]}{HIDDEN}{found[1]}" if len(words.split()) > 1 else found[0]


def _private(job: Job) -> tuple[str, ...]:
    captions = tuple(photo.caption for photo in job.photos if photo.caption)
    return (job.name, job.params.trigger, job.person, job.chat, *captions)


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
