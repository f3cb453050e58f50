"""The networks of the demo base, and the drawings that they learn from."""

import random
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from bench.drawn import creatures
from bench.drawn.creatures import Creature, Scene
from bench.drawn.draw import draw
from bench.random_base import MAX_TOKENS

SIDE = 128
WIDTH = 96  # of the text encoder
PICTURES = 8_000
HELD_OUT = 256  # the first ones, which no network learns from
STRANGE = 0.3  # share of creatures that there are no words for
NAMED = 0.12  # share of captions that name the creature by a word that means nothing
DROPPED = 0.1
EMA = 0.999


def picture(seed: int) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """(SIDE, SIDE, 3)."""
    one, where = seen(seed)
    return np.asarray(draw(one, where, SIDE))


def seen(seed: int) -> tuple[Creature, Scene]:
    """Who is in a picture, and where."""
    dice = random.Random(f"picture {seed}")
    who = creatures.stranger if dice.random() < STRANGE else creatures.creature
    return who(dice), creatures.scene(dice)


def caption(seed: int, turn: int) -> str:
    """Another one each time that a picture is seen."""
    one, where = seen(seed)
    said = random.Random(f"caption {seed} {turn}")
    if said.random() < DROPPED:
        return ""
    if said.random() < NAMED:
        text = creatures.caption(one, where, said)
        return text.replace("character", f"{creatures.made_up(said)} character", 1)
    return creatures.caption(one, where, said)


def drawings(folder: Path) -> Tensor:
    """(PICTURES, 3, SIDE, SIDE) bytes."""
    path = folder / "pictures.npy"
    if not path.exists():
        with ProcessPoolExecutor(2) as pool:
            made = list(pool.map(picture, range(PICTURES), chunksize=200))
        np.save(path, np.stack(made))
    return torch.from_numpy(np.load(path)).permute(0, 3, 1, 2)


def new_vae(groups: int = 2) -> Any:
    return AutoencoderKL(
        block_out_channels=(16, 32, 48, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=groups,
        layers_per_block=1,
        sample_size=SIDE,
    )


def new_unet() -> Any:
    return UNet2DConditionModel(
        sample_size=SIDE // 8,
        block_out_channels=(64, 104, 160),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=8,
    )


def new_text(tokens: int) -> Any:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=tokens,
            hidden_size=WIDTH,
            intermediate_size=3 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=MAX_TOKENS,
            bos_token_id=tokens - 2,
            eos_token_id=tokens - 1,
            pad_token_id=tokens - 1,
        )
    )


def scheduler() -> Any:
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


class Average:
    """A slow copy of the weights: what is kept in the end."""

    def __init__(self, weights: Any) -> None:
        self.live = list(weights)
        self.slow = [weight.detach().clone() for weight in self.live]
        self.turns = 0

    @torch.no_grad()
    def follow(self) -> None:
        self.turns += 1
        share = 1 - min(EMA, (1 + self.turns) / (10 + self.turns))
        torch._foreach_lerp_(self.slow, self.live, share)

    @torch.no_grad()
    def swap(self) -> None:
        for slow, live in zip(self.slow, self.live, strict=True):
            kept = live.clone()
            live.copy_(slow)
            slow.copy_(kept)
