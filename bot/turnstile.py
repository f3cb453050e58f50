"""How much one person may send at once, before anything is done about it: nobody slows others down.

What is too much is refused without a row or a fetch. The person hears of it once in each pause,
and after it how many photos did not get through; the rest is simply done again.
"""

import asyncio
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.frontend import Incoming, Receive
from bot.rates import MOST_KEYS, Rate, Rates
from bot.screen import Line, Screen
from bot.screens import toast

log = logging.getLogger(__name__)

PAUSE_S = 10.0  # at least: who goes on without a pause would hear of it with each message
LOOK_S = 1.0
ARCHIVE = 20  # a ZIP counts as so many photos
MINUTE_S = 60.0

Tell = Callable[[Incoming, Screen], Awaitable[None]]


@dataclass(slots=True)
class Pause:
    """One person's; ``latest`` is what came last, ``photos`` how many did not get through."""

    until: float
    latest: Incoming
    photos: int = 0


class Turnstile:
    """Passes on to ``receive``. Messages and photos a minute are counted apart; 0 is no limit. At
    once there may come a quarter of a minute's messages, and the photos of two minutes.
    """

    def __init__(
        self,
        receive: Receive,
        tell: Tell,
        *,
        messages: float,
        photos: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._receive = receive
        self._tell = tell
        self.clock = clock
        self._messages = _rates(messages, messages / 4)
        self._photos = _rates(photos, 2 * photos)
        self._pauses: OrderedDict[str, Pause] = OrderedDict()

    async def receive(self, incoming: Incoming) -> None:
        now, person = self.clock(), incoming.person.id
        pause = self._pauses.get(person)
        if pause is not None and now < pause.until:
            pause.photos += _photos(incoming)
            pause.latest = incoming
            return
        wait = self._wait_s(incoming, now)
        if not wait:
            await self._receive(incoming)
            return
        seconds = math.ceil(max(PAUSE_S, wait))
        # Before anything is waited for: the next of an album is here already.
        self._pauses[person] = Pause(now + seconds, incoming, _photos(incoming))
        if len(self._pauses) > MOST_KEYS:
            self._pauses.popitem(last=False)
        log.info("somebody on %s sends too much at once: a pause", incoming.platform)
        await self._tell_photos(pause)
        await self._tell(incoming, toast(Line(key="slow.down", n=seconds)))

    async def run(self) -> None:
        """Tell of the photos, after each pause."""
        while True:
            now = self.clock()
            for person in [one for one, pause in self._pauses.items() if pause.until <= now]:
                await self._tell_photos(self._pauses.pop(person, None))
            await asyncio.sleep(LOOK_S)

    async def _tell_photos(self, pause: Pause | None) -> None:
        if pause is not None and pause.photos:
            await self._tell(pause.latest, toast(Line(key="slow.photos", n=pause.photos)))

    def _wait_s(self, incoming: Incoming, now: float) -> float:
        cost = _cost(incoming)
        rates = self._photos if cost else self._messages
        return 0.0 if rates is None else rates.wait_s(incoming.person.id, now, cost or 1)


def _rates(a_minute: float, burst: float) -> Rates | None:
    return Rates(Rate(max(1.0, burst), a_minute / MINUTE_S)) if a_minute else None


def _photos(incoming: Incoming) -> int:
    return len(incoming.attachments)


def _cost(incoming: Incoming) -> int:
    """Of its photos; 0: it has none."""
    return sum(ARCHIVE if one.suffix == ".zip" else 1 for one in incoming.attachments)
