"""How soon Telegram's people get their answers: all at once they type, send albums and press.

``python -m bench.telegram_answers [PEOPLE]`` starts the real bot as a process of its own against a
Bot API server in this one, for 50 people at once and then for 100. Server and people take one of
two cores, so the figures hold more than the bot's own work.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.machine import write
from tests.bot_api import BotApi, Person
from tests.bot_api.adapter import start_process
from tests.bot_api.call import Call
from tests.drawn import photos

PHOTOS = 9
ROUNDS = 3
WAIT_S = 180.0
CROWDS = (50, 100)
GOAL_P95_MS = 300
Took = defaultdict[str, list[float]]


class Presses:
    """When each press was made and acknowledged, by its query's id."""

    def __init__(self, api: BotApi) -> None:
        self.made: dict[str, float] = {}
        self.took: list[float] = []
        answer = api.methods.answer_callback_query

        async def timed(call: Call) -> bool:
            began = self.made.pop(call.text("callback_query_id"), None)
            if began is not None:
                self.took.append(time.perf_counter() - began)
            return await answer(call)

        api.methods.answer_callback_query = timed  # type: ignore[method-assign]

    async def press(self, person: Person, label: str) -> None:
        chats = person._methods.chats  # noqa: SLF001  the server's own bell
        async with asyncio.timeout(WAIT_S), chats.changed:
            await chats.changed.wait_for(
                lambda: any(label in shown.labels for shown in person.sees)
            )
        now = time.perf_counter()
        self.made[await person.presses(label)] = now


async def conversation(person: Person, presses: Presses, drawn: list[bytes], took: Took) -> None:
    """From /train to the queue, with two albums and some looking around."""

    async def says(text: str, answer: str) -> None:
        began = time.perf_counter()
        await person.says(text)
        await person.reads(answer, within_s=WAIT_S)
        took["word to its answer"].append(time.perf_counter() - began)

    await says("/train", "What should it learn?")
    await presses.press(person, "A person")
    await person.reads("short name", within_s=WAIT_S)
    await says("mochi", "trigger word")
    await says("mochix", "Now send me")
    began = time.perf_counter()
    await person.sends_photos(drawn)
    await person.reads(f"{PHOTOS} photos", within_s=WAIT_S)
    took["album to its count"].append(time.perf_counter() - began)
    for _ in range(ROUNDS):
        await presses.press(person, "🖼 All photos")
        await presses.press(person, "← Back")
    await presses.press(person, f"✅ Done – use {PHOTOS}")
    await presses.press(person, "🚀 Start training")
    await person.reads("in the queue", within_s=WAIT_S)


def _ranks(seconds: list[float]) -> dict[str, int]:
    ranks = statistics.quantiles(seconds, n=100)
    found = {"median": statistics.median(seconds), "p95": ranks[94], "max": max(seconds)}
    return {"count": len(seconds), **{name: round(1000 * one) for name, one in found.items()}}


async def crowd(people: int, drawn: list[bytes]) -> dict[str, Any]:
    took: Took = defaultdict(list)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        async with BotApi() as api:
            presses = Presses(api)
            bot = await start_process(api, Path(folder))
            try:
                everybody = [api.person(f"P{number}") for number in range(people)]
                await asyncio.gather(
                    *(conversation(one, presses, drawn, took) for one in everybody)
                )
            finally:
                bot.terminate()
                with suppress(ProcessLookupError):
                    await bot.wait()
        log = (Path(folder) / "bot.log").read_text()
    took["press to its acknowledgement"] = presses.took
    return {
        "people": people,
        "answers_ms": {what: _ranks(some) for what, some in took.items()},
        "not acknowledged": len(presses.made),
        "errors in the log": log.count("ERROR") + log.count("Traceback"),
        "whole_s": round(time.perf_counter() - began, 1),
        "requests": dict(api.calls),
    }


async def main(crowds: tuple[int, ...]) -> None:
    drawn = photos(PHOTOS)
    runs = [await crowd(people, drawn) for people in crowds]
    write("telegram_answers", {"goal_p95_ms": GOAL_P95_MS, "runs": runs})


if __name__ == "__main__":
    asyncio.run(main(tuple(map(int, sys.argv[1:])) or CROWDS))
