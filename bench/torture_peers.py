"""The torture of `tests.torture` for raw arq, SAQ and taskiq: same blows, same jobs, same length.

    python -m bench.torture_peers arq plain 7 --python PEERS/bin/python --out FOLDER

Foreseen, before the first run: queues as they come lose most jobs with the first kill of a Redis
that keeps nothing, and do not run a killed worker's job again within the run. With settings: arq
loses none, but needs its time limit and 10 s, and doubles some that were frozen; SAQ comes near to
our recovery and doubles some; taskiq leaves some stuck, because it looks for abandoned messages
only when new ones come. Ours: none lost, none doubled, back after a lease and a moment.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from storage.redis_server import find_binary
from tests.torture import troop
from tests.torture.blows import Blow, Kind, planned
from tests.torture.fist import Fist, Targets
from tests.torture.troop import Member
from tests.torture.wounds import Row, Wounds

ROOT = Path(__file__).parents[1]
PROGRAM = str(ROOT / "bench" / "torture_peer_program.py")
PEACE_S = 60.0  # after the last blow; what is not done then is lost or stuck
ORDER_SHARE = 0.6  # of the time in which blows fall, jobs are ordered
LOOK_S = 0.1


class JournalWatch:
    """Jobs as their workers wrote them down: the queues themselves tell too little."""

    def __init__(self, journal: Path) -> None:
        self.wounds = Wounds()
        self.rows: dict[str, Row] = {}
        self.others: dict[Kind, list[float]] = {}
        self.commits: Counter[str] = Counter()
        self.sent: set[str] = set()
        self.beside = 0
        self._journal = journal
        self._read = 0

    async def look(self) -> dict[str, Row]:
        text = self._journal.read_bytes()[self._read :] if self._journal.exists() else b""
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode().splitlines():
            self._hear(*line.split()[1:])
        self.wounds.look(self.rows, time.monotonic())
        return self.rows

    def _hear(self, what: str, job: str, pid: str = "0") -> None:
        before = self.rows.get(job, Row(0, running=False, ended=False))
        match what:
            case "start":
                self.rows[job] = Row(before.turn + 1, True, before.ended, int(pid))
            case "commit":
                self.rows[job] = Row(before.turn, False, True)
                self.commits[job] += 1
            case "beside":
                self.beside += 1
            case "sent":
                self.sent.add(job)

    def note(self, kind: Kind, gap_s: float) -> None:
        self.others.setdefault(kind, []).append(gap_s)

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)


def redis_argv(folder: Path, socket: Path, *, tuned: bool) -> list[str]:
    """As it comes, or with every write on the disk."""
    binary = find_binary()
    assert binary is not None
    kept = ("--appendonly", "yes", "--appendfsync", "always") if tuned else ()
    return [str(binary), "--port", "0", "--unixsocket", str(socket), "--dir", str(folder), *kept]


async def order(producer: asyncio.subprocess.Process, jobs: list[str], for_s: float) -> None:
    assert producer.stdin is not None
    for job in jobs:
        producer.stdin.write(f"{job}\n".encode())
        await producer.stdin.drain()
        await asyncio.sleep(ORDER_SHARE * for_s / len(jobs))


async def strike(fist: Fist, blows: list[Blow], began: float) -> list[Blow]:
    struck = []
    async with asyncio.TaskGroup() as lasting:
        for blow in blows:
            await asyncio.sleep(max(0.0, began + blow.at_s - time.monotonic()))
            if await fist.strike(blow, lasting):
                struck.append(blow)
    return struck


async def still_in_redis(socket: Path, jobs: set[str]) -> set[str]:
    """Those of ``jobs`` that Redis knows something of, apart from messages that are done with."""
    client = Redis(unix_socket_path=str(socket))
    read: dict[bytes, Callable[[bytes], Awaitable[list[bytes]]]] = {
        b"string": lambda key: client.mget([key]),
        b"zset": lambda key: client.zrange(key, 0, -1),
        b"list": lambda key: client.lrange(key, 0, -1),
        b"stream": lambda key: open_messages(client, key),
    }
    found = b""
    async for key in client.scan_iter():
        kind = await client.type(key)
        inside = await read[kind](key) if kind in read else []
        found += b" ".join([key, *(part for part in inside if part)])
    await client.aclose()
    return {job for job in jobs if job.encode() in found}


async def open_messages(client: Any, key: bytes) -> list[bytes]:
    """Of a stream: handed out and not acknowledged, or never handed out."""
    ids: set[bytes] = set()
    for group in await client.xinfo_groups(key):
        pending = await client.xpending_range(key, group["name"], "-", "+", 1000)
        ids |= {one["message_id"] for one in pending}
        last = group["last-delivered-id"].decode()
        ids |= {one for one, _ in await client.xrange(key, f"({last}", "+")}
    messages = await client.xrange(key)
    return [part for one, fields in messages if one in ids for part in fields.values()]


async def run(words: argparse.Namespace) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix="peer-"))
    socket, journal = folder / "redis.sock", folder / "journal"
    tuned = words.how == "tuned"
    environment = troop.marked(folder, ROOT)
    place = (words.library, words.how, str(socket), str(journal), str(words.job_seconds))
    argv = [words.python, PROGRAM, "work", *place]
    redis = Member(
        "redis", redis_argv(folder, socket, tuned=tuned), environment, folder, words.seed
    )
    workers = [
        Member(f"worker-{number}", argv, environment, folder, words.seed)
        for number in range(words.workers)
    ]
    watch = JournalWatch(journal)
    targets = Targets(
        workers=workers, trainer="trainer", redis_socket=socket, redis_pid=lambda: redis.pid
    )
    began = time.monotonic()
    for one in (redis, *workers):
        one.start()
    producer = await asyncio.create_subprocess_exec(
        *(words.python, PROGRAM, "produce", *place),
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment,
        cwd=folder,
    )
    jobs = [f"job{number:04}x" for number in range(words.jobs)]
    looking = asyncio.create_task(watch.run())
    ordering = asyncio.create_task(order(producer, jobs, words.seconds))
    blows = planned(words.seed, words.seconds, words.every, words.lease)
    struck = await strike(Fist(targets, watch), blows, began)
    await ordering
    last_blow = time.monotonic()
    while len(watch.commits) < len(jobs) and time.monotonic() < last_blow + PEACE_S:  # noqa: ASYNC110
        await asyncio.sleep(LOOK_S)
    took_s = time.monotonic() - began
    open_jobs = set(jobs) - set(watch.commits)
    stuck = await still_in_redis(socket, open_jobs) if open_jobs else set()
    looking.cancel()
    with contextlib.suppress(ProcessLookupError):
        producer.kill()
    await asyncio.gather(*(one.close() for one in workers))
    await redis.close()
    await watch.look()
    left = await troop.all_gone(folder, 10)
    gaps = {kind: watch.wounds.gaps([kind]) for kind in Kind} | watch.others
    return {
        "library": words.library,
        "how": words.how,
        "seed": words.seed,
        "jobs": len(jobs),
        "job_s": words.job_seconds,
        "done": len(watch.commits),
        "lost": len(open_jobs - stuck),
        "stuck": len(stuck),
        "never_healed": len(watch.wounds.open),
        "doubled": sum(count > 1 for count in watch.commits.values()),
        "beside": watch.beside,
        "left_over": len(left),
        "blows": Counter(blow.kind.value for blow in struck),
        "ends_without_cause": sum(len(one.odd_ends) for one in (redis, *workers)),
        "gaps": {
            kind.value: [round(gap, 2) for gap in some] for kind, some in gaps.items() if some
        },
        "took_s": round(took_s, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("library", choices=("arq", "saq", "taskiq"))
    parser.add_argument("how", choices=("plain", "tuned"))
    parser.add_argument("seed", type=int)
    parser.add_argument("--python", required=True, help="of the environment with the library")
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=240.0, help="how long blows fall")
    parser.add_argument("--job-seconds", type=float, default=3.3)
    parser.add_argument("--every", type=float, default=3.0)
    parser.add_argument("--lease", type=float, default=3.0)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--out", type=Path, help="a folder for the JSON")
    words = parser.parse_args()
    found = asyncio.run(run(words))
    print(json.dumps(found))
    if words.out is not None:
        name = f"{words.library}-{words.how}-{words.seed}.json"
        (words.out / name).write_text(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
