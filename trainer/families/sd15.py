"""Stable Diffusion 1.5 and what descends from it."""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import DDIMScheduler
from torch import Tensor

from trainer import architectures, single_file
from trainer.families.family import BaseError, Condition, Model, Part, Traits
from trainer.objective import Diffusion
from trainer.single_file import Piece

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
    model.encoders["te"] = network(model, architectures.SD15_TEXT)
    model.tokenizers["te"] = tokenizer(model, "tokenizer")


def load_vae(model: Model) -> None:
    model.vae = network(model, architectures.SD15_VAE)


def load_denoiser(model: Model) -> None:
    model.denoiser = network(model, architectures.SD15_UNET)
    model.objective = objective(model)


def network(model: Model, piece: Piece, dtype: torch.dtype | None = None) -> Any:
    """From the folder or the one file; frozen, on the model's device."""
    dtype = dtype or model.dtype
    if model.path.is_file():
        found = single_file.load(model.path, piece, dtype, model.device)
    else:
        found = piece.kind.from_pretrained(model.path / piece.folder, torch_dtype=dtype, **SAFE)
    return found.requires_grad_(requires_grad=False).to(model.device)


def tokenizer(model: Model, folder: str) -> Any:
    if model.path.is_file():
        return single_file.tokenizer(model.path, folder)
    return single_file.read_tokenizer(model.path / folder)


def objective(model: Model) -> Diffusion:
    """What the base model was trained for, unless the run says otherwise."""
    scheduler: Any
    if model.path.is_file():
        scheduler = single_file.scheduler(model.path)
    else:
        scheduler = DDIMScheduler.from_pretrained(
            model.path, subfolder="scheduler", local_files_only=True
        )
    kind = model.prediction
    if kind == "auto":
        kind = scheduler.config.prediction_type
    if kind == "epsilon" and not scheduler.alphas_cumprod.all():
        raise BaseError("pure noise says nothing of its noise: this base needs v_prediction")
    return Diffusion(scheduler.alphas_cumprod.to(model.device), kind)


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
