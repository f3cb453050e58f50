"""Loss and speed as people see them."""

import time
from dataclasses import dataclass, field

from torch import Tensor

from trainer.run import Phase, Progress

REPORT_S = 0.25
SMOOTHING = 0.9


class DivergedError(Exception):
    """The loss is not a number any more."""


@dataclass(slots=True)
class Meter:
    """The device is asked for its losses only when a report is due: each question waits for it."""

    total: int
    step: int = 0
    loss: float | None = None
    speed: float | None = None
    mean: float | None = None
    beside_s: float = 0.0  # what is yet to come between steps: samples
    _sum: Tensor | None = None
    _count: int = 0
    _read_at: float = field(default_factory=time.monotonic)

    @property
    def due(self) -> bool:
        return time.monotonic() - self._read_at >= REPORT_S

    def add(self, value: Tensor, step: int) -> None:
        self._sum = value if self._sum is None else self._sum + value
        self._count += 1
        self.step = step

    def read(self) -> Progress:
        """Raises DivergedError when one of the losses since the last reading was not finite."""
        now = time.monotonic()
        if self._sum is not None and self._count:
            mean = float(self._sum) / self._count
            if mean != mean or mean in (float("inf"), float("-inf")):  # noqa: PLR0124  a NaN
                raise DivergedError(f"loss {mean} at step {self.step}")
            self.mean = mean
            self.loss = mean if self.loss is None else _blend(self.loss, mean)
            speed = self._count / max(1e-6, now - self._read_at)
            self.speed = speed if self.speed is None else _blend(self.speed, speed)
        self._sum, self._count, self._read_at = None, 0, now
        return self.progress()

    def pause(self) -> None:
        """What was done between two steps is no part of their speed."""
        self._read_at = time.monotonic()

    def progress(self, phase: Phase = Phase.TRAINING) -> Progress:
        left = None
        if self.speed is not None:
            left = (self.total - self.step) / self.speed + self.beside_s
        return Progress(
            phase=phase,
            step=self.step,
            total=self.total,
            loss=self.loss,
            steps_per_s=self.speed,
            eta_s=left,
        )


def _blend(old: float, new: float) -> float:
    return SMOOTHING * old + (1 - SMOOTHING) * new
