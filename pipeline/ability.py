"""What this worker can train: the bases that are installed here, and those that fit its card."""

import asyncio
import logging
from collections.abc import Mapping, Sequence

from pipeline import fits
from storage.bases import Base
from storage.job import SPEC
from storage.roster import Card
from storage.worker_store import KNOWS, TIGHT
from trainer import memory

log = logging.getLogger(__name__)


class Ability:
    """``gpu`` is the card that this worker trains on, by its number; None: the first."""

    def __init__(self, bases: Mapping[str, Base], gpu: int | None = None) -> None:
        self._bases = [base for base in bases.values() if base.installed]
        self._gpu = gpu or 0
        self._all_bytes: int | None = None
        self._tight: frozenset[str] = frozenset()

    async def measure(self, cards: Sequence[Card]) -> None:
        """As soon as the driver has said how large the card is."""
        sizes = {card.number: card.all_bytes for card in cards}
        found = sizes.get(self._gpu)
        if found is None or found == self._all_bytes:
            return
        self._all_bytes = found
        self._tight = await asyncio.to_thread(too_large, self._bases, found - memory.CONTEXT)
        if self._tight:
            log.warning("too large for this card: %s", ", ".join(sorted(self._tight)))

    @property
    def labels(self) -> list[str]:
        """For the others: what can be left to this worker."""
        ids = sorted(base.id for base in self._bases)
        tight = [f"{TIGHT}{one}" for one in ids if one in self._tight]
        return [one for one in ids if one not in self._tight] + tight + [f"{KNOWS}{SPEC}"]

    def claims(self, others: frozenset[str]) -> frozenset[str]:
        """Bases whose jobs it takes, where living workers have the labels ``others``. What does not
        fit is left to whoever it fits; where there is nobody, the trainer says why not.
        """
        mine = frozenset(base.id for base in self._bases)
        return mine - (self._tight & others)


def too_large(bases: Sequence[Base], free: int) -> frozenset[str]:
    """Those that are known not to fit into so many bytes, whatever is given up."""
    return frozenset(base.id for base in bases if fits.verdict(base, free) == fits.NO)
