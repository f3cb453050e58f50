"""How soon Discord's people get their answers: 50 at once fill in forms with photos, and press.

    python -m bench.discord_answers [PEOPLE]

Server, people and bot share this process, so the figures hold more than the bot's own work.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from bench.machine import write
from pictures.sandbox import Cells
from storage.database import Database
from tests.discord_api import DiscordApi, Member
from tests.discord_api.adapter import starter
from tests.drawn import photos

PHOTOS = 9
ROUNDS = 2
WAIT_S = 120.0
Answer = TypeVar("Answer")
Took = defaultdict[str, list[float]]


async def person(one: Member, drawn: list[bytes], took: Took) -> None:
    async def timed(what: str, act: Awaitable[Answer]) -> Answer:
        began = time.perf_counter()
        done = await act
        took[what].append(time.perf_counter() - began)
        return done

    async def presses(label: str) -> None:
        await one.until(lambda: any(label in shown.labels for shown in one.sees), within_s=WAIT_S)
        await timed("button", one.presses(label))

    opened = await timed("command", one.types("train"))
    filled = one.fills(opened, name="mochi", kind="person", photos=drawn, agree=True)
    await timed("form", filled)
    await one.reads(f"{PHOTOS} photos", within_s=WAIT_S)
    for _ in range(ROUNDS):
        await presses("🖼 All photos")
        await presses("← Back")
    await presses(f"✅ Done – use {PHOTOS}")
    await presses("🚀 Start training")
    await one.reads("in the queue", within_s=WAIT_S)


def _ranks(seconds: list[float]) -> dict[str, int]:
    ranks = statistics.quantiles(seconds, n=100)
    found = {"median": statistics.median(seconds), "p95": ranks[94], "max": max(seconds)}
    return {"count": len(seconds), **{name: round(1000 * one) for name, one in found.items()}}


async def main(people: int) -> None:
    took: Took = defaultdict(list)
    drawn = photos(PHOTOS)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        database = await Database.open(f"sqlite+aiosqlite:///{folder}/bench.db")
        async with (
            DiscordApi() as api,
            Cells(2) as cells,
            starter(api, database, cells, Path(folder))(),
        ):
            everybody = [api.person(f"P{number}") for number in range(people)]
            await asyncio.gather(*(person(one, drawn, took) for one in everybody))
        await database.close()
    failed = sum(one.failed for one in everybody)
    figures = {
        "people": people,
        "not acknowledged in 3 s": failed,
        "answers_ms": {what: _ranks(some) for what, some in took.items()},
        "whole_s": round(time.perf_counter() - began, 1),
        "requests": dict(api.calls),
        "refused_429": sum(status == 429 for _, status, _ in api.seen),
    }
    write("discord_answers", figures)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
