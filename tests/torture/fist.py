"""Strikes one blow, and starts the clock of whatever was hit."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.torture.base import Base
from tests.torture.blows import ON_POSTGRES, ON_SQLITE, Blow, Kind
from tests.torture.troop import Member
from tests.torture.wounds import Row, Wounds

LOOK_S = 0.05
YOUNG = 0.2  # of the blows also hit what is just starting
BUSY = 0.8  # of the blows at workers seek one that has a job
WHOLE = 0.5  # in so many freezes of a worker its children freeze, too, as a machine's would


class Watch(Protocol):
    """Knows who holds which job now."""

    wounds: Wounds
    rows: dict[str, Row]

    async def look(self) -> dict[str, Row]: ...
    def note(self, kind: Kind, gap_s: float) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """``trainer`` is a word of a trainer's command line; ``polls`` how often the bot has asked its
    network for news; ``redis_pid`` is 0 while there is none; ``is_up``: a worker has started up.
    """

    workers: list[Member]
    trainer: str
    redis_socket: Path
    redis_pid: Callable[[], int]
    is_up: Callable[[Member], bool] = lambda _: True
    bot: Member | None = None
    polls: Callable[[], int] = lambda: 0
    base: Base | None = None


class Fist:
    def __init__(self, targets: Targets, watch: Watch) -> None:
        self._targets = targets
        self._watch = watch
        self._redis_frozen = False
        self._bot_is_up = True

    async def strike(self, blow: Blow, lasting: asyncio.TaskGroup) -> bool:
        """False: nobody was there to be hit. What lasts goes on in a task."""
        if blow.kind in (Kind.REDIS_KILL, Kind.REDIS_FREEZE):
            return await self._hit_redis(blow, lasting)
        if blow.kind in ON_POSTGRES or blow.kind in ON_SQLITE:
            return await self._hit_base(blow, lasting)
        there = self._there(blow)
        if not there:
            return False
        victim = self._chosen(there, blow.dice)
        match blow.kind:
            case Kind.BOT_KILL:
                lasting.create_task(self._until_it_polls(self._targets.polls(), time.monotonic()))
                victim.send(signal.SIGKILL)
            case Kind.TRAINER_KILL:
                return await self._hit_trainer(victim)
            case Kind.WORKER_KILL | Kind.WORKER_STOP:
                await self._wound(blow.kind, victim)
                victim.send(signal.SIGKILL if blow.kind is Kind.WORKER_KILL else signal.SIGTERM)
            case _:
                lasting.create_task(self._freeze(blow, victim))
        return True

    def _there(self, blow: Blow) -> list[Member]:
        """Who can be hit. What is just starting is mostly spared: on a busy machine nothing would
        ever come up.
        """
        spared = blow.dice * 1000 % 1 > YOUNG
        bot = self._targets.bot
        if blow.kind in (Kind.BOT_KILL, Kind.BOT_FREEZE):
            bots = [bot] if bot is not None and (self._bot_is_up or not spared) else []
            return [one for one in bots if one.pid and not one.frozen]
        awake = [one for one in self._targets.workers if one.pid and not one.frozen]
        return [one for one in awake if self._targets.is_up(one)] if spared else awake

    def _chosen(self, there: list[Member], dice: float) -> Member:
        """Mostly one that has a job: there it hurts."""
        holders = {row.holder for row in self._watch.rows.values() if row.running}
        busy = [one for one in there if one.pid in holders]
        if busy and dice * 100 % 1 < BUSY:
            there = busy
        return there[int(dice * len(there))]

    async def _wound(self, kind: Kind, victim: Member) -> None:
        rows = await self._watch.look()
        self._watch.wounds.strike(kind, victim.pid, rows, time.monotonic())

    async def _freeze(self, blow: Blow, victim: Member) -> None:
        pid = victim.pid
        below = victim.below() if blow.dice * 1000 % 1 < WHOLE else []
        await self._wound(blow.kind, victim)
        victim.freeze()
        _to_all(below, signal.SIGSTOP)
        await asyncio.sleep(blow.lasts_s)
        rows = await self._watch.look()
        victim.thaw()
        _to_all(below, signal.SIGCONT)
        self._watch.wounds.thawed(pid, rows, time.monotonic())

    async def _hit_trainer(self, victim: Member) -> bool:
        for one in victim.below():
            with suppress(psutil.Error):
                line = one.cmdline()
                if self._targets.trainer in line and "storage.die_with_parent" not in line:
                    await self._wound(Kind.TRAINER_KILL, victim)
                    one.kill()
                    return True
        return False

    async def _hit_redis(self, blow: Blow, lasting: asyncio.TaskGroup) -> bool:
        pid = self._targets.redis_pid()
        if not pid or self._redis_frozen:
            return False
        if blow.kind is Kind.REDIS_KILL:
            os.kill(pid, signal.SIGKILL)
            lasting.create_task(self._until_it_answers(pid, time.monotonic()))
        else:
            lasting.create_task(self._freeze_redis(pid, blow.lasts_s))
        return True

    async def _hit_base(self, blow: Blow, lasting: asyncio.TaskGroup) -> bool:
        base = self._targets.base
        if base is None or base.struck:
            return False
        rows = await self._watch.look()

        def hurt() -> None:
            self._watch.wounds.strike_all(blow.kind, rows, time.monotonic(), time.time())

        lasting.create_task(base.strike(blow, hurt))
        return True

    async def _freeze_redis(self, pid: int, lasts_s: float) -> None:
        self._redis_frozen = True
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(lasts_s)
            os.kill(pid, signal.SIGCONT)
        self._redis_frozen = False

    async def _until_it_polls(self, polls: int, since: float) -> None:
        self._bot_is_up = False
        while self._targets.polls() <= polls:  # noqa: ASYNC110  the feed tells nobody
            await asyncio.sleep(LOOK_S)
        self._bot_is_up = True
        self._watch.note(Kind.BOT_KILL, time.monotonic() - since)

    async def _until_it_answers(self, dead: int, since: float) -> None:
        while self._targets.redis_pid() == dead:  # noqa: ASYNC110  whoever keeps it will see
            await asyncio.sleep(LOOK_S)
        client = Redis(unix_socket_path=str(self._targets.redis_socket), socket_timeout=0.5)
        while True:
            with suppress(RedisError, OSError):
                await client.ping()
                break
            await asyncio.sleep(LOOK_S)
        await client.aclose()
        self._watch.note(Kind.REDIS_KILL, time.monotonic() - since)


def _to_all(processes: list[psutil.Process], number: signal.Signals) -> None:
    for one in processes:
        with suppress(psutil.Error):
            one.send_signal(number)
