"""The chart of loss and scores: what is where, whatever the numbers are."""

import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainer import chart, history, scores
from trainer.scores import Scored


def has(picture: Image.Image, colour: tuple[int, int, int]) -> int:
    """How many pixels are of this colour."""
    return int((np.asarray(picture) == colour).all(axis=2).sum())


def test_the_curve_falls_where_the_loss_does() -> None:
    picture = chart.picture([(step, 1 - step / 600) for step in range(1, 500)], [], None)
    rows = (np.asarray(picture) == chart.LOSS).all(axis=2)[chart.TOP :, chart.LEFT :]
    left, right = (np.nonzero(rows[:, at : at + 60])[0].mean() for at in (30, 400))
    assert left < right  # rows count from the top


def test_the_recommended_step_is_marked_at_its_place() -> None:
    scored = [Scored(step=step, likeness=0.5 + step / 4000) for step in range(100, 1001, 100)]
    picture = chart.picture([(1, 0.5), (1000, 0.1)], scored, 500)
    columns = np.nonzero((np.asarray(picture) == chart.CHOSEN).all(axis=2)[200:500].any(axis=0))[0]
    wide = chart.SIZE[0] - chart.LEFT - chart.RIGHT
    assert np.median(columns) == pytest.approx(chart.LEFT + wide / 2, abs=8)
    assert has(picture, chart.SCORE) > 100


@pytest.mark.parametrize(
    "losses",
    [
        [],
        [(1, 0.5)],
        [(1, 0.5), (2, 0.5)],
        [(1, float("nan")), (2, 0.5), (3, float("inf"))],
        [(step, 1e30 * step) for step in range(1, 9)],
        [(step, random.Random(step).random()) for step in range(1, 100_001)],
    ],
)
def test_any_numbers_make_a_chart(losses: list[tuple[int, float]]) -> None:
    assert chart.picture(losses, [], None).size == chart.SIZE
    assert chart.picture(losses, [Scored(step=3, held_out=0.2)], 3).size == chart.SIZE


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0.11, 0.13), (0, 1300), (-0.2, 0.9), (5, 5)])
def test_ticks_are_few_and_round(low: float, high: float) -> None:
    found = chart.ticks(low, high)
    assert 1 <= len(found) <= 8
    assert all(low - 1e-9 <= one <= high + 1e-9 for one in found)


def test_a_chart_is_drawn_from_what_the_run_has_written(tmp_path: Path) -> None:
    for step in range(1, 50):
        history.append(tmp_path, step, 1 / step)
    scores.append(tmp_path, Scored(step=20, likeness=0.8))
    with Image.open(chart.draw(tmp_path)) as picture:
        assert picture.size == chart.SIZE
        assert has(picture.convert("RGB"), chart.CHOSEN) > 50
