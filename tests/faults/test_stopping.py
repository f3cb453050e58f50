"""A stop that comes at the very moment at which there is something to do is heard all the same."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path

import pytest

from lorabot.compose import Bot, assemble
from pictures.sandbox import Cells
from storage.database import Database
from storage.settings import Settings
from tests.conftest import eventually

TURNS = range(8)  # of the loop, between the ring and the stop
END_S = 5.0

Part = tuple[Callable[[], Coroutine[None, None, None]], asyncio.Event]


def notifier(bot: Bot) -> Part:
    return bot.notifier.run, bot.notifier._woken


def crier(bot: Bot) -> Part:
    crier = bot.dialogue.backroom.crier
    return crier.run, crier._woken


def curator(bot: Bot) -> Part:
    curator = bot.dialogue.backroom.curator
    return curator.run, curator._wake


def janitor(bot: Bot) -> Part:
    janitor = bot.dialogue.registrar.janitor
    return janitor.run, janitor._wake


@pytest.fixture
async def bot(database: Database, cells: Cells, tmp_path: Path) -> AsyncIterator[Bot]:
    """All of it, and not one network."""
    one = assemble(Settings(data_dir=tmp_path), database, [], cells)
    yield one
    await one.dialogue.registrar.close()
    await one.dialogue.backroom.close()
    await one.doorbell.close()


@pytest.mark.parametrize("part", [notifier, crier, curator, janitor])
async def test_a_part_that_is_rung_as_it_is_stopped_stops(
    bot: Bot, part: Callable[[Bot], Part]
) -> None:
    run, bell = part(bot)

    async def waits() -> bool:
        return bool(bell._waiters)

    for turns in TURNS:
        task = asyncio.create_task(run())
        await eventually(waits)
        bell.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        ended, _ = await asyncio.wait({task}, timeout=END_S)
        assert ended, f"still running, {turns} turns after the ring"
