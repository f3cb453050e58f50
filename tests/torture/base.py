"""The database as a victim: a Postgres that dies or freezes, an SQLite file that somebody locks."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from storage.die_with_parent import under
from tests import postgres
from tests.torture import locker, troop
from tests.torture.blows import Blow, Kind

POSTGRES = "postgres"  # instead of an address: one of its own, which can be hit

Hurt = Callable[[], None]  # called at the moment of the blow
Hit = Callable[[Blow, Hurt], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class Base:
    """One blow at a time. ``hits`` by kind; ``silent``: while it is hit, nobody can read either.
    ``away_s``: how long it was away, by kind.
    """

    hits: Mapping[Kind, Hit]
    silent: bool
    away_s: dict[str, list[float]] = field(default_factory=dict)
    _hitting: asyncio.Task[None] | None = None

    @property
    def struck(self) -> bool:
        return self._hitting is not None and not self._hitting.done()

    @property
    def away(self) -> bool:
        return self.silent and self.struck

    async def strike(self, blow: Blow, hurt: Hurt) -> bool:
        """Until it is whole again, even where nobody waits for that any more. False: it was just
        being hit, or cannot be hit so.
        """
        if self.struck or blow.kind not in self.hits:
            return False
        self._hitting = asyncio.create_task(self._hit(blow, hurt))
        await asyncio.shield(self._hitting)
        return True

    async def whole(self) -> None:
        if self._hitting is not None:
            await self._hitting

    async def _hit(self, blow: Blow, hurt: Hurt) -> None:
        began = time.monotonic()

        def now() -> None:
            nonlocal began
            began = time.monotonic()
            hurt()

        await self.hits[blow.kind](blow, now)
        self.away_s.setdefault(blow.kind.value, []).append(time.monotonic() - began)


def of_postgres(server: postgres.Server) -> Base:
    async def kill(blow: Blow, hurt: Hurt) -> None:
        """The whole of it, as a power cut would; somebody starts it again."""
        hurt()
        await asyncio.to_thread(server.kill)
        await asyncio.sleep(blow.lasts_s)
        await asyncio.to_thread(server.start)

    async def freeze(blow: Blow, hurt: Hurt) -> None:
        hurt()
        # The one that makes the others first: after it there are no new ones.
        first = server.process()
        first.suspend()
        frozen = [first, *first.children(recursive=True)]
        _to_all(frozen, signal.SIGSTOP)
        await asyncio.sleep(blow.lasts_s)
        _to_all(frozen, signal.SIGCONT)

    return Base(hits={Kind.DATABASE_KILL: kill, Kind.DATABASE_FREEZE: freeze}, silent=True)


def of_sqlite(file: Path, environment: Mapping[str, str]) -> Base:
    async def lock(blow: Blow, hurt: Hurt) -> None:
        argv = [sys.executable, "-m", locker.__name__, str(file), str(blow.lasts_s)]
        process = await asyncio.create_subprocess_exec(
            *under(argv), env=dict(environment), stdout=asyncio.subprocess.PIPE
        )
        assert process.stdout is not None
        assert await process.stdout.readline() == b"held\n"
        hurt()
        assert await process.wait() == 0

    return Base(hits={Kind.DATABASE_LOCK: lock}, silent=False)


@dataclass(frozen=True, slots=True)
class Place:
    """``told`` is what the processes are told of it, if anything."""

    url: str
    told: str = ""
    base: Base | None = None

    @property
    def is_away(self) -> bool:
        return self.base is not None and self.base.away


@asynccontextmanager
async def place_of(database: str, folder: Path, root: Path) -> AsyncIterator[Place]:
    """A server that belongs to somebody else is not hit."""
    if database == POSTGRES:
        binaries = postgres.binaries()
        assert binaries is not None, "no Postgres here"
        # Who is killed amid writing a page can leave half of it.
        server = postgres.Server(binaries, full_page_writes="on")
        try:
            await asyncio.to_thread(server.create)
            url = await server.empty("torture")
            yield Place(url, url, of_postgres(server))
        finally:
            await asyncio.to_thread(server.remove)
    elif database:
        yield Place(database, database)
    else:
        file = folder / "data" / "lorabot.db"
        base = of_sqlite(file, troop.marked(folder, root))
        yield Place(f"sqlite+aiosqlite:///{file}", base=base)


def _to_all(processes: list[psutil.Process], number: signal.Signals) -> None:
    for one in processes:
        try:
            one.send_signal(number)
        except psutil.NoSuchProcess:
            continue
