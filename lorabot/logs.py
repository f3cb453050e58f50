"""One log format for every process. Never names, captions, tokens or picture contents."""

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
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


def configure(level: str, *, file: Path | None = None) -> None:
    """Log to the terminal, or to ``file`` where the terminal is a chat or a progress bar."""
    handler: logging.Handler
    if file is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handler = RotatingFileHandler(file, maxBytes=5_000_000, backupCount=2, encoding="utf-8")
    logging.basicConfig(level=level.upper(), format=FORMAT, handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
