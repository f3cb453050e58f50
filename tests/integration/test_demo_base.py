"""The demo base: loads elsewhere, and knows what it was taught."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from storage import bases

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
    assert red[0] - red[2] > 0.15
    assert blue[2] - blue[0] > 0.1
    assert min(yellow[:2]) - yellow[2] > 0.1
