"""Samples, saved steps, wishes and the choice of a step, on a real run of a tiny base."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from PIL import Image
from safetensors.torch import load_file

from tests.families import spec_for
from trainer import asked, chart, grid, history, loop, scores
from trainer.asked import Wish
from trainer.families import sd15
from trainer.run import SAMPLES, SAVED, Finished, Message, Prompt, RunSpec, Sampled

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("one_thread")]
PROMPTS = (Prompt(text="mochix person", seed=1), Prompt(text="a person", seed=2, width=96))


@pytest.fixture(autouse=True)
def few_sample_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sd15, "TRAITS", replace(sd15.TRAITS, sample_steps=4))


def spec_of(base: Path, pictures: Path, folder: Path, **changes: Any) -> RunSpec:
    params = {name: changes.pop(name) for name in list(changes) if name not in OF_SPEC}
    spec = spec_for("sd15", base, pictures, folder, PROMPTS, **({"max_steps": 20} | params))
    spec.work.mkdir(exist_ok=True)
    return replace(spec, **({"sample_at": (0.5, 1.0), "save_at": (0.25,)} | changes))


OF_SPEC = ("sample_at", "save_at", "prompts", "checkpoint_every_s")


def run(
    spec: RunSpec, then: Callable[[Message], None] = lambda _: None
) -> tuple[Finished, list[Message]]:
    said: list[Message] = []

    def say(message: Message) -> None:
        said.append(message)
        then(message)

    return loop.train(spec, say, lambda: False), said


def load(path: Path) -> Image.Image:
    with Image.open(path) as opened:
        return opened.convert("RGB")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_samples_are_drawn_in_their_sizes_and_steps_are_saved(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    spec = spec_of(base, pictures, tmp_path)
    finished, said = run(spec)
    assert [one.step for one in said if isinstance(one, Sampled)] == [10, 20]
    assert names(spec.work / SAMPLES) == [
        *("000010-1.png", "000010-2.png", "000010.png"),
        *("000020-1.png", "000020-2.png", "000020.png"),
    ]
    assert names(spec.work / SAVED) == [f"{n:06}.safetensors" for n in (5, 10, 20)]
    assert [load(path).size for path in grid.read(spec.work, 20)] == [(64, 64), (96, 64)]
    assert [one.step for one in scores.read(spec.work)] == [5, 10, 20]
    assert history.read(spec.work)
    with Image.open(spec.work / chart.NAME) as drawn_chart:
        assert drawn_chart.size == chart.SIZE
    assert (finished.steps, finished.taken) == (20, 20)


def test_the_same_step_draws_the_same_and_another_one_other_samples(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        run(spec_of(base, pictures, tmp_path / name))
    a, b = (tmp_path / name / "run" / SAMPLES for name in ("a", "b"))
    assert (a / "000010-1.png").read_bytes() == (b / "000010-1.png").read_bytes()
    assert (a / "000010-1.png").read_bytes() != (a / "000020-1.png").read_bytes()


def test_samples_are_what_diffusers_draws(base: Path, pictures: Path, tmp_path: Path) -> None:
    """The same noise, steps and guidance, with the finished file loaded there."""
    spec = spec_of(base, pictures, tmp_path, learning_rate=1e-3)
    run(spec)
    theirs = StableDiffusionPipeline.from_pretrained(base, safety_checker=None)
    theirs.set_progress_bar_config(disable=True)
    theirs.scheduler = DDIMScheduler.from_config(
        theirs.scheduler.config, timestep_spacing="trailing", set_alpha_to_one=True
    )
    theirs.load_lora_weights(str(spec.output.parent), weight_name=spec.output.name)
    noise = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(1))
    drawn = theirs(
        "mochix person",
        latents=noise,
        num_inference_steps=4,
        guidance_scale=sd15.TRAITS.guidance,
        output_type="np",
    ).images[0]
    ours = np.asarray(load(grid.read(spec.work, 20)[0]), np.float32) / 255
    # The file has half precision, our last samples are drawn before it is written.
    assert np.abs(ours - drawn).mean() < 0.01


def test_somebody_may_ask_for_samples_a_saved_step_or_the_end(
    base: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.meter.REPORT_S", 0.0)
    spec = spec_of(base, pictures, tmp_path, max_steps=500, sample_at=(), save_at=())
    wishes = iter((Wish.SAMPLE, Wish.SAVE, Wish.FINISH))
    asked_at: list[int] = []

    def ask(message: Message) -> None:
        step = getattr(message, "step", 0)
        if step and step % 5 == 0 and step not in asked_at:
            asked_at.append(step)
            if wish := next(wishes, None):
                asked.ask(spec.work, wish)

    finished, said = run(spec, ask)
    assert [one.step for one in said if isinstance(one, Sampled)] == [5, 15]
    assert names(spec.work / SAVED) == [f"{n:06}.safetensors" for n in (5, 10, 15)]
    assert (finished.steps, finished.taken) == (15, 15)
    assert spec.output.exists()
    assert asked.taken(spec.work) == set()


def test_the_best_step_becomes_the_file_if_that_is_wanted(
    base: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    likeness = iter((0.2, 0.9, 0.3))
    monkeypatch.setattr("trainer.judge.likeness", lambda *_: next(likeness))
    monkeypatch.setattr("trainer.judge.is_spoilt", lambda _: False)
    spec = spec_of(base, pictures, tmp_path, pick="best", sample_at=(0.25, 0.5, 1.0))
    finished, _ = run(spec)
    assert (finished.recommended, finished.taken, finished.steps) == (10, 10, 20)
    saved, output = load_file(spec.work / SAVED / "000010.safetensors"), load_file(spec.output)
    assert all(torch.equal(saved[name], output[name]) for name in saved)


def test_a_run_that_gets_no_better_ends_early(
    base: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.judge.likeness", lambda *_: 0.5)
    tenths = tuple(n / 10 for n in range(1, 11))
    spec = spec_of(base, pictures, tmp_path, early_stop=True, sample_at=tenths)
    finished, _ = run(spec)
    assert finished.steps == 8  # one score, and three that are no better
    assert finished.recommended == 2


def test_pictures_that_are_held_out_are_measured_and_not_trained_on(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    spec = spec_of(base, pictures, tmp_path, hold_out=1, prompts=())
    run(spec)
    found = scores.read(spec.work)
    assert [one.step for one in found] == [5]
    assert all(one.held_out is not None and one.likeness is None for one in found)


@pytest.mark.parametrize("text_encoder_lr", [0.0, 1e-3])
def test_a_run_with_samples_goes_on_to_the_same_bits(
    base: Path, pictures: Path, tmp_path: Path, text_encoder_lr: float
) -> None:
    whole, parted = (
        spec_of(base, pictures, tmp_path / name, text_encoder_lr=text_encoder_lr)
        for name in ("whole", "parted")
    )
    run(whole)
    steps = iter(range(1, 10**9))
    with pytest.raises(loop.StoppedError):
        loop.train(parted, lambda _: None, lambda: next(steps) >= 7)
    run(parted)
    a, b = load_file(whole.output), load_file(parted.output)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert scores.read(whole.work) == scores.read(parted.work)


def test_grids_hold_every_picture() -> None:
    red, wide = Image.new("RGB", (600, 600), "red"), Image.new("RGB", (900, 300), "blue")
    assert grid.whole_of([red]).size == (512, 512)
    whole = grid.whole_of([red, wide, red])
    colours = {colour for _, colour in whole.getcolors(1 << 20) or []}
    assert {(255, 0, 0), (0, 0, 255), grid.GROUND} <= colours


def test_an_optimizer_whose_library_is_missing_says_so(
    base: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trainer.optimizers import MissingOptimizerError

    monkeypatch.setitem(__import__("sys").modules, "prodigyopt", None)
    with pytest.raises(MissingOptimizerError, match="prodigyopt"):
        run(spec_of(base, pictures, tmp_path, optimizer="prodigy", prompts=()))


@pytest.mark.parametrize("optimizer", ["adamw", "adafactor", "prodigy"])
@pytest.mark.parametrize("precision", ["fp32", pytest.param("bf16", marks=pytest.mark.long)])
def test_every_optimizer_goes_on_to_the_same_bits(
    base: Path, pictures: Path, tmp_path: Path, optimizer: str, precision: str
) -> None:
    if optimizer == "prodigy":
        pytest.importorskip("prodigyopt")
    changes: dict[str, Any] = {
        "optimizer": optimizer,
        "precision": precision,
        "prompts": (),
        "save_at": (),
    }
    changes |= {"learning_rate": 1.0 if optimizer == "prodigy" else 3e-2, "max_steps": 9}
    whole, parted = (
        spec_of(base, pictures, tmp_path / name, gradient_accumulation=2, **changes)
        for name in ("whole", "parted")
    )
    run(whole)
    steps = iter(range(1, 10**9))
    with pytest.raises(loop.StoppedError):
        loop.train(parted, lambda _: None, lambda: next(steps) >= 4)
    run(parted)
    a, b = load_file(whole.output), load_file(parted.output)
    assert all(torch.equal(a[name], b[name]) for name in a)
