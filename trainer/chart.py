"""Loss and scores of a run as one picture for a chat: readable on a phone, light or dark."""

import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from trainer import history, scores
from trainer.scores import Scored

NAME = "chart.png"
SIZE = (1200, 675)
OVER = 2  # drawn larger, and brought down: smooth lines
LEFT, RIGHT, TOP, BOTTOM = 110, 110, 90, 80
POINTS = 600  # more of them than the chart is wide show nothing
SMOOTHING = 0.9
GROUND, GRID, INK, FAINT = (24, 26, 32), (52, 56, 66), (222, 226, 234), (92, 112, 150)
LOSS, SCORE, CHOSEN = (110, 168, 254), (255, 190, 92), (120, 220, 140)
Point = tuple[float, float]


def draw(work: Path) -> Path:
    """``chart.png`` in the run's folder, from what the run has written there."""
    path = work / NAME
    making = path.with_suffix(".tmp")
    scored = scores.read(work)
    choice = scores.choose(scored)
    picture(history.read(work), scored, choice.step if choice else None).save(making, format="PNG")
    making.rename(path)
    return path


def picture(
    losses: Sequence[tuple[int, float]], scored: Sequence[Scored], chosen: int | None
) -> Image.Image:
    """``losses`` as (step, loss); scores as dots on a scale of their own, on the right."""
    return _Chart(
        [(float(step), loss) for step, loss in losses if math.isfinite(loss)], scored, chosen
    ).draw()


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from ``low`` to ``high``: 1, 2 or 5 times a power of ten apart."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    apart = next(power * one for one in (1, 2, 5, 10) if power * one >= rough)
    first = math.ceil(low / apart - 1e-9)
    return [n * apart for n in range(first, math.floor(high / apart + 1e-9) + 1)]


def smoothed(points: Sequence[Point]) -> list[Point]:
    """An exponential mean that does not start at the first value alone."""
    total = weight = 0.0
    found = []
    for x, y in points:
        total, weight = SMOOTHING * total + y, SMOOTHING * weight + 1
        found.append((x, total / weight))
    return found


def thinned(points: Sequence[Point]) -> list[Point]:
    """At most POINTS, each the mean of those that it stands for."""
    each = -(-len(points) // POINTS)
    if each <= 1:
        return list(points)
    parts = [points[start : start + each] for start in range(0, len(points), each)]
    return [(part[-1][0], sum(y for _, y in part) / len(part)) for part in parts]


class _Chart:
    def __init__(
        self, losses: Sequence[Point], scored: Sequence[Scored], chosen: int | None
    ) -> None:
        self.losses, self.chosen = thinned(losses), chosen
        self.by, values = scores.curve(scored)
        self.scores = [(float(step), value) for step, value in values]
        self.end = max([1.0, *(x for x, _ in [*self.losses, *self.scores])])
        self.image = Image.new("RGB", (SIZE[0] * OVER, SIZE[1] * OVER), GROUND)
        self.pen = ImageDraw.Draw(self.image)

    def draw(self) -> Image.Image:
        curve = smoothed(self.losses)
        loss_range = _range([y for _, y in self.losses], low_share=0.02, high_share=0.98)
        score_range = _range([y for _, y in self.scores])
        self._axes(loss_range, score_range)
        self._line([self._at(p, loss_range) for p in self.losses], FAINT, 1.2)
        self._line([self._at(p, loss_range) for p in curve], LOSS, 3.5)
        self._line([self._at(p, score_range) for p in self.scores], SCORE, 2.0)
        for point in self.scores:
            self._dot(self._at(point, score_range), SCORE, 7)
        self._mark(score_range)
        self._legend()
        return self.image.reduce(OVER)

    def _axes(self, loss_range: Point, score_range: Point) -> None:
        for value in ticks(*loss_range):
            _, y = self._at((0, value), loss_range)
            self.pen.line([LEFT * OVER, y, (SIZE[0] - RIGHT) * OVER, y], GRID, OVER)
            self._text((LEFT - 14, y / OVER), f"{value:.4g}", LOSS, "rm")
        if self.scores:
            for value in ticks(*score_range):
                _, y = self._at((0, value), score_range)
                self._text((SIZE[0] - RIGHT + 14, y / OVER), f"{value:.3g}", SCORE, "lm")
        for value in ticks(0, self.end, 8):
            x, _ = self._at((value, 0), loss_range)
            self._text((x / OVER, SIZE[1] - BOTTOM + 26), f"{value:g}", INK, "mm")
        self._text((SIZE[0] / 2, SIZE[1] - 22), "step", INK, "mm")

    def _mark(self, score_range: Point) -> None:
        """The step that is recommended."""
        if self.chosen is None:
            return
        x, _ = self._at((self.chosen, score_range[0]), score_range)
        self.pen.line([x, TOP * OVER, x, (SIZE[1] - BOTTOM) * OVER], CHOSEN, 2 * OVER)
        for step, value in self.scores:
            if step == self.chosen:
                self._dot(self._at((step, value), score_range), CHOSEN, 10)

    def _legend(self) -> None:
        self._text((LEFT, 44), "loss", LOSS, "lm")
        if self.scores:
            self._text((LEFT + 120, 44), self.by, SCORE, "lm")
        if self.chosen is not None:
            self._text((SIZE[0] - RIGHT, 44), f"best: step {self.chosen}", CHOSEN, "rm")

    def _at(self, point: Point, span: Point) -> Point:
        x, y = point
        low, high = span
        share = min(1.05, max(-0.02, (y - low) / (high - low)))
        wide, tall = SIZE[0] - LEFT - RIGHT, SIZE[1] - TOP - BOTTOM
        return (LEFT + wide * x / self.end) * OVER, (SIZE[1] - BOTTOM - tall * share) * OVER

    def _line(self, points: Sequence[Point], colour: tuple[int, int, int], width: float) -> None:
        if len(points) > 1:
            self.pen.line(points, colour, round(width * OVER), joint="curve")

    def _dot(self, at: Point, colour: tuple[int, int, int], radius: float) -> None:
        r = radius * OVER
        self.pen.ellipse((at[0] - r, at[1] - r, at[0] + r, at[1] + r), colour, GROUND, OVER)

    def _text(self, at: Point, text: str, colour: tuple[int, int, int], anchor: str) -> None:
        font = ImageFont.load_default(24 * OVER)
        self.pen.text((at[0] * OVER, at[1] * OVER), text, colour, font, anchor)


def _range(values: Sequence[float], low_share: float = 0, high_share: float = 1) -> Point:
    """What an axis shows: without a few that lie far out, and never nothing."""
    if not values:
        return 0.0, 1.0
    ordered = sorted(values)
    low = ordered[int(low_share * (len(ordered) - 1))]
    high = ordered[math.ceil(high_share * (len(ordered) - 1))]
    room = 0.06 * (high - low) or max(abs(high), 1e-3) * 0.05
    return low - room, high + room
