"""How often one person, or one address, may ask: a bucket that fills up again. Pure."""

from collections import OrderedDict
from dataclasses import dataclass

MOST_KEYS = 10_000  # the longest unused goes: a stranger with many names costs no memory


@dataclass(frozen=True, slots=True)
class Rate:
    """``burst`` at once, then ``per_s`` a second."""

    burst: float
    per_s: float


class Rates:
    """One bucket for each key, full at first."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, key: str, now: float, cost: float = 1.0) -> float:
        """0: go ahead, it is counted. Otherwise how many seconds to wait; nothing is counted. What
        costs more than a bucket holds takes all of it.
        """
        cost = min(cost, self._rate.burst)
        left, at = self._left.pop(key, (self._rate.burst, now))
        left = min(self._rate.burst, left + max(0.0, now - at) * self._rate.per_s)
        allowed = left >= cost
        self._left[key] = (left - cost if allowed else left, now)
        if len(self._left) > MOST_KEYS:
            self._left.popitem(last=False)
        return 0.0 if allowed else (cost - left) / self._rate.per_s
