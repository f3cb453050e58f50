"""The last lines of a log that may leave their machine: no names, no captions, no paths. Pure.

A worker cleans what its trainer said before it is stored; the chat side, which knows people's
names, cleans it once more.
"""

import re
from collections.abc import Sequence

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


def clean(tail: str, job: Job, names: Sequence[str] = ()) -> list[str]:
    """``names`` are further words that must not leave: the person's name."""
    private = (*private_words(job), *names)
    said = [line for line in re.split(r"[\r\n]+", tail) if line.strip()]
    return [scrub(line, job.id, private) for line in said if not PROGRESS.match(line)][-LINES:]


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


def private_words(job: Job) -> tuple[str, ...]:
    captions = tuple(photo.caption for photo in job.photos if photo.caption)
    return (job.name, job.params.trigger, job.person, job.chat, *captions)
