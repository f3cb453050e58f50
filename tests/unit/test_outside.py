"""Scores that somebody else writes beside a run, and what they decide."""

import time
from pathlib import Path

import pytest

from trainer import outside, scores
from trainer.outside import Seen
from trainer.scores import Choice, Scored, choose


def drawn(work: Path, *steps: int) -> None:
    (work / "samples").mkdir()
    for step in steps:
        (work / "samples" / f"{step:06}.png").touch()
        (work / "samples" / f"{step:06}-1.png").touch()
        scores.append(work, Scored(step=step, likeness=0.5))


def persons(*values: float | None, among: float = 0.9) -> list[Scored]:
    return [
        Scored(step=100 * n, likeness=0.5, faces=value, among=among)
        for n, value in enumerate(values, start=1)
    ]


def test_what_is_written_is_read_beside_our_own_scores(tmp_path: Path) -> None:
    drawn(tmp_path, 5, 10)
    outside.write(tmp_path, 10, Seen(faces=0.6, among=0.7))
    first, second = scores.read(tmp_path)
    assert (first.faces, second.faces, second.among, second.likeness) == (None, 0.6, 0.7, 0.5)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", '{"faces": "much"}', '{"faces": NaN}', '{"faces": true, "x": 1}']
)
def test_what_is_no_score_of_ours_is_nothing_measured(tmp_path: Path, text: str) -> None:
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "000005.json").write_text(text)
    assert outside.read(tmp_path).get(5, Seen()) == Seen()


def test_the_end_waits_for_scores_that_are_missing_and_not_for_ever(tmp_path: Path) -> None:
    drawn(tmp_path, 5, 10)
    outside.write(tmp_path, 5, Seen())
    began = time.monotonic()
    outside.wait(tmp_path, within_s=0.3)
    assert 0.3 <= time.monotonic() - began < 3
    outside.write(tmp_path, 10, Seen())
    began = time.monotonic()
    outside.wait(tmp_path, within_s=30)
    assert time.monotonic() - began < 5


def test_samples_that_are_drawn_anew_have_no_score(tmp_path: Path) -> None:
    drawn(tmp_path, 5)
    outside.write(tmp_path, 5, Seen(faces=0.9))
    outside.forget(tmp_path, 5)
    outside.forget(tmp_path, 5)
    assert outside.read(tmp_path) == {}


@pytest.mark.parametrize(
    ("scored", "choice"),
    [
        # The earliest that is as like as the best one,
        (persons(0.2, 0.5, 0.61, 0.63), Choice(step=300, by="faces")),
        # or as like as the photos are to each other.
        (persons(0.2, 0.55, 0.7, 0.75, among=0.5), Choice(step=200, by="faces")),
        # One step was not looked at: no comparing of what is not comparable.
        (persons(0.2, None, 0.9), Choice(step=100, by="likeness")),
        # Strangers: nothing can be learned from them.
        (persons(0.05, 0.1, 0.12), Choice(step=100, by="likeness")),
    ],
)
def test_faces_decide_where_the_person_is_recognised(scored: list[Scored], choice: Choice) -> None:
    assert choose(scored) == choice


def test_a_step_that_no_longer_follows_prompts_is_passed_over() -> None:
    scored = [
        Scored(step=100, likeness=0.9, obeys=0.2),
        Scored(step=200, likeness=0.9, obeys=0.9),
        Scored(step=300, likeness=0.9, obeys=0.7),
    ]
    assert choose(scored) == Choice(step=200, by="likeness")


def test_a_burnt_step_is_never_recommended() -> None:
    scored = [Scored(step=100, likeness=0.5), Scored(step=200, likeness=0.9, burnt=0.4)]
    assert choose(scored) == Choice(step=100, by="likeness")


def test_a_chart_shows_what_decided() -> None:
    assert scores.curve(persons(0.2, 0.5)) == ("likeness of the face", [(100, 0.2), (200, 0.5)])
    assert scores.curve([Scored(step=5, likeness=0.3)]) == ("likeness", [(5, 0.3)])
    assert scores.curve([Scored(step=5, held_out=0.1)]) == ("held-out loss", [(5, 0.1)])
