"""The bot outlives its database: a part that finds it away goes on when it is back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

log = logging.getLogger(__name__)

AGAIN_S = 1.0

Result = TypeVar("Result")


async def lasting(work: Callable[[], Awaitable[Result]]) -> Result:
    """``work`` again and again while the database does not answer. What it does has to follow from
    rows, as after a new start: then nothing is lost by beginning anew.
    """
    while True:
        try:
            return await work()
        except DBAPIError as error:
            log.warning("the database does not answer (%s)", type(error.orig).__name__)
        await asyncio.sleep(AGAIN_S)
