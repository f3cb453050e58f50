"""Which saved step is recommended, and what a torn file of scores still tells."""

from pathlib import Path

import pytest

from trainer import history, scores
from trainer.scores import Choice, Scored, choose, plateau


def alike(*values: float) -> list[Scored]:
    return [Scored(step=100 * n, likeness=value) for n, value in enumerate(values, start=1)]


def held_out(*values: float) -> list[Scored]:
    return [Scored(step=100 * n, held_out=value) for n, value in enumerate(values, start=1)]


@pytest.mark.parametrize(
    ("scored", "choice"),
    [
        ([], None),
        (alike(0.2, 0.6, 0.75, 0.76, 0.76), Choice(step=300, by="likeness")),
        (alike(0.2, 0.6, 0.7, 0.75, 0.6), Choice(step=400, by="likeness")),
        (held_out(0.3, 0.2, 0.1005, 0.1, 0.12), Choice(step=300, by="held_out")),
        ([Scored(step=5), Scored(step=9)], Choice(step=9, by="last")),
        (alike(-0.3, -0.2), Choice(step=200, by="likeness")),
    ],
)
def test_the_earliest_that_is_as_good_as_the_best(
    scored: list[Scored], choice: Choice | None
) -> None:
    assert choose(scored) == choice
    assert choose(scored[::-1]) == choice


def test_steps_whose_samples_are_no_pictures_are_never_recommended() -> None:
    scored = [
        Scored(step=100, likeness=0.5, spoilt=0.0),
        Scored(step=200, likeness=0.9, spoilt=0.5),
    ]
    assert choose(scored) == Choice(step=100, by="likeness")
    assert choose([Scored(step=200, likeness=0.9, spoilt=1.0)]) == Choice(step=200, by="last")


def test_likeness_is_asked_before_the_loss() -> None:
    scored = [
        Scored(step=100, likeness=0.9, held_out=0.3),
        Scored(step=200, likeness=0.5, held_out=0.1),
        Scored(step=300, held_out=0.01),
    ]
    assert choose(scored) == Choice(step=100, by="likeness")


@pytest.mark.parametrize(
    ("values", "patience", "over"),
    [
        ((0.1, 0.5, 0.7), 3, False),
        ((0.1, 0.7, 0.7, 0.69, 0.7), 3, True),
        ((0.1, 0.7, 0.7, 0.69, 0.8), 3, False),
        ((0.7, 0.7), 3, False),
    ],
)
def test_a_run_is_over_when_nothing_becomes_better(
    values: tuple[float, ...], patience: int, *, over: bool
) -> None:
    assert plateau(alike(*values), patience) is over
    assert plateau(held_out(*(-value for value in values)), patience) is over


def test_scores_survive_a_kill_and_a_repetition(tmp_path: Path) -> None:
    assert scores.read(tmp_path) == []
    first, second = alike(0.5, 0.6)
    for one in (first, second, Scored(step=200, likeness=0.7)):
        scores.append(tmp_path, one)
    with (tmp_path / scores.NAME).open("a") as file:
        file.write('{"step": 300, "likel')
    assert scores.read(tmp_path) == [first, Scored(step=200, likeness=0.7)]


def test_what_a_resumed_run_did_again_replaces_the_curve(tmp_path: Path) -> None:
    assert history.read(tmp_path) == []
    for step, loss in ((1, 0.5), (10, 0.4), (20, 0.3), (12, 0.35), (22, 0.25)):
        history.append(tmp_path, step, loss)
    with (tmp_path / history.NAME).open("a") as file:
        file.write('{"step": 33')
    assert history.read(tmp_path) == [(1, 0.5), (10, 0.4), (12, 0.35), (22, 0.25)]
