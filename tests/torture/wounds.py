"""How long a job that was hit does not run: from the blow to the next look that sees it go on.

Pure: times and rows come in as arguments.
"""

import math
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.torture.blows import Kind


@dataclass(frozen=True, slots=True)
class Row:
    """One job as it is now, for its workers. ``turn`` counts its claims; ``holder`` is the pid that
    has it, and ``renewed_at`` when, by the clock on the wall, it last said so.
    """

    turn: int
    running: bool
    ended: bool
    holder: int = 0
    renewed_at: float = field(default=0.0, compare=False)  # it moves nothing on


@dataclass(slots=True)
class Wound:
    """``renewed_at``: its holder was not hit, and a sign of life after that is enough."""

    kind: Kind
    job: str
    turn: int
    at_s: float
    crowded_s: float = 0.0
    renewed_at: float = math.inf


@dataclass(frozen=True, slots=True)
class Healed:
    """``crowded_s`` of the gap no worker was free to take the job."""

    kind: Kind
    job: str
    gap_s: float
    crowded_s: float = 0.0


class Wounds:
    """Those that are open, and those that have healed."""

    def __init__(self) -> None:
        self.open: list[Wound] = []
        self.healed: list[Healed] = []
        self._looked_s = 0.0

    def strike(self, kind: Kind, holder: int, rows: Mapping[str, Row], now_s: float) -> int:
        """The holder's jobs are hit; one that is hit again begins to wait anew. How many."""
        hit = [(job, row) for job, row in rows.items() if row.running and row.holder == holder]
        for job, row in hit:
            self.open = [wound for wound in self.open if wound.job != job]
            self.open.append(Wound(kind, job, row.turn, now_s))
        return len(hit)

    def strike_all(self, kind: Kind, rows: Mapping[str, Row], now_s: float, wall_s: float) -> int:
        """What all need was hit: each job that runs, unless it waits already. How many."""
        waiting = {wound.job for wound in self.open}
        hit = [(job, row) for job, row in rows.items() if row.running and job not in waiting]
        for job, row in hit:
            self.open.append(Wound(kind, job, row.turn, now_s, renewed_at=wall_s))
        return len(hit)

    def thawed(self, holder: int, rows: Mapping[str, Row], now_s: float) -> None:
        """A frozen holder that still has its job goes on with it."""
        for wound in list(self.open):
            row = rows.get(wound.job)
            if row and row.running and row.turn == wound.turn and row.holder == holder:
                self._heal(wound, now_s)

    def look(self, rows: Mapping[str, Row], now_s: float, *, crowded: bool = False) -> None:
        """``crowded``: since the last look no worker was free."""
        for wound in list(self.open):
            if crowded:
                wound.crowded_s += now_s - max(self._looked_s, wound.at_s)
            row = rows.get(wound.job)
            if row and (row.ended or (row.running and _goes_on(row, wound))):
                self._heal(wound, now_s)
        self._looked_s = now_s

    def _heal(self, wound: Wound, now_s: float) -> None:
        self.open.remove(wound)
        self.healed.append(Healed(wound.kind, wound.job, now_s - wound.at_s, wound.crowded_s))

    def gaps(self, kinds: Iterable[Kind]) -> list[float]:
        wanted = set(kinds)
        return [one.gap_s for one in self.healed if one.kind in wanted]

    def own_gaps(self, kinds: Iterable[Kind]) -> list[float]:
        """The same without the time in which nobody was free."""
        wanted = set(kinds)
        return [one.gap_s - one.crowded_s for one in self.healed if one.kind in wanted]


def _goes_on(row: Row, wound: Wound) -> bool:
    return row.turn > wound.turn or row.renewed_at > wound.renewed_at


def summary(gaps: list[float]) -> tuple[float, float]:
    """Median and maximum, in seconds; zeros where there is none."""
    return (statistics.median(gaps), max(gaps)) if gaps else (0.0, 0.0)
