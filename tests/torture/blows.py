"""What happens to whom and when: decided beforehand from the seed. Pure."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    WORKER_KILL = "worker kill -9"
    WORKER_NAP = "worker frozen, less than a lease"
    WORKER_FREEZE = "worker frozen past its lease"
    WORKER_STOP = "worker SIGTERM"
    TRAINER_KILL = "trainer kill -9"
    BOT_KILL = "bot kill -9"
    BOT_FREEZE = "bot frozen"
    REDIS_KILL = "redis kill -9"
    REDIS_FREEZE = "redis frozen"
    DATABASE_KILL = "database kill -9"
    DATABASE_FREEZE = "database frozen"
    DATABASE_LOCK = "database locked by another"


WEIGHTS: Mapping[Kind, int] = {
    Kind.WORKER_KILL: 6,
    Kind.WORKER_NAP: 2,
    Kind.WORKER_FREEZE: 3,
    Kind.WORKER_STOP: 2,
    Kind.TRAINER_KILL: 2,
    Kind.BOT_KILL: 3,
    Kind.BOT_FREEZE: 1,
    Kind.REDIS_KILL: 2,
    Kind.REDIS_FREEZE: 1,
}
# What falls on the database itself: its server is killed whole and started again, or frozen; an
# SQLite file has no server, but others may write into it.
ON_POSTGRES: Mapping[Kind, int] = {Kind.DATABASE_KILL: 2, Kind.DATABASE_FREEZE: 1}
ON_SQLITE: Mapping[Kind, int] = {Kind.DATABASE_LOCK: 1}
RARER = 5  # blows on the database: each of them hits everybody
# How long a freeze lasts, or a server stays away, in leases.
FREEZES: Mapping[Kind, tuple[float, float]] = {
    Kind.WORKER_NAP: (0.1, 0.6),
    Kind.WORKER_FREEZE: (1.3, 2.5),
    Kind.BOT_FREEZE: (0.3, 2.0),
    Kind.REDIS_FREEZE: (0.3, 1.5),
    Kind.DATABASE_KILL: (0.1, 1.0),
    Kind.DATABASE_FREEZE: (0.3, 2.0),
    Kind.DATABASE_LOCK: (0.3, 2.0),
}


@dataclass(frozen=True, slots=True)
class Blow:
    """``dice`` in 0..1 picks the victim among those that are there; ``lasts_s`` of a freeze, or
    until a server is started again.
    """

    at_s: float
    kind: Kind
    dice: float
    lasts_s: float = 0.0


def planned(
    seed: int | str,
    for_s: float,
    every_s: float,
    lease_s: float,
    weights: Mapping[Kind, int] = WEIGHTS,
) -> list[Blow]:
    """Blows at random times, ``every_s`` apart on average; the same for the same seed."""
    dice = random.Random(seed)
    kinds, shares = list(weights), list(weights.values())
    found: list[Blow] = []
    at = dice.expovariate(1 / every_s)
    while at < for_s:
        (kind,) = dice.choices(kinds, shares)
        least, most = FREEZES.get(kind, (0.0, 0.0))
        lasts_s = lease_s * dice.uniform(least, most)
        found.append(Blow(at, kind, dice.random(), lasts_s))
        at += dice.expovariate(1 / every_s)
    return found
