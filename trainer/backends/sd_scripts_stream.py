"""What sd-scripts says while it trains, read byte for byte. Pure.

Its bar is redrawn with carriage returns, twice for each step, and stands between lines of other
bars and of logs: ``steps:  33%|##  | 2/6 [00:04<00:09,  2.45s/it, avr_loss=1.19]``.
"""

import math
import re
from collections import deque
from dataclasses import dataclass, field

from trainer.run import Phase, Progress

BREAK = re.compile(rb"[\r\n]")
CURSOR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # a bar below another moves it
STEPS = re.compile(r"(?<!validation )\bsteps: +\d+%\|[^|]*\| *(\d+)/(\d+) \[([^\]]*)\]?")
RATE = re.compile(r"([\d.]+)(s/it|it/s)")
LOSS = re.compile(r"avr_loss=([-+.\w]+)")
BAR = re.compile(r"\d+%\|.*\| *\d+/\d+ \[|\| *\d+/\d+ \[|\d+it \[")
# In the order in which they are met; the first word of a line that is found decides.
PHASES = (
    ("prepare images", Phase.ENCODING),
    ("caching latents", Phase.ENCODING),
    ("caching Text Encoder outputs", Phase.ENCODING),
    ("running training", Phase.TRAINING),
    ("generating sample images", Phase.SAMPLING),
    ("saving checkpoint", Phase.SAVING),
    ("saving state", Phase.SAVING),
)
SECRET = ("prompt:", "caption", "class_tokens")  # lines that tell what people wrote
NO_PICTURES = "No data found"
LINE_BYTES = 64_000
TAIL = 40  # lines
LEAST_STEPS, LEAST_SHARE = 5, 0.08  # between two points of the loss's curve


@dataclass(slots=True)
class Lines:
    """Bytes in pieces of any size; lines out, each whole and without its end."""

    _rest: bytes = b""

    def feed(self, data: bytes) -> list[str]:
        *whole, self._rest = BREAK.split(self._rest + data)
        # What never ends is no line: only its beginning is kept.
        self._rest = self._rest[:LINE_BYTES]
        return [line.decode("utf-8", "replace") for line in whole if line]

    def end(self) -> list[str]:
        rest, self._rest = self._rest, b""
        return [rest.decode("utf-8", "replace")] if rest else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """The bar: ``done`` of ``total`` steps of this process. A loss can be nan."""

    done: int
    total: int
    steps_per_s: float | None
    loss: float | None


def tick(line: str) -> Tick | None:
    found = STEPS.search(line)
    if found is None:
        return None
    rate, loss = RATE.search(found[3]), LOSS.search(found[3])
    return Tick(
        done=int(found[1]),
        total=int(found[2]),
        steps_per_s=_speed(float(rate[1]), rate[2]) if rate else None,
        loss=_number(loss[1]) if loss else None,
    )


def _speed(value: float, unit: str) -> float | None:
    if unit == "it/s":
        return value
    return 1 / value if value else None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


@dataclass(slots=True, kw_only=True)
class Reader:
    """What has been heard so far. ``start`` is the step that this process goes on from, ``total``
    the run's steps. ``tail`` are the last lines that are neither bars nor people's words, ``said``
    those since somebody took them away; ``means`` the same for points of the loss's curve.
    """

    total: int
    start: int = 0
    step: int = 0
    loss: float | None = None
    steps_per_s: float | None = None
    phase: Phase = Phase.LOADING
    diverged: bool = False
    no_pictures: bool = False
    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL))
    said: list[str] = field(default_factory=list)
    means: list[tuple[int, float]] = field(default_factory=list)
    _mark: tuple[int, float] = (0, 0.0)
    _lines: Lines = field(default_factory=Lines)

    def __post_init__(self) -> None:
        self.step = self.start

    def feed(self, data: bytes) -> list[Progress]:
        """The changes in a piece of output; one for each step and each phase."""
        return self._hear(self._lines.feed(data))

    def end(self) -> list[Progress]:
        return self._hear(self._lines.end())

    def _hear(self, lines: list[str]) -> list[Progress]:
        return [told for line in lines if (told := self._line(line)) is not None]

    def _line(self, line: str) -> Progress | None:
        before = (self.phase, self.step, self.loss)
        line = CURSOR.sub("", line)
        seen = tick(line)
        if seen is not None:
            self._bar(seen)
        elif not BAR.search(line):
            self._words(line)
        return self.progress() if (self.phase, self.step, self.loss) != before else None

    def _bar(self, seen: Tick) -> None:
        step = min(self.start + seen.done, self.total)
        if step > self.step or self.phase is Phase.LOADING:
            self.phase = Phase.TRAINING
        elif seen.loss is not None and self.phase in (Phase.SAMPLING, Phase.SAVING):
            # The second print of a step comes after what is done between two steps.
            self.phase = Phase.TRAINING
        self.step = max(self.step, step)
        self.steps_per_s = seen.steps_per_s or self.steps_per_s
        if seen.loss is not None:
            self.diverged = self.diverged or not math.isfinite(seen.loss)
            self.loss = seen.loss if math.isfinite(seen.loss) else self.loss
            self._mean(seen.done, seen.loss)

    def _mean(self, done: int, average: float) -> None:
        """Its loss is the mean over all of its steps, in three digits: two of them tell the mean
        between, if they are far enough apart.
        """
        before, earlier = self._mark
        if math.isfinite(average) and done - before >= max(LEAST_STEPS, before * LEAST_SHARE):
            between = (average * done - earlier * before) / (done - before)
            self.means.append((self.start + done, max(0.0, between)))
            self._mark = done, average

    def _words(self, line: str) -> None:
        for words, phase in PHASES:
            if words in line:
                self.phase = phase
                break
        self.no_pictures = self.no_pictures or NO_PICTURES in line
        if line.strip() and not any(word in line for word in SECRET):
            self.tail.append(line.rstrip())
            self.said.append(line.rstrip())

    def progress(self) -> Progress:
        left = self.total - self.step
        return Progress(
            phase=self.phase,
            step=self.step,
            total=self.total,
            loss=self.loss,
            steps_per_s=self.steps_per_s,
            eta_s=left / self.steps_per_s if self.steps_per_s else None,
        )
