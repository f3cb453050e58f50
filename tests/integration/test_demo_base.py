"""The demo base: loads elsewhere, and knows what it was taught."""

import random

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from torch.nn import functional

from bench.drawn import creatures
from bench.drawn.draw import draw
from storage import bases

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("one_thread")]


def test_colours_in_a_prompt_are_colours_in_the_picture() -> None:
    pipeline = StableDiffusionPipeline.from_pretrained(
        bases.demo().path, safety_checker=None, dtype=torch.float32
    )
    pipeline.set_progress_bar_config(disable=True)

    def middle(colour: str) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        """The mean colour of the middles of four pictures, in 0..1."""
        drawn = pipeline(
            f"a round {colour} character, grey background",
            num_images_per_prompt=4,
            num_inference_steps=12,
            guidance_scale=4.0,
            generator=torch.Generator().manual_seed(1),
            output_type="np",
        ).images
        found: np.ndarray[tuple[int], np.dtype[np.float64]]
        found = drawn[:, 48:90, 44:84].mean(axis=(0, 1, 2)).astype(np.float64)
        return found

    red, blue, yellow = middle("red"), middle("blue"), middle("yellow")
    assert red[0] - max(red[1:]) > 0.15
    assert blue[2] - blue[0] > 0.2
    assert min(yellow[:2]) - yellow[2] > 0.2


def test_its_codes_keep_the_colours_of_a_creature_it_has_never_seen() -> None:
    vae = AutoencoderKL.from_pretrained(bases.demo().path / "vae", dtype=torch.float32)
    drawn = [
        draw(creatures.MOCHI, creatures.scene(random.Random(n)), 128).convert("RGB")
        for n in range(6)
    ]
    x = torch.from_numpy(np.stack([np.asarray(one) for one in drawn])).permute(0, 3, 1, 2)
    with torch.no_grad():
        back = vae(x.float() / 127.5 - 1).sample.clamp(-1, 1)
    apart = functional.avg_pool2d(back - (x.float() / 127.5 - 1), 8)
    assert -10 * torch.log10(apart.square().mean() / 4) > 28
