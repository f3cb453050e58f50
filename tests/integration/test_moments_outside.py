"""A real run of a tiny base whose samples somebody else looks at, and what is left of its time."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.integration.test_moments import (
    few_sample_steps,
    run,
    spec_of,
)
from trainer import loop, outside
from trainer.outside import Seen
from trainer.run import SAVED, Message, Progress, Sampled

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("one_thread")]
__all__ = ["few_sample_steps"]


@pytest.mark.parametrize(("pick", "taken"), [("auto", 10), ("last", 20)])
def test_the_earliest_step_that_shows_the_person_is_taken(
    base: Path, pictures: Path, tmp_path: Path, pick: str, taken: int
) -> None:
    spec = spec_of(base, pictures, tmp_path, pick=pick)

    def look(message: Message) -> None:
        if isinstance(message, Sampled):
            outside.write(spec.work, message.step, Seen(faces=0.6, among=0.7))

    finished, _ = run(spec, look)
    assert (finished.taken, finished.recommended) == (taken, 10)
    saved = spec.work / SAVED / f"{taken:06}.safetensors"
    made, kept = load_file(spec.output), load_file(saved)
    assert made.keys() == kept.keys()
    assert all(torch.equal(made[name], kept[name]) for name in made)


def test_a_critic_that_never_comes_costs_its_time_and_nothing_else(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    spec = spec_of(base, pictures, tmp_path, max_steps=4)
    began = time.monotonic()
    finished = loop.train(replace(spec, scores_wait_s=1.0), lambda _: None, lambda: False)
    assert time.monotonic() - began > 1.0
    assert finished.taken == 4


def test_the_time_left_counts_the_samples_that_are_still_to_be_drawn(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    spec = spec_of(base, pictures, tmp_path, sample_at=(0.75, 1.0))
    _, said = run(spec)
    told = [one for one in said if isinstance(one, Progress) and one.eta_s is not None]
    (*_, after) = [one for one in told if one.step == 15]
    # One more grid is to come, and it takes its time.
    assert (after.eta_s or 0) > (after.total - after.step) / (after.steps_per_s or 1)
    assert told[-1].eta_s == pytest.approx(0, abs=0.01)
