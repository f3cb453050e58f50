"""Pictures of what the training has come to: fixed prompts, fixed seeds."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainer.families.family import Condition, Family, Model
from trainer.params import TrainParams
from trainer.run import Prompt
from trainer.step import autocast


@torch.no_grad()
def encode(prompts: Sequence[Prompt], family: Family, model: Model) -> tuple[Condition, ...]:
    """Each prompt's condition, and last the empty one's."""
    texts = (*(one.text for one in prompts), "")
    return tuple(family.encode_prompts(model, [text])[0] for text in texts)


@torch.no_grad()
def draw(
    prompts: Sequence[Prompt],
    conditions: Sequence[Condition],
    family: Family,
    model: Model,
    params: TrainParams,
    steps: int,
) -> list[Image.Image]:
    """One picture for each prompt; ``conditions`` as ``encode`` gives them."""
    if model.vae is None:
        family.load_vae(model)
    pictures = []
    with _guided(model, family.TRAITS.guidance):
        for prompt, condition in zip(prompts, conditions, strict=False):
            noise = _noise(prompt, family, model, params)
            latents = _latents(noise, (condition, conditions[-1]), family, model, params, steps)
            pictures.append(_picture(family.decode(model, latents)))
    return pictures


@contextmanager
def _guided(model: Model, guidance: float) -> Iterator[None]:
    """What a distilled denoiser is told while it draws; the others are not asked."""
    learning, model.guidance = model.guidance, guidance
    try:
        yield
    finally:
        model.guidance = learning


def _latents(
    noise: Tensor,
    conditions: tuple[Condition, Condition],
    family: Family,
    model: Model,
    params: TrainParams,
    steps: int,
) -> Tensor:
    """(1, C, h, w). With guidance w: empty + w (answer - empty) (arXiv:2207.12598, equation 6)."""
    traits, aim = family.TRAITS, model.aim
    course = aim.course(steps, noise.shape[-2] * noise.shape[-1])
    latents = noise
    for time, after in pairwise(course):
        times = time[None].to(model.device)
        with autocast(model, params):
            answer = family.predict(model, latents, times, conditions[:1]).float()
            if traits.negative:
                empty = family.predict(model, latents, times, conditions[1:]).float()
                answer = empty + traits.guidance * (answer - empty)
        latents = aim.step(latents, answer, time, after)
    return latents


def _noise(prompt: Prompt, family: Family, model: Model, params: TrainParams) -> Tensor:
    """Drawn on the CPU, so that it is the same on every device."""
    traits = family.TRAITS
    width, height = (
        (side or params.resolution) // traits.grain * traits.grain // traits.vae_scale
        for side in (prompt.width, prompt.height)
    )
    generator = torch.Generator().manual_seed(prompt.seed)
    shape = (1, traits.channels, height, width)
    return torch.randn(shape, generator=generator).to(model.device)


def _picture(pixels: Tensor) -> Image.Image:
    """From (1, 3, H, W) in -1..1."""
    whole = ((pixels[0].clamp(-1, 1) + 1) * 127.5).round().to("cpu", torch.uint8)
    return Image.fromarray(np.ascontiguousarray(whole.permute(1, 2, 0).numpy()))
