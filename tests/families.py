"""What the tests of every family of base models share: small pictures, and runs on a CPU."""

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from tests.drawn import photos
from tests.jobs import PARAMS
from trainer import export, loop, lora
from trainer.families import family_of
from trainer.families.family import Model
from trainer.run import Finished, Prompt, RunSpec

SIDE = 64
PROMPT = "mochix person"


def dataset_of(folder: Path, sizes: tuple[tuple[int, int], ...] = ((SIDE, SIDE),) * 3) -> Path:
    """Drawn pictures with captions, one of each size (width, height)."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (data, size) in enumerate(zip(photos(len(sizes)), sizes, strict=True), start=1):
        picture = Image.open(io.BytesIO(data)).convert("RGB").resize(size)
        picture.save(folder / f"{number:04}.png")
        (folder / f"{number:04}.txt").write_text(PROMPT)
    return folder


def spec_for(
    family: str,
    base: Path,
    pictures: Path,
    folder: Path,
    prompts: tuple[Prompt, ...] = (),
    **changes: Any,
) -> RunSpec:
    """A short run in fp32; alpha is not rank, so a wrong scale shows. ``changes`` of its params."""
    folder.mkdir(parents=True, exist_ok=True)
    usual: dict[str, Any] = {
        "family": family,
        "base_model": family,
        "alpha": 2.0,
        "learning_rate": 1e-2,
        "max_steps": 6,
        "warmup": 0.0,
        "precision": "fp32",
    }
    return RunSpec(
        params=replace(PARAMS, **(usual | changes)),
        base=base,
        dataset=pictures,
        output=folder / "mochi.safetensors",
        work=folder / "run",
        device="cpu",
        prompts=prompts,
        sample_at=(1.0,),
        save_at=(),
    )


def train_here(spec: RunSpec, stop_at: int = 10**9) -> Finished:
    """In this process; ``stop_at``: asked to stop after that many steps."""
    seen = iter(range(10**9))
    spec.work.mkdir(parents=True, exist_ok=True)
    return loop.train(spec, lambda _: None, lambda: next(seen) >= stop_at)


def loaded(spec: RunSpec) -> Model:
    """The base model with all its networks."""
    family, model = family_of(spec.params.family), loop.new_model(loop.settled(spec))
    for load in (family.load_text, family.load_vae, family.load_denoiser):
        load(model)
    return model


def with_file(spec: RunSpec) -> Model:
    """The base model with the pairs of the run's file, each of whose tensors has to be one's."""
    traits, model = family_of(spec.params.family).TRAITS, loaded(spec)
    pairs = lora.inject(model, traits, spec.params)
    tensors = load_file(spec.output)
    scale = 1.0 if traits.layout == "kohya" else spec.params.rank / spec.params.alpha
    for pair in pairs:
        down, up = export.keys(pair, traits)
        pair.down.data = tensors.pop(down).float()
        pair.up.data = tensors.pop(up).float() * scale
        tensors.pop(down.removesuffix("lora_down.weight") + "alpha", None)
    assert not tensors
    return model


def same_tensors(one: Path, other: Path) -> bool:
    a, b = load_file(one), load_file(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def finite(tensors: Mapping[str, Tensor]) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in tensors.values())
