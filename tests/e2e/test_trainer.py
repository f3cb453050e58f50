"""The trainer as it is used: a real process, a real file, loaded by another library."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from bench import random_base
from pipeline import artifact
from tests.families import same_tensors, train_here
from tests.jobs import PARAMS
from trainer import checkpoint, export, job, loop, lora
from trainer.families import sd15
from trainer.params import TrainParams
from trainer.run import (
    EXIT_RESUMABLE,
    Failed,
    Failure,
    Finished,
    Message,
    Phase,
    Progress,
    Prompt,
    Replanned,
    RunSpec,
    from_line,
)

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("one_thread")]
SIDE = 64


def spec_of(base: Path, pictures: Path, folder: Path, **changes: Any) -> RunSpec:
    folder.mkdir(parents=True, exist_ok=True)
    return RunSpec(
        params=replace(PARAMS, **changes),
        base=base,
        dataset=pictures,
        output=folder / "mochi.safetensors",
        work=folder / "run",
    )


def start(spec: RunSpec) -> subprocess.Popen[str]:
    path = spec.output.with_suffix(".json")
    path.write_text(spec.to_json())
    return subprocess.Popen(
        [sys.executable, "-m", "trainer", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def run(spec: RunSpec) -> tuple[list[Message], int]:
    process = start(spec)
    out, _ = process.communicate(timeout=120)
    messages = [from_line(line) for line in out.splitlines()]
    assert None not in messages, out
    return [one for one in messages if one is not None], process.returncode


def run_here(spec: RunSpec) -> tuple[list[Message], int]:
    """In this process, for what is not about processes."""
    said: list[Message] = []
    return said, job.run(spec, said.append, lambda: False)


def test_a_run_tells_its_phases_and_leaves_a_file_that_passes_the_check(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    spec = replace(spec_of(base, pictures, tmp_path), prompts=(Prompt(text="mochix person"),))
    messages, code = run(spec)
    phases = [one.phase for one in messages if isinstance(one, Progress)]
    assert set(phases) == set(Phase)
    assert isinstance(messages[-1], Finished)
    assert (code, messages[-1].steps) == (0, PARAMS.max_steps)
    assert artifact.check(spec.output, "mochix").modules > 0
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_metadata_hold_what_tools_read_and_nothing_of_the_people(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    spec = spec_of(base, pictures, tmp_path, alpha=2.0)
    train_here(spec)
    with safe_open(spec.output, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["ss_network_dim"] == "4"
    assert metadata["ss_network_alpha"] == "2"
    assert metadata["ss_base_model_version"] == "sd_v1"
    assert metadata["modelspec.architecture"] == "stable-diffusion-v1/lora"
    assert metadata["modelspec.trigger_phrase"] == "mochix"
    assert str(pictures) not in json.dumps(metadata)
    assert "ss_tag_frequency" not in metadata


@pytest.mark.parametrize(
    ("targets", "text_encoder_lr"),
    [
        ("all", 1e-3),
        ("attention", 0.0),
        pytest.param("attention", 1e-3, marks=pytest.mark.long),
        pytest.param("all", 0.0, marks=pytest.mark.long),
    ],
)
def test_the_file_does_in_diffusers_what_it_did_in_training(
    base: Path, pictures: Path, tmp_path: Path, targets: str, text_encoder_lr: float
) -> None:
    """Alpha is not rank, so a wrong scale would show; every key must be taken."""
    spec = spec_of(
        base,
        pictures,
        tmp_path,
        alpha=2.0,
        targets=targets,
        text_encoder_lr=text_encoder_lr,
        learning_rate=1e-2,
        max_steps=8,
    )
    train_here(spec)
    ours = loop.new_model(loop.settled(spec))
    for part in (sd15.load_text, sd15.load_vae, sd15.load_denoiser):
        part(ours)
    pairs = lora.inject(ours, sd15.TRAITS, spec.params)
    tensors = load_file(spec.output)
    assert len(tensors) == 3 * len(pairs)
    for pair in pairs:
        down, up = export.keys(pair, sd15.TRAITS)
        pair.down.data = tensors[down].float()
        pair.up.data = tensors[up].float()

    theirs = StableDiffusionPipeline.from_pretrained(base, safety_checker=None)
    before = _answer(theirs.unet, theirs.text_encoder, theirs.tokenizer)
    theirs.load_lora_weights(str(spec.output.parent), weight_name=spec.output.name)
    expected = _answer(ours.denoiser, ours.encoders["te"], ours.tokenizers["te"])
    found = _answer(theirs.unet, theirs.text_encoder, theirs.tokenizer)
    assert torch.allclose(found, expected, atol=1e-5)
    assert not torch.allclose(found, before, atol=1e-3)


@torch.no_grad()
def _answer(unet: Any, text_encoder: Any, tokenizer: Any) -> torch.Tensor:
    tokens = tokenizer("mochix person", padding="max_length", max_length=77, return_tensors="pt")
    context = text_encoder(tokens.input_ids)[0]
    noisy = torch.randn((1, 4, 8, 8), generator=torch.Generator().manual_seed(1))
    answer: torch.Tensor = unet(noisy, torch.tensor([500]), context, return_dict=False)[0]
    return answer


def test_a_run_stopped_by_sigterm_goes_on_to_the_same_bits(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    whole = spec_of(base, pictures, tmp_path / "whole", max_steps=60)
    train_here(whole)
    parted = spec_of(base, pictures, tmp_path / "parted", max_steps=60)
    process = start(parted)
    assert process.stdout is not None
    for line in process.stdout:
        message = from_line(line)
        if isinstance(message, Progress) and message.step > 10:
            process.send_signal(signal.SIGTERM)
            break
    process.communicate(timeout=60)
    assert process.returncode == EXIT_RESUMABLE
    assert not parted.output.exists()
    messages, code = run(parted)
    first = next(m for m in messages if isinstance(m, Progress) and m.phase is Phase.TRAINING)
    assert first.step > 10
    assert code == 0
    assert same_tensors(whole.output, parted.output)


@pytest.mark.long
def test_a_run_killed_after_a_checkpoint_goes_on_to_the_same_bits(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    whole = spec_of(base, pictures, tmp_path / "whole", max_steps=60)
    train_here(whole)
    parted = replace(
        spec_of(base, pictures, tmp_path / "parted", max_steps=60), checkpoint_every_s=0.05
    )
    process = start(parted)
    until = time.monotonic() + 60
    while not (parted.work / checkpoint.NAME).exists() and time.monotonic() < until:
        assert process.poll() is None
        time.sleep(0.005)  # between two looks
    process.kill()
    process.communicate()
    assert run(parted)[1] == 0
    assert same_tensors(whole.output, parted.output)


def test_a_checkpoint_of_another_run_is_not_used(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    with pytest.raises(loop.StoppedError):
        train_here(spec_of(base, pictures, tmp_path), stop_at=5)
    other = spec_of(base, pictures, tmp_path, seed=9)
    alone = spec_of(base, pictures, tmp_path / "alone", seed=9)
    train_here(other)
    train_here(alone)
    assert same_tensors(other.output, alone.output)


def test_the_same_seed_gives_the_same_file_and_another_seed_another(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    specs = [
        spec_of(base, pictures, tmp_path / name, seed=seed, max_steps=5)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    ]
    for spec in specs:
        train_here(spec)
    assert same_tensors(specs[0].output, specs[1].output)
    assert not same_tensors(specs[0].output, specs[2].output)


def test_training_lowers_the_loss_on_its_pictures(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    seen: list[Message] = []
    rates = {"learning_rate": 1e-2, "min_snr_gamma": 0.0, "max_grad_norm": 0.0}
    spec = spec_of(base, pictures, tmp_path, max_steps=100, **rates)
    spec.work.mkdir()
    loop.train(spec, seen.append, lambda: False)
    losses = [one.loss for one in seen if isinstance(one, Progress) and one.loss is not None]
    assert losses[-1] < 0.95 * losses[0]


def failed(spec: RunSpec) -> Failure:
    messages, code = run_here(spec)
    assert code == 1
    assert isinstance(messages[-1], Failed)
    assert not spec.output.exists()
    return messages[-1].code


def test_an_empty_dataset_is_a_failure(base: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    assert failed(spec_of(base, tmp_path / "nothing", tmp_path)) is Failure.DATASET


def test_a_base_that_is_not_there_is_a_failure(pictures: Path, tmp_path: Path) -> None:
    spec = spec_of(tmp_path / "nowhere", pictures, tmp_path, base_model="sd15")
    assert failed(spec) is Failure.BASE


def test_a_base_that_is_broken_is_a_failure(pictures: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    random_base.make(broken)
    (broken / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(b"\x10" * 99)
    assert failed(spec_of(broken, pictures, tmp_path)) is Failure.BASE


WILD = {
    "learning_rate": 1.0,
    "alpha": 1000.0,
    "lr_schedule": "constant",
    "max_steps": 100,
    "warmup": 0.0,
    "max_grad_norm": 0.0,
}


def test_a_loss_that_is_not_a_number_is_tried_once_more_and_then_told(
    pictures: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    random_base.make(broken)
    path = broken / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(path)
    tensors["conv_in.weight"][0] = float("nan")
    save_file(tensors, path, {"format": "pt"})
    messages, code = run(spec_of(broken, pictures, tmp_path))
    replanned = [one for one in messages if isinstance(one, Replanned)]
    assert [one.cause for one in replanned] == [Failure.DIVERGED]
    assert (code, messages[-1]) == (1, Failed(code=Failure.DIVERGED, detail=ANY))
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_rate_that_is_too_high_is_lowered_and_the_run_is_done(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    spec = spec_of(base, pictures, tmp_path, **WILD)
    messages, code = run_here(spec)
    (replanned,) = [one for one in messages if isinstance(one, Replanned)]
    assert replanned.changes["learning_rate"] == pytest.approx(1 / 3)
    assert replanned.changes["max_grad_norm"] == 1.0
    assert (code, type(messages[-1])) == (0, Finished)


def test_the_demo_base_is_the_same_wherever_it_is_made(base: Path, tmp_path: Path) -> None:
    random_base.make(tmp_path / "again")
    for path in base.rglob("*.safetensors"):
        again = tmp_path / "again" / path.relative_to(base)
        assert path.read_bytes() == again.read_bytes()
    assert sum(path.stat().st_size for path in base.rglob("*")) < 5_000_000


def test_a_run_survives_the_trip_through_its_file(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, tmp_path, tmp_path)
    assert RunSpec.from_json(spec.to_json()) == spec
    assert isinstance(spec.params, TrainParams)
