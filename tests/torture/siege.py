"""The whole run: start everything, let people order, strike as planned, wait, stop, judge."""

import asyncio
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from storage.database import Database
from storage.redis_server import RedisServer
from tests.bot_api import BotApi
from tests.service import free_port
from tests.torture import sleeper, troop, verdict, worker_process
from tests.torture.base import POSTGRES, Base, Place, place_of
from tests.torture.blows import ON_POSTGRES, ON_SQLITE, RARER, WEIGHTS, Blow, Kind, planned
from tests.torture.crowd import Crowd
from tests.torture.fist import Fist, Targets
from tests.torture.verdict import Verdict
from tests.torture.watch import Watch
from tests.torture.worker_process import JOURNAL

ROOT = Path(__file__).parents[2]
QUEUE = 12  # so many wait, and nobody orders more
SETTLE_S = 120.0  # so long nothing moves after the last blow, and it will not any more
GONE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``for_s`` is how long blows fall, ``every_s`` apart on average; ``job_s`` how long a trainer
    sleeps. ``database`` is a URL, or the word postgres; empty: an SQLite file of its own. ``only``
    blows whose name has this in it.
    """

    jobs: int
    for_s: float
    seed: int
    every_s: float = 3.0
    job_s: float = 3.0
    lease_s: float = 3.0
    workers: int = 3
    database: str = ""
    only: str = ""

    def blows(self) -> list[Blow]:
        """Those on the database have dice of their own: the others are the same without it."""
        usual, on_base = self._wanted(WEIGHTS), self._wanted(self._on_base)
        found: list[Blow] = []
        if usual:
            found += planned(self.seed, self.for_s, self.every_s, self.lease_s, usual)
        if on_base:
            every_s = self.every_s * (RARER if usual else 1)
            found += planned(f"{self.seed} base", self.for_s, every_s, self.lease_s, on_base)
        return sorted(found, key=lambda blow: blow.at_s)

    @property
    def _on_base(self) -> Mapping[Kind, int]:
        """A server somewhere else is not ours to kill."""
        if self.database:
            return ON_POSTGRES if self.database == POSTGRES else {}
        return ON_SQLITE

    def _wanted(self, weights: Mapping[Kind, int]) -> dict[Kind, int]:
        return {kind: share for kind, share in weights.items() if self.only in kind}


@dataclass(slots=True)
class Siege:
    plan: Plan
    folder: Path
    api: BotApi
    redis: RedisServer
    crowd: Crowd
    bot: troop.Member
    workers: list[troop.Member]
    watch: Watch
    base: Base | None
    struck: list[Blow] = field(default_factory=list)

    async def run(self) -> float:
        """Until every job has ended and every chat has been told, or patience ends; seconds."""
        began = time.monotonic()
        for one in (self.bot, *self.workers):
            one.start()
        ordering = asyncio.create_task(self.crowd.order(lambda: self.watch.waiting >= QUEUE))
        looking = asyncio.create_task(self.watch.run())
        striking = asyncio.create_task(self._strike())
        try:
            while not self._over(ordering, began):  # noqa: ASYNC110  rows tell nobody
                await asyncio.sleep(0.2)
        finally:
            for task in (ordering, striking, looking):
                task.cancel()
            ended = await asyncio.gather(ordering, striking, looking, return_exceptions=True)
            if self.base is not None:
                await self.base.whole()
        for error in ended:
            if isinstance(error, Exception):
                raise error
        return time.monotonic() - began

    def _over(self, ordering: asyncio.Task[None], began: float) -> bool:
        """All that was ordered has ended, and its chat knows; or nothing has moved for long. What
        is missing then stands in the verdict.
        """
        settled = not self.watch.unsettled and self.watch.known >= self.crowd.ordered
        if ordering.done() and settled:
            return True
        last = max(self.watch.moved_at, self.crowd.moved_at, began + self.plan.for_s)
        return time.monotonic() > last + SETTLE_S

    async def _strike(self) -> None:
        """From the first job that runs: before it there is little to hurt."""
        while not any(row.running for row in self.watch.rows.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        began = time.monotonic()
        targets = Targets(
            workers=self.workers,
            trainer=sleeper.__name__,
            redis_socket=self.redis.socket,
            redis_pid=self._redis_pid,
            bot=self.bot,
            polls=lambda: self.api.feed.polls,
            is_up=self.watch.is_up,
            base=self.base,
        )
        fist = Fist(targets, self.watch)
        async with asyncio.TaskGroup() as lasting:
            for blow in self.plan.blows():
                await asyncio.sleep(max(0.0, began + blow.at_s - time.monotonic()))
                if await fist.strike(blow, lasting):
                    self.struck.append(blow)

    def _redis_pid(self) -> int:
        process = self.redis._process
        return process.pid if process is not None and process.returncode is None else 0

    async def close(self) -> dict[str, int]:
        """The exit code of each."""
        members = (self.bot, *self.workers)
        codes = await asyncio.gather(*(one.close() for one in members))
        return dict(zip((one.name for one in members), codes, strict=True))


def member(
    name: str, argv: list[str], folder: Path, environment: dict[str, str], seed: int
) -> troop.Member:
    return troop.Member(name, [sys.executable, "-m", *argv], environment, folder, seed)


def worker_argv(number: int, plan: Plan) -> list[str]:
    return [worker_process.__name__, str(number), str(plan.job_s)]


def settings_of(plan: Plan, folder: Path, api: BotApi, place: Place) -> dict[str, str]:
    own = {
        "DATA_DIR": str(folder / "data"),
        "LORA_DIR": str(folder / "loras"),
        "LEASE_S": str(plan.lease_s),
        "DRAIN_S": "5",
        "MAX_ATTEMPTS": "1000",  # nobody's job is to end as poison here
        "CONSENT": "never",
        "TELEGRAM_BOT_TOKEN": api.token,
        "TELEGRAM_API_URL": api.url,
        "WEB_PORT": str(free_port()),
    }
    return own | ({"DATABASE_URL": place.told} if place.told else {})


async def besiege(plan: Plan) -> Verdict:
    folder = Path(tempfile.mkdtemp(prefix="tort-"))
    for name in ("data", "loras"):
        (folder / name).mkdir()
    redis = RedisServer(folder / "redis.sock")
    async with contextlib.AsyncExitStack() as stack:
        api = await stack.enter_async_context(BotApi())
        place = await stack.enter_async_context(place_of(plan.database, folder, ROOT))
        environment = troop.marked(folder, ROOT) | settings_of(plan, folder, api, place)
        if socket := await redis.start():
            environment["REDIS_URL"] = f"unix://{socket}"
        stack.push_async_callback(redis.stop)
        database = await Database.open(place.url)
        stack.push_async_callback(database.close)
        workers = [
            member(f"worker-{number}", worker_argv(number, plan), folder, environment, plan.seed)
            for number in range(plan.workers)
        ]
        siege = Siege(
            plan=plan,
            folder=folder,
            api=api,
            redis=redis,
            crowd=Crowd(api, plan.jobs),
            bot=member("bot", ["lorabot", "bot"], folder, environment, plan.seed),
            workers=workers,
            watch=Watch(database, workers, plan.lease_s, away=lambda: place.is_away),
            base=place.base,
        )
        try:
            took_s = await siege.run()
        finally:
            codes = await siege.close()
        left = await troop.all_gone(folder, GONE_S)
        found = await verdict.judge(
            verdict.Evidence(
                database=database,
                folder=folder,
                crowd=siege.crowd,
                watch=siege.watch,
                struck=siege.struck,
                journal=folder / "data" / JOURNAL,
                codes=codes,
                odd_ends={one.name: one.odd_ends for one in (siege.bot, *siege.workers)},
                left_over=left,
                took_s=took_s,
                away_s=place.base.away_s if place.base else {},
            )
        )
    if not found.faults(plan.lease_s):
        shutil.rmtree(folder, ignore_errors=True)
    return found
