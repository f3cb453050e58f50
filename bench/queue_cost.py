"""What the line costs as it grows: ``python -m bench.queue_cost [--longest 100000] [--turns 25]``.

The same line in SQLite and in a private Postgres, of 10² to 10⁵ waiting jobs of many people and
some with jobs running. Measured is what bot and worker really call, transaction included: seconds
on the clock, and seconds of processor (this process and the server), which a busy machine changes
less.
"""

import argparse
import asyncio
import json
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import psutil
import sqlalchemy as sa

mpl.use("Agg")
from matplotlib import pyplot as plt

from bench.machine import RESULTS, write
from bot import admin_service, commands
from bot.draft import Conversation
from bot.events import Command
from bot.facts import Facts
from bot.notifier import TOLD_AT_ONCE
from bot.reading import Reader
from storage import (
    bases,
    clock,
    host,
    job_lists,
    job_release,
    job_store,
    line_parts,
    pause_store,
)
from storage.access import Pause
from storage.database import Database, Tx
from storage.job import JobState
from storage.job_row import to_row
from storage.people_store import Person
from storage.schema import jobs
from storage.schema import telling as telling_rows
from storage.settings import Settings
from tests import postgres
from tests.jobs import make_job

LENGTHS = (100, 1_000, 10_000, 100_000)
GOAL_MS = 20.0
RUNNING = 8
TURNS = 25
TOGETHER = 2_000
READER = Reader(bases=(bases.demo(),), settings=Settings())
Act = Callable[[Tx], Awaitable[object]]


class Place:
    """One database, and what of its server's processor time is ours."""

    def __init__(self, database: Database, server: psutil.Process | None, turns: int) -> None:
        self.database = database
        self.turns = turns
        self._server = server
        self.ids: list[str] = []
        self.dice = random.Random(1)

    def spent_s(self) -> float:
        own = time.process_time()
        if self._server is None:
            return own
        times = [one.cpu_times() for one in self._server.children()]
        return own + sum(one.user + one.system for one in times)

    async def fill(self, length: int) -> None:
        """Up to so many, a fifth as many people, one in a hundred ahead of the others."""
        rows = []
        for number in range(len(self.ids), length):
            person = f"tg:{self.dice.randrange(max(1, length // 5))}"
            priority = int(self.dice.random() < 0.01)
            job = make_job(person=person, chat=person, created_at=1000.0 + number, sent_version=1)
            rows.append(to_row(job) | {"priority": priority})
        self.ids += [row["id"] for row in rows]
        for start in range(0, len(rows), TOGETHER):
            async with self.database.write() as tx:
                await tx.execute(jobs.insert(), rows[start : start + TOGETHER])

    async def measure(self, act: Act, *, writes: bool = False) -> dict[str, float]:
        """Milliseconds: the clock's median and 95th of hundred, and the processor's mean."""
        begin = self.database.write if writes else self.database.read
        walls = []
        async with begin() as tx:
            await act(tx)  # the first time statements are made and plans
        before = self.spent_s()
        for _ in range(self.turns):
            began = time.perf_counter()
            async with begin() as tx:
                await act(tx)
            walls.append(1000 * (time.perf_counter() - began))
        processor = 1000 * (self.spent_s() - before) / self.turns
        walls.sort()
        return {
            "median_ms": round(statistics.median(walls), 2),
            "p95_ms": round(walls[int(0.95 * self.turns)], 2),
            "processor_ms": round(processor, 2),
        }


async def claim(tx: Tx) -> None:
    """What a worker does each time it looks, and then the job goes back."""
    now = await clock.now(tx)
    await job_release.release_expired(tx, now=now, max_attempts=3)
    taken = await job_store.claim(tx, host.this_process(), lease_s=30, now=now, bases={"demo"})
    assert taken is not None
    await job_store.requeue(tx, taken.id, taken.fence, now=now, counted=False)


async def notifier(tx: Tx) -> None:
    """What the bot asks every 0.4 s."""
    await job_lists.unsent(tx, ["tg", "dc"])
    await job_lists.delivering(tx, ["tg", "dc"])


async def telling(tx: Tx) -> None:
    """What the bot writes to begin to tell the next few that there is a pause."""
    await pause_store.tell(tx, limit=TOLD_AT_ONCE, now=await clock.now(tx))


async def all_told(tx: Tx) -> None:
    """As if every chat had been told."""
    await pause_store.end(tx)
    await tx.execute(telling_rows.delete())
    behind = jobs.update().where(jobs.c.sent_version < jobs.c.version)
    await tx.execute(behind.values(sent_version=jobs.c.version))


async def of(place: Place, length: int) -> dict[str, dict[str, float]]:
    await place.fill(length)
    last = place.ids[-1]

    async def place_of_one(tx: Tx) -> None:
        assert await line_parts.places(tx, [last])

    async def estimate(tx: Tx) -> None:
        now, seconds = await clock.now(tx), await READER.seconds(tx)
        board = await READER.board(tx, seconds, {last}, now=now, whole=False)
        assert board.starts_in[last] > 0

    async def queue(tx: Tx) -> None:
        facts: Facts = await READER.facts(tx, Person(id="tg:1", name="Ada"), known={"board"})
        assert commands.queue(facts).lines

    async def pause(tx: Tx) -> None:
        admin = Person(id="tg:1", name="Ada")
        facts = await READER.facts(tx, admin, known={"board"})
        assert admin_service.pause(Conversation(), Command("pause", "why"), facts)
        await pause_store.begin(tx, Pause(since=facts.now, reason="why", by=admin.id))

    found = {
        "claim": await place.measure(claim, writes=True),
        "place": await place.measure(place_of_one),
        "estimate": await place.measure(estimate),
        "/queue": await place.measure(queue),
        "notifier": await place.measure(notifier),
        "/pause": await place.measure(pause, writes=True),
        "telling": await place.measure(telling, writes=True),
    }
    async with place.database.write() as tx:
        await all_told(tx)
    return found


async def begin(place: Place) -> None:
    """Some people have jobs running, as on a server with as many cards."""
    await place.fill(LENGTHS[0])
    for job_id in place.ids[:RUNNING]:
        async with place.database.write() as tx:
            await job_store.claim(
                tx, host.this_process(), lease_s=1e9, now=await clock.now(tx), job_id=job_id
            )
    place.ids = place.ids[RUNNING:]


async def tidied(place: Place) -> None:
    """What Postgres does by itself after a minute: without it the index is no map of the table."""
    async with place.database.read() as tx:
        driver = (await tx.get_raw_connection()).driver_connection
        await tx.rollback()
        await driver.execute("RESET ALL")
        await driver.execute("SET default_transaction_read_only = off; SET statement_timeout = 0")
        await driver.execute("VACUUM (ANALYZE)")


async def curve(
    url: str, server: psutil.Process | None, longest: int, turns: int
) -> dict[str, Any]:
    database = await Database.open(url)
    place = Place(database, server, turns)
    figures = {}
    try:
        await begin(place)
        for length in (one for one in LENGTHS if one <= longest):
            await place.fill(length)
            async with database.write() as tx:
                await line_parts.fold(tx)  # as the bot does every few seconds
            if server is not None:
                await tidied(place)
            figures[str(length)] = await of(place, length)
            print(url.partition(":")[0], length, figures[str(length)], flush=True)
        async with database.read() as tx:
            waiting = sa.select(sa.func.count()).where(jobs.c.state == JobState.QUEUED.value)
            assert (await tx.execute(waiting)).scalar_one() == len(place.ids)
    finally:
        await database.close()
    return figures


def draw(figures: dict[str, Any], target: Path) -> None:
    figure, panels = plt.subplots(1, len(figures), figsize=(11, 4.2), sharey=True)
    for panel, (name, lengths) in zip(panels, figures.items(), strict=True):
        for act in next(iter(lengths.values())):
            known = [lengths[length][act]["processor_ms"] for length in lengths]
            panel.plot([int(length) for length in lengths], known, marker="o", label=act)
        panel.axhline(GOAL_MS, color="grey", linestyle=":")
        panel.set(title=name, xscale="log", yscale="log", xlabel="jobs that wait")
    panels[0].set_ylabel("milliseconds of processor")
    panels[0].legend()
    figure.tight_layout()
    figure.savefig(target, dpi=80)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--longest", type=int, default=LENGTHS[-1])
    parser.add_argument("--turns", type=int, default=TURNS)
    wanted = parser.parse_args()
    longest, turns = wanted.longest, wanted.turns
    with tempfile.TemporaryDirectory() as folder:
        file = f"sqlite+aiosqlite:///{folder}/bench.db"
        figures = {"SQLite": asyncio.run(curve(file, None, longest, turns))}
    server = postgres.Server(postgres.found_or_skip()).create()
    try:
        url = asyncio.run(server.fresh())
        figures["Postgres"] = asyncio.run(curve(url, server.process(), longest, turns))
    finally:
        server.remove()
    load = [round(one, 1) for one in psutil.getloadavg()]
    write("queue_cost", {"goal_ms": GOAL_MS, "running": RUNNING, "load": load, "ms": figures})
    known = json.loads((RESULTS / "queue_cost.json").read_text())["ms"]
    draw(known, RESULTS / "queue_cost.png")


if __name__ == "__main__":
    main()
