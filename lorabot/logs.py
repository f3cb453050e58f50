"""One log format for every process. Never names, captions, tokens or picture contents."""

import json
import logging
import re
import sys
import time
from collections.abc import Collection
from logging.handlers import RotatingFileHandler
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from storage.log_context import current_job
from storage.settings import Settings

# Libraries that would put addresses (with tokens in them), the words of people, or every poll into
# the log.
QUIET = (
    "aiosqlite",
    "alembic",
    "arq",
    "httpcore",
    "httpx",
    "sqlalchemy",
    "sse_starlette",
    "telegram",
    "uvicorn.access",
)
# A line is a line: nothing in it begins another one, or speaks to the terminal.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
HIDDEN = "…"
SHORTEST = 6  # letters of a secret: less would hide half of every line


class Plain(logging.Formatter):
    """For people: one line, the job's id before the words where they do not name it."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        super().__init__()
        self._secrets = tuple(secrets)

    def format(self, record: logging.LogRecord) -> str:
        job, words = job_of(record), said(record)
        about = f"job {job}: " if job and job not in words else ""
        at = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(record.created))}"
        head = f"{at},{int(record.msecs):03d} {record.levelname:<7} {record.name}: "
        trace = trace_of(self, record)
        return hide(f"{head}{about}{words}{trace and chr(10)}{trace}", self._secrets)


class Json(logging.Formatter):
    """For programs: one object a line. Times are UTC."""

    def __init__(self, process: str, secrets: Collection[str] = ()) -> None:
        super().__init__()
        self._process = process
        self._secrets = tuple(secrets)

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "at": f"{at}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "job": job_of(record),
            "message": said(record),
            "trace": trace_of(self, record),
        }
        kept = {key: hide(value, self._secrets) for key, value in line.items() if value}
        return json.dumps(kept, ensure_ascii=False)


class AboutJob(logging.Filter):
    """Notes the job while the line is still with the task that wrote it."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.job = current_job()
        return True


def job_of(record: logging.LogRecord) -> str:
    return str(getattr(record, "job", ""))


def said(record: logging.LogRecord) -> str:
    return CONTROL.sub(" ", record.getMessage())


def trace_of(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """The traceback, if there is one."""
    if record.exc_info is None or record.exc_info[0] is None:
        return ""
    return formatter.formatException(record.exc_info)


def hide(text: str, secrets: Collection[str]) -> str:
    """The last net: a token that some library puts into an error does not reach the disk."""
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    return text


def form_of(settings: Settings, process: str) -> logging.Formatter:
    """As the operator wants it; ``process`` is "bot", "worker" and so on."""
    hidden = secrets_of(settings)
    return Json(process, hidden) if settings.log_format == "json" else Plain(hidden)


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Every value that must not be read anywhere; the longest first, as one may hold another."""
    values = (getattr(settings, name) for name in type(settings).model_fields)
    found = {one.get_secret_value() for one in values if isinstance(one, SecretStr)}
    found |= {urlsplit(one).password or "" for one in found if "://" in one}
    return tuple(sorted((one for one in found if len(one) >= SHORTEST), key=len, reverse=True))


def configure(
    level: str, *, file: Path | None = None, form: logging.Formatter | None = None
) -> None:
    """Log to the terminal, or to ``file`` where the terminal is a chat or a progress bar."""
    handler: logging.Handler
    if file is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handler = RotatingFileHandler(file, maxBytes=5_000_000, backupCount=2, encoding="utf-8")
    handler.setFormatter(form or Plain())
    handler.addFilter(AboutJob())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
