"""One person's flood costs nobody anything, and is told in one sentence."""

import asyncio
from dataclasses import dataclass, field

from bot.events import Command
from bot.frontend import Attachment, Incoming
from bot.rates import MOST_KEYS
from bot.screen import Screen
from bot.turnstile import Turnstile
from storage.people_store import Person
from storage.settings import Settings


async def never() -> bytes:
    raise AssertionError("nothing of it is fetched")


@dataclass
class Crowd:
    """People in front of a turnstile; ``through`` are those who came in, by their id."""

    messages: float = 20
    photos: float = 2
    now: float = 0.0
    through: list[str] = field(default_factory=list)
    told: list[tuple[str, str, int | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate = Turnstile(
            self._receive,
            self._tell,
            messages=self.messages,
            photos=self.photos,
            clock=lambda: self.now,
        )

    async def _receive(self, incoming: Incoming) -> None:
        self.through.append(incoming.person.id)

    async def _tell(self, incoming: Incoming, screen: Screen) -> None:
        await asyncio.sleep(0)
        (line,) = screen.lines
        self.told.append((incoming.chat, line.key, line.n))

    async def send(self, person: str, count: int = 1, *, suffixes: tuple[str, ...] = ()) -> None:
        """All at once, as an album comes."""
        files = tuple(Attachment(fetch=never, suffix=one) for one in suffixes)
        event = None if files else Command("train")
        one = Incoming(
            platform="tg",
            update_id="1",
            chat=person,
            person=Person(id=person, name=""),
            event=event,
            attachments=files,
        )
        await asyncio.gather(*(self.gate.receive(one) for _ in range(count)))

    async def looked(self) -> None:
        """What waits to be told is told."""
        running = asyncio.create_task(self.gate.run())
        for _ in range(3):
            await asyncio.sleep(0)
        running.cancel()


def usual() -> Crowd:
    settings = Settings()
    return Crowd(messages=settings.messages_per_minute, photos=settings.photos_per_minute)


async def test_albums_and_quick_presses_pass() -> None:
    crowd = usual()
    await crowd.send("tg:1", 50, suffixes=(".jpg",))
    await crowd.send("tg:1", 40)
    await crowd.send("tg:1", 50, suffixes=(".jpg",))
    assert len(crowd.through) == 140
    for _ in range(300):
        crowd.now += 0.3
        await crowd.send("tg:1")
    assert (len(crowd.through), crowd.told) == (440, [])


async def test_a_flood_is_told_once_in_a_pause_and_holds_nobody_else_up() -> None:
    crowd = Crowd()
    await crowd.send("tg:1", 100)
    await crowd.send("tg:2", 5)
    assert crowd.through == ["tg:1"] * 5 + ["tg:2"] * 5
    assert crowd.told == [("tg:1", "slow.down", 10)]
    crowd.now = 9.9
    await crowd.send("tg:1", 100)
    assert len(crowd.told) == 1
    crowd.now = 10.1
    await crowd.send("tg:1", 3)
    assert crowd.through.count("tg:1") == 8, "after the pause it goes on"
    await crowd.send("tg:1", 3)
    assert crowd.told == [("tg:1", "slow.down", 10)] * 2


async def test_photos_that_did_not_get_through_are_counted_and_told() -> None:
    crowd = Crowd()
    await crowd.send("tg:1", 10, suffixes=(".jpg",))
    assert (len(crowd.through), crowd.told) == (4, [("tg:1", "slow.down", 30)])
    await crowd.send("tg:1", 7)
    await crowd.looked()
    assert len(crowd.told) == 1, "not before the pause is over"
    crowd.now = 31
    await crowd.looked()
    assert crowd.told[1:] == [("tg:1", "slow.photos", 6)]
    crowd.now = 100
    await crowd.looked()
    assert len(crowd.told) == 2


async def test_photos_are_told_too_where_one_pause_follows_another() -> None:
    crowd = Crowd()
    await crowd.send("tg:1", 6, suffixes=(".jpg",))
    crowd.now = 31
    await crowd.send("tg:1", 3, suffixes=(".jpg",))
    # One more came through; which of the two sentences stands first is no matter.
    assert len(crowd.through) == 5
    assert sorted(crowd.told[1:]) == [("tg:1", "slow.down", 30), ("tg:1", "slow.photos", 2)]


async def test_a_zip_counts_as_many_photos() -> None:
    crowd = Crowd(photos=15)
    await crowd.send("tg:1", 2, suffixes=(".zip",))
    assert len(crowd.through) == 1
    assert crowd.told == [("tg:1", "slow.down", 40)]


async def test_more_than_a_bucket_holds_is_taken_once() -> None:
    crowd = Crowd(photos=1)
    await crowd.send("tg:1", 2, suffixes=(".zip", ".jpg", ".jpg"))
    assert len(crowd.through) == 1


async def test_without_limits_everybody_passes() -> None:
    crowd = Crowd(messages=0, photos=0)
    await crowd.send("tg:1", 500)
    await crowd.send("tg:1", 500, suffixes=(".jpg",))
    assert (len(crowd.through), crowd.told) == (1000, [])


async def test_a_crowd_of_strangers_costs_no_memory() -> None:
    crowd = Crowd(messages=4, photos=1)
    for number in range(MOST_KEYS + 50):
        await crowd.send(f"tg:{number}", 2)
    assert len(crowd.gate._pauses) == MOST_KEYS
    crowd.now = 1000
    await crowd.looked()
    assert not crowd.gate._pauses
