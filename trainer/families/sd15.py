"""Stable Diffusion 1.5 and what descends from it."""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from trainer.families.family import Condition, Model, Part, Traits
from trainer.objective import Diffusion

TRAITS = Traits(
    base_version="sd_v1",
    architecture="stable-diffusion-v1",
    parts={
        "unet": Part(
            prefix="lora_unet",
            attention=("to_q", "to_k", "to_v", "to_out.0"),
            rest=("ff.net.0.proj", "ff.net.2", "proj_in", "proj_out"),
        ),
        "te": Part(
            prefix="lora_te",
            attention=("q_proj", "k_proj", "v_proj", "out_proj"),
            rest=("fc1", "fc2"),
            level="text_model.",
        ),
    },
    guidance=7.0,
)
# Only .safetensors is read: the older formats can run code.
SAFE: dict[str, Any] = {"use_safetensors": True, "local_files_only": True}


def load_text(model: Model) -> None:
    encoder = CLIPTextModel.from_pretrained(model.path / "text_encoder", dtype=model.dtype, **SAFE)
    tokenizer = CLIPTokenizer.from_pretrained(model.path / "tokenizer", local_files_only=True)
    model.encoders["te"] = _frozen(encoder, model)
    model.tokenizers["te"] = tokenizer


def load_vae(model: Model) -> None:
    vae = AutoencoderKL.from_pretrained(
        model.path, subfolder="vae", torch_dtype=model.dtype, **SAFE
    )
    model.vae = _frozen(vae, model)


def load_denoiser(model: Model) -> None:
    unet = UNet2DConditionModel.from_pretrained(
        model.path, subfolder="unet", torch_dtype=model.dtype, **SAFE
    )
    model.denoiser = _frozen(unet, model)
    scheduler = DDIMScheduler.from_pretrained(
        model.path, subfolder="scheduler", local_files_only=True
    )
    kind = model.prediction
    model.objective = Diffusion(
        scheduler.alphas_cumprod.to(model.device),
        scheduler.config.prediction_type if kind == "auto" else kind,
    )


def _frozen(part: Any, model: Model) -> Any:
    return part.requires_grad_(requires_grad=False).to(model.device)


def encode_prompts(model: Model, captions: Sequence[str]) -> list[Condition]:
    """``context`` (tokens, width): the last hidden state, padded to the encoder's length."""
    encoder = model.encoders["te"]
    tokens = model.tokenizers["te"](
        list(captions),
        padding="max_length",
        truncation=True,
        max_length=encoder.config.max_position_embeddings,
        return_tensors="pt",
    )
    contexts: Tensor = encoder(tokens.input_ids.to(model.device))[0]
    return [{"context": one} for one in contexts]


def encode_pictures(model: Model, pixels: Tensor, draw: torch.Generator) -> Tensor:
    seen = model.vae.encode(pixels.to(model.device, model.vae.dtype)).latent_dist
    noise = torch.randn(seen.mean.shape, generator=draw).to(seen.mean)
    latents: Tensor = (seen.mean + seen.std * noise) * model.vae.config.scaling_factor
    return latents.float()


def decode(model: Model, latents: Tensor) -> Tensor:
    unscaled = latents.to(model.vae.dtype) / model.vae.config.scaling_factor
    pixels: Tensor = model.vae.decode(unscaled, return_dict=False)[0]
    return pixels.float()


def predict(model: Model, noisy: Tensor, times: Tensor, conditions: Sequence[Condition]) -> Tensor:
    context = torch.stack([one["context"] for one in conditions])
    answer: Tensor = model.denoiser(
        noisy.to(model.dtype), times, context.to(model.dtype), return_dict=False
    )[0]
    return answer
