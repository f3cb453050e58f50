"""How much a run draws: a third of its time, and never nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.jobs import PARAMS
from trainer import drawing
from trainer.presets import prompts_for
from trainer.run import RunSpec

PATH = Path("somewhere")


def spec_of(max_steps: int, **changes: Any) -> RunSpec:
    params = replace(PARAMS, max_steps=max_steps, **changes)
    return RunSpec(
        params=params,
        base=PATH,
        dataset=PATH,
        output=PATH,
        work=PATH,
        prompts=prompts_for(params),
        sample_at=drawing.shares(params),
    )


def passes(spec: RunSpec) -> int:
    return 2 * drawing.steps(20, 2, spec) * len(spec.prompts) * len(spec.sample_at)


@pytest.mark.parametrize("max_steps", [64, 100, 150, 256, 500, 1000, 2000])
def test_samples_take_a_third_of_the_training_at_most(max_steps: int) -> None:
    spec = spec_of(max_steps)
    assert passes(spec) / drawing.PASSES <= max_steps / 3
    assert drawing.steps(20, 2, spec) >= drawing.GOOD


def test_a_usual_run_draws_as_well_as_its_family_can() -> None:
    spec = spec_of(1000)
    assert spec.sample_at == (0.25, 0.5, 0.75, 1.0)
    assert drawing.steps(20, 2, spec) == 20
    assert drawing.steps(28, 1, spec) == 28


def test_the_shortest_run_draws_once_at_its_end() -> None:
    spec = spec_of(1)
    assert spec.sample_at == (1.0,)
    assert drawing.steps(20, 2, spec) == drawing.FEWEST
    # A family that takes less by itself is not asked for more.
    assert drawing.steps(2, 1, spec) == 2


def test_pictures_count_not_steps() -> None:
    assert drawing.shares(spec_of(64, batch_size=4).params) == drawing.shares(spec_of(256).params)
    many = spec_of(50, batch_size=5, gradient_accumulation=2)
    assert drawing.steps(20, 2, many) == drawing.steps(20, 2, spec_of(500))


def test_without_prompts_nothing_is_divided_by() -> None:
    assert drawing.steps(20, 2, replace(spec_of(1000), prompts=())) == 20
