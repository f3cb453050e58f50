"""Which job the lines of the log are about: it follows the tasks that work on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_job: ContextVar[str] = ContextVar("job", default="")


def current_job() -> str:
    """The id of the job that this task works on; empty where it works on none."""
    return _job.get()


@contextmanager
def about(job_id: str) -> Iterator[None]:
    """Every line that is logged in here, also by tasks that begin in here, carries the job's id."""
    before = _job.set(job_id)
    try:
        yield
    finally:
        _job.reset(before)
