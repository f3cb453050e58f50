"""How late the event loop is: whoever presses a button waits at least so long."""

import asyncio
import time

from bot import counts

EVERY_S = 0.5


async def run() -> None:
    """Measure until cancelled."""
    while True:
        due = time.perf_counter() + EVERY_S
        await asyncio.sleep(EVERY_S)
        counts.LAG_S.observe(max(0.0, time.perf_counter() - due))
