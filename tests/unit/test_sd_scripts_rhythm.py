"""Equal distances for what our shares of a run ask of sd-scripts."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.jobs import PARAMS
from trainer.backends.sd_scripts_run import rhythm
from trainer.run import Prompt, RunSpec

PATH = Path("x")


def spec(steps: int, accumulation: int = 1, prompts: int = 1) -> RunSpec:
    params = replace(PARAMS, max_steps=steps, gradient_accumulation=accumulation)
    asked = tuple(Prompt(text="a") for _ in range(prompts))
    return RunSpec(params=params, base=PATH, dataset=PATH, output=PATH, work=PATH, prompts=asked)


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(1500, (125, 375)), (1000, (125, 250)), (24, (2, 6)), (1001, (125, 250)), (600, (50, 150))],
)
def test_steps_are_kept_and_drawn_at_our_shares(steps: int, expected: tuple[int, int]) -> None:
    assert rhythm(spec(steps)) == expected


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 7, 16, 97, 499, 1999, 3000])
@pytest.mark.parametrize("accumulation", [1, 2, 7])
def test_samples_are_of_steps_that_are_kept(steps: int, accumulation: int) -> None:
    keep, sample = rhythm(spec(steps, accumulation))
    assert keep >= 1
    assert sample % keep == 0
    assert keep % accumulation == 0


@pytest.mark.parametrize("steps", [16, 97, 499, 1999, 3000])
def test_the_last_samples_are_near_the_end(steps: int) -> None:
    _, sample = rhythm(spec(steps))
    assert steps - steps // sample * sample < 4


def test_without_prompts_nothing_is_drawn() -> None:
    assert rhythm(spec(1500, prompts=0)) == (150, 0)
    assert rhythm(replace(spec(1500, prompts=0), save_at=())) == (150, 0)
