"""Updates per second beside a minimal echo bot of the same library, in turns in one run.

``python -m bench.telegram_rate [ROUNDS]``. Everybody writes one word at the same moment; the clock
stops with the last answer. The echo bot does nothing else; ours commits each update before it
counts as handled. Both are processes of their own against a Bot API server in this one. Prediction
before the first run: 0.5 to 0.7 of the echo bot as it comes, which handles one update after the
other; less beside one that handles 16 at once.
"""

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil

from bench.machine import write
from tests.bot_api import BotApi
from tests.bot_api.adapter import start_process

PEOPLE = 400
WAIT_S = 180.0
GOAL = 0.7
ECHO = """
import os, sys
os.environ["PTB_TIMEDELTA"] = "true"
from telegram.ext import ApplicationBuilder, MessageHandler, filters

async def echo(update, context):
    await update.message.reply_text(update.message.text)

url, token, at_once = sys.argv[1:]
builder = ApplicationBuilder().token(token).base_url(f"{url}/bot").base_file_url(f"{url}/file/bot")
application = builder.concurrent_updates(int(at_once)).build()
application.add_handler(MessageHandler(filters.ALL, echo))
application.run_polling()
"""
Start = Callable[[BotApi, Path], Awaitable[asyncio.subprocess.Process]]


def echo(at_once: int) -> Start:
    async def start(api: BotApi, folder: Path) -> asyncio.subprocess.Process:
        with (folder / "echo.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", ECHO, api.url, api.token, str(at_once)),
                env=dict(os.environ),
                stdout=log,
                stderr=log,
            )

    return start


BOTS: dict[str, Start] = {
    "echo, one at a time": echo(1),
    "echo, 16 at once": echo(16),
    "lorabot": start_process,
}


@asynccontextmanager
async def running(api: BotApi, start: Start) -> AsyncIterator[psutil.Process]:
    """Opens when the bot has answered somebody."""
    with tempfile.TemporaryDirectory() as folder:
        process = await start(api, Path(folder))
        try:
            first = api.person("First")
            await first.says("/help")
            await _answered(api, [first.chat.messages], 60)
            yield psutil.Process(process.pid)
        finally:
            process.terminate()
            await process.wait()


async def _answered(api: BotApi, chats: list[list[object]], within_s: float = WAIT_S) -> None:
    changed = api.chats.changed
    async with asyncio.timeout(within_s), changed:
        await changed.wait_for(lambda: all(len(one) > 1 for one in chats))


async def rate(start: Start) -> tuple[float, float]:
    """Updates per second, and the bot's CPU milliseconds for each."""
    async with BotApi() as api, running(api, start) as bot:
        everybody = [api.person(f"P{number}") for number in range(PEOPLE)]
        before = sum(bot.cpu_times()[:2])
        began = time.perf_counter()
        for one in everybody:
            await one.says("/help")
        await _answered(api, [one.chat.messages for one in everybody])
        wall = time.perf_counter() - began
        return PEOPLE / wall, 1000 * (sum(bot.cpu_times()[:2]) - before) / PEOPLE


async def main(rounds: int) -> None:
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in BOTS}
    for _ in range(rounds):
        for name, start in BOTS.items():
            found[name].append(await rate(start))
            print(f"{name}: %.0f/s, %.1f ms of CPU each" % found[name][-1], flush=True)
    ours = [per_s for per_s, _ in found["lorabot"]]
    figures = {}
    for name, runs in found.items():
        rates = [per_s for per_s, _ in runs]
        shares = [a / b for a, b in zip(ours, rates, strict=True)]
        figures[name] = {
            "per_s_median": round(statistics.median(rates), 1),
            "per_s": [round(one, 1) for one in rates],
            "cpu_ms_each": round(statistics.median(cpu for _, cpu in runs), 2),
            "ours_of_it": round(statistics.median(shares), 3),
        }
    write("telegram_rate", {"people": PEOPLE, "rounds": rounds, "goal": GOAL, "bots": figures})


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
