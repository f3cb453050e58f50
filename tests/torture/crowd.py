"""People who order trainings through the real conversation, while the bot dies under them."""

import asyncio
import time
from collections.abc import Callable

from tests.bot_api import BotApi, Person
from tests.drawn import photos

AT_ONCE = 6
PHOTOS = 8
PATIENCE_S = 300.0  # for one answer; a bot that dies again and again is slow


class Crowd:
    """``count`` people with one order each; ``through`` are who pressed Start and saw that
    it counts; ``stuck`` says who never got there, and where.
    """

    def __init__(self, api: BotApi, count: int) -> None:
        self.people = [api.person(f"P{number}") for number in range(count)]
        self.stuck: dict[str, str] = {}
        self.through: set[str] = set()
        self.moved_at = time.monotonic()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._pictures = photos(PHOTOS)

    @property
    def ordered(self) -> int:
        return len(self.through)

    @staticmethod
    def lora(number: int) -> str:
        return f"lora{number:03}"

    async def order(self, enough: Callable[[], bool]) -> None:
        """All of them, some at once; nobody comes while ``enough`` says that too many wait."""
        async with asyncio.TaskGroup() as tasks:
            for number, person in enumerate(self.people):
                await self._turns.acquire()
                while enough():  # noqa: ASYNC110  rows tell nobody
                    await asyncio.sleep(0.2)
                tasks.create_task(self._one(number, person))

    async def _one(self, number: int, person: Person) -> None:
        try:
            await self._talk(person, self.lora(number))
            self.through.add(person.name)
        except AssertionError as error:
            self.stuck[person.name] = str(error)
        finally:
            self.moved_at = time.monotonic()
            self._turns.release()

    async def _talk(self, person: Person, name: str) -> None:
        await person.says("/train")
        await person.reads("What should it learn?", PATIENCE_S)
        await person.presses("A person")
        await person.reads("short name", PATIENCE_S)
        await person.says(name)
        await person.reads("trigger word", PATIENCE_S)
        await person.says(f"{name}x")
        await person.reads("Now send me", PATIENCE_S)
        await person.sends_photos(self._pictures)
        await person.reads(f"{PHOTOS} photos", PATIENCE_S)
        await person.presses(f"✅ Done – use {PHOTOS}")
        await person.reads(f"Ready to train {name}", PATIENCE_S)
        await person.presses("🚀 Start training")
        await person.reads(f"{name} · ", PATIENCE_S)
