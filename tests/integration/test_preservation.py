"""Preservation: where the trigger is missing, the model stays what it was."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.families import loaded, same_tensors, spec_for, train_here, with_file
from tests.jobs import PARAMS
from trainer import dataset, loop, step
from trainer.families import family_of
from trainer.families.family import Model
from trainer.run import RunSpec

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("one_thread")]


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.25, 5), (0.35, 7), (0.5, 10)])
def test_it_takes_evenly_its_share_of_the_batches(share: float, count: int) -> None:
    taken = [number for number in range(20) if step.preserves(share, number)]
    assert len(taken) == count
    gaps = {after - before for before, after in pairwise(taken)}
    assert not gaps or max(gaps) - min(gaps) <= 1


@pytest.mark.parametrize(
    ("caption", "plain"),
    [
        ("mochix person, in a garden", "person, in a garden"),
        ("photo of mochix", "photo of"),
        ("mochix", "person"),
        ("mochix, at night", "at night"),
        ("a mochixy thing", "a mochixy thing"),
    ],
)
def test_the_caption_loses_the_trigger_and_nothing_else(caption: str, plain: str) -> None:
    assert dataset.without(caption, PARAMS) == plain


def answer(model: Model) -> torch.Tensor:
    """To the class word alone."""
    family = family_of("sd15")
    noisy = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        words = family.encode_prompts(model, [PARAMS.class_word])
        return family.predict(model, noisy, torch.tensor([500]), words)


def drift(spec: RunSpec) -> float:
    """How far the class word alone moves from the base in a training."""
    train_here(spec)
    return float((answer(with_file(spec)) - answer(loaded(spec))).square().mean().sqrt())


def test_the_class_word_stays_nearer_to_the_base(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    many: dict[str, Any] = {"max_steps": 40, "learning_rate": 3e-3}
    free = drift(spec_for("sd15", base, pictures, tmp_path / "free", **many))
    held = drift(spec_for("sd15", base, pictures, tmp_path / "held", preservation=0.5, **many))
    assert 0 < held < 0.7 * free


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"max_steps": 8, "preservation": 0.4, "text_encoder_lr": 1e-4}
    whole = spec_for("sd15", base, pictures, tmp_path / "whole", **changes)
    train_here(whole)
    parts = spec_for("sd15", base, pictures, tmp_path / "parts", **changes)
    with pytest.raises(loop.StoppedError):
        train_here(parts, stop_at=3)
    train_here(parts)
    assert same_tensors(whole.output, parts.output)
