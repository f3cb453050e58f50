"""Ask a store elsewhere: again after a pause where that may help, and in plain words where not."""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)

from storage.blobs import StoreError

FIRST_PAUSE_S = 0.2
LAST_PAUSE_S = 5.0
STATUS = re.compile(r"status code: (\d{3})")
BUSY = frozenset({408, 409, 425, 429})  # of the client's errors those that pass
NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "bucket does not exist")

Answer = TypeVar("Answer")


async def patiently(
    ask: Callable[[], Awaitable[Answer]], *, each_s: float, patience_s: float
) -> Answer:
    """``each_s`` is for one try, ``patience_s`` for all of them. Raises StoreError, or as they are
    FileNotFoundError and AlreadyExistsError.
    """
    began, pause = time.monotonic(), FIRST_PAUSE_S
    while True:
        try:
            async with asyncio.timeout(each_s):
                return await ask()
        except AlreadyExistsError:
            raise
        except (BaseError, OSError) as error:
            fault = explain(error)
        # Outside of the handler: what the library says may hold parts of signatures, and must not
        # stand in a traceback.
        if isinstance(fault, FileNotFoundError) or fault.permanent:
            raise fault
        wait = random.uniform(pause / 2, pause)
        if time.monotonic() + wait - began > patience_s:
            raise fault
        await asyncio.sleep(wait)
        pause = min(2 * pause, LAST_PAUSE_S)


def explain(error: Exception) -> StoreError | FileNotFoundError:
    """What an operator can do with it."""
    said = str(error)
    if any(words in said for words in NO_BUCKET):
        return StoreError("the bucket is not there", permanent=True)
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError("no such file in the store")
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return StoreError("the store refuses our key", permanent=True)
    if isinstance(error, TimeoutError):
        return StoreError("the store is too slow")
    found = STATUS.search(said)
    status = int(found[1]) if found else 0
    if status:
        permanent = 300 <= status < 500 and status not in BUSY
        return StoreError(f"the store answers {status}", permanent=permanent)
    return StoreError("the store does not answer")
