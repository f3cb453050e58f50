"""Stable Diffusion 1.5 and what descends from it: all that differs between base models."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

BASE_VERSION = "sd_v1"
ARCHITECTURE = "stable-diffusion-v1"
UNET_ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
UNET_REST = ("ff.net.0.proj", "ff.net.2", "proj_in", "proj_out")
TEXT_ATTENTION = ("q_proj", "k_proj", "v_proj", "out_proj")
TEXT_REST = ("fc1", "fc2")


@dataclass(slots=True, kw_only=True)
class Model:
    """``alphas`` (T,): the noise schedule's cumulated products, by timestep."""

    unet: Any
    text_encoder: Any
    tokenizer: Any
    vae: Any
    alphas: Tensor
    prediction_type: str
    device: torch.device


def load(folder: Path, dtype: torch.dtype, device: torch.device) -> Model:
    """From a diffusers folder, every part frozen. Only ``.safetensors`` is read: the older formats
    can run code.
    """
    safe: dict[str, Any] = {"use_safetensors": True, "local_files_only": True}
    unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", torch_dtype=dtype, **safe)
    vae = AutoencoderKL.from_pretrained(folder, subfolder="vae", torch_dtype=dtype, **safe)
    text_encoder = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=dtype, **safe)
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    scheduler = DDIMScheduler.from_pretrained(folder, subfolder="scheduler", local_files_only=True)
    parts: tuple[Any, ...] = (unet, vae, text_encoder)
    for part in parts:
        part.requires_grad_(requires_grad=False)
        part.to(device)
    return Model(
        unet=unet,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        vae=vae,
        alphas=scheduler.alphas_cumprod.to(device),
        prediction_type=scheduler.config.prediction_type,
        device=device,
    )


def encode_prompts(model: Model, captions: Sequence[str]) -> Tensor:
    """(N, tokens, width): the last hidden state, padded to the encoder's length."""
    tokens = model.tokenizer(
        list(captions),
        padding="max_length",
        truncation=True,
        max_length=model.text_encoder.config.max_position_embeddings,
        return_tensors="pt",
    )
    context: Tensor = model.text_encoder(tokens.input_ids.to(model.device))[0]
    return context


def encode_pictures(model: Model, pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (B, 3, H, W) in -1..1 to scaled latents (B, 4, H/8, W/8)."""
    seen = model.vae.encode(pixels.to(model.device, model.vae.dtype)).latent_dist
    noise = torch.randn(seen.mean.shape, generator=generator).to(seen.mean)
    latents: Tensor = (seen.mean + seen.std * noise) * model.vae.config.scaling_factor
    return latents.float()


def predict(model: Model, noisy: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
    """The U-Net's answer (B, 4, h, w) to noisy latents at ``timesteps`` (B,)."""
    answer: Tensor = model.unet(
        noisy.to(model.unet.dtype), timesteps, context.to(model.unet.dtype), return_dict=False
    )[0]
    return answer
