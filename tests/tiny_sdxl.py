"""Stable Diffusion XL with random weights: all its blocks and layers, each of them narrow."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from bench.random_base import write_tokenizer

WIDTH = 32
TIMES = 8


def make(folder: Path, **schedule: Any) -> Path:
    """A diffusers folder; ``schedule`` is what its scheduler says beside the usual."""
    torch.manual_seed(3)
    folder.mkdir(parents=True)
    tokens = len(write_tokenizer(folder / "tokenizer"))
    first = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    second = CLIPTokenizer.from_pretrained(folder / "tokenizer", pad_token="!")
    pipe: Any = StableDiffusionXLPipeline(
        vae=vae(0.13025),
        text_encoder=CLIPTextModel(_clip(tokens, layers=12, act="quick_gelu")),
        text_encoder_2=CLIPTextModelWithProjection(_clip(tokens, layers=32, act="gelu")),
        tokenizer=first,
        tokenizer_2=second,
        unet=_unet(),
        scheduler=EulerDiscreteScheduler(
            beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", **schedule
        ),
        add_watermarker=False,
    )
    pipe.save_pretrained(folder)
    return folder


def vae(scaling: float, **changes: Any) -> Any:
    return AutoencoderKL(
        block_out_channels=(16, 16, 32, 32),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=2,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=64,
        scaling_factor=scaling,
        **changes,
    )


def _unet() -> Any:
    return UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16, 32, 64),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(2, 4, 8),
        cross_attention_dim=2 * WIDTH,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=TIMES,
        projection_class_embeddings_input_dim=WIDTH + 6 * TIMES,
        norm_num_groups=8,
    )


def _clip(tokens: int, *, layers: int, act: str) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=tokens,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=77,
        hidden_act=act,
        projection_dim=WIDTH,
        bos_token_id=tokens - 2,
        eos_token_id=tokens - 1,
        pad_token_id=tokens - 1,
    )
