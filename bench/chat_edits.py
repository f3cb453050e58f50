"""How often chats hear from the bot while 20 jobs run, beside what the networks document.

``python -m bench.chat_edits [MINUTES]``: the real bot as a process of its own against a Bot API
server. The worker's part is played on the job's row,
by the stores that a worker uses: claim, progress each second, a published file. In the middle one
chat is answered with 429.
"""

import asyncio
import itertools
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.machine import write
from storage import job_store
from storage.blob_store import LocalBlobs, artifact_key
from storage.database import Database
from storage.job import Artifact, JobState
from storage.people_store import Person, remember
from tests.bot_api import BotApi
from tests.bot_api.adapter import start_process as start_telegram
from tests.bot_api.call import Call
from tests.jobs import make_job
from tests.stand_in_trainer import lora
from trainer.run import Phase, Progress

JOBS = 20
LEASE_S = 30.0
STEPS_PER_S = 2.5
RETRY_S = 15
# core.telegram.org/bots/faq: about one message a second in one chat, 30 a second in all.
TELEGRAM = {"in one chat, in 1 s": 1, "in all, in 1 s": 30}
SPEAKING = ("send_message", "edit_text", "edit_media", "edit_caption", "send_document")

Said = list[tuple[float, str, str]]  # when, chat, method


async def train(database: Database, blobs: LocalBlobs, chat: str, minutes: float) -> None:
    """One job from the queue to its file, as the row of a worker shows it."""
    job = make_job(chat=chat, person=chat, created_at=time.time())
    owner = job_store.Owner(name=f"w{chat}", host="h", boot_id="b", pid=1)
    async with database.write() as tx:
        await remember(tx, Person(id=chat, name="P"))
        await job_store.add(tx, job)
    await asyncio.sleep(1)
    async with database.write() as tx:
        now = time.time()
        taken = await job_store.claim(tx, owner, lease_s=LEASE_S, now=now, job_id=job.id)
        assert taken is not None
        await job_store.enter(tx, job.id, taken.fence, JobState.TRAINING, now=now)
    began, total = time.monotonic(), round(minutes * 60 * STEPS_PER_S)
    while (done := time.monotonic() - began) < minutes * 60:
        step = min(total, round(done * STEPS_PER_S))
        progress = Progress(
            phase=Phase.TRAINING,
            step=step,
            total=total,
            loss=0.2 - 0.1 * step / total,
            steps_per_s=STEPS_PER_S,
            eta_s=(total - step) / STEPS_PER_S,
        )
        async with database.write() as tx:
            await job_store.renew(
                tx, job.id, taken.fence, lease_s=LEASE_S, now=time.time(), progress=progress
            )
        await asyncio.sleep(1)
    weights = lora("mochix")
    made = Artifact(
        key=artifact_key(job.id, taken.fence, "mochi.safetensors"),
        sha256="0" * 64,
        file_bytes=len(weights),
        name="mochi.safetensors",
    )
    await blobs.put(made.key, weights)
    for state, artifact in ((JobState.COPYING, None), (JobState.DELIVERING, made)):
        async with database.write() as tx:
            await job_store.enter(
                tx, job.id, taken.fence, state, now=time.time(), artifact=artifact
            )


def listen(api: BotApi, said: Said) -> None:
    """Every call that shows something, when it came and to whom."""
    for name in SPEAKING:
        setattr(api.methods, name, _noted(getattr(api.methods, name), name, said))


def _noted(
    method: Callable[[Call], Awaitable[Any]], name: str, said: Said
) -> Callable[[Call], Awaitable[Any]]:
    async def call(asked: Call) -> Any:
        said.append((time.monotonic(), asked.text("chat_id"), name))
        return await method(asked)

    return call


def busiest(said: Said, window_s: float) -> int:
    """The most calls in any window of that length."""
    times = sorted(at for at, _, _ in said)
    most = first = 0
    for last, at in enumerate(times):
        while at - times[first] > window_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def figures(said: Said) -> dict[str, Any]:
    by_chat = defaultdict(list)
    for one in said:
        by_chat[one[1]].append(one)
    gaps = [
        after[0] - before[0]
        for calls in by_chat.values()
        for before, after in itertools.pairwise(calls)
        if before[2] == after[2] == "edit_text"
    ]
    return {
        "chats": len(by_chat),
        "calls": dict(Counter(name for _, _, name in said)),
        "most in one chat, in 1 s": max(busiest(one, 1.0) for one in by_chat.values()),
        "most in one chat, in 60 s": max(busiest(one, 60.0) for one in by_chat.values()),
        "most in all, in 1 s": busiest(said, 1.0),
        "shortest gap between two edits, s": round(min(gaps), 2),
        "longest gap between two edits, s": round(max(gaps), 2),
    }


@asynccontextmanager
async def telegram(folder: Path) -> AsyncIterator[BotApi]:
    async with BotApi() as api:
        bot = await start_telegram(api, folder)
        try:
            hello = api.person("Hello")
            await hello.says("/help")
            await hello.reads("/train", within_s=60)
            yield api
        finally:
            bot.terminate()
            await bot.wait()


async def main(minutes: float) -> None:
    said: Said = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with telegram(folder) as api:
            listen(api, said)
            database = await Database.open(f"sqlite+aiosqlite:///{folder}/data/lorabot.db")
            blobs = LocalBlobs(folder / "data" / "blobs")
            people = [api.person(f"P{number}") for number in range(JOBS)]
            jobs = [train(database, blobs, one.name, minutes) for one in people]
            running = asyncio.gather(*jobs)
            await asyncio.sleep(minutes * 30)
            api.flood("editMessageText", RETRY_S)
            await running
            for one in people:
                await one.reads("mochi.safetensors", within_s=120)
            await database.close()
        errors = (folder / "bot.log").read_text().count("Traceback")
    told = {"jobs": JOBS, "minutes": minutes, "documented": TELEGRAM, "telegram": figures(said)}
    told |= {"one chat was refused, to be left alone for s": RETRY_S, "errors": errors}
    write("chat_edits", told)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0))
