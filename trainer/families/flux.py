"""FLUX.1-dev, whose guidance is distilled: the transformer is told it as a number."""

from collections.abc import Sequence

import torch
from diffusers import AutoencoderKL, FluxTransformer2DModel
from torch import Tensor
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer, T5EncoderModel, T5Tokenizer

from trainer import flux_file, folder, single_file
from trainer.families.family import Condition, Model, Part, Traits

# diffusers' own layout: with its names diffusers, ComfyUI, SwarmUI and Forge load q, k and v by
# themselves, where the layout of sd-scripts has them in one matrix and needs one pair for all.
TRAITS = Traits(
    base_version="flux1",
    architecture="flux-1-dev",
    parts={
        "transformer": Part(
            prefix="transformer",
            attention=(
                *("to_q", "to_k", "to_v", "to_out.0"),
                *("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"),
            ),
            rest=(
                *("ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2"),
                *("proj_mlp", "proj_out"),
            ),
            within=("transformer_blocks.", "single_transformer_blocks."),
        ),
    },
    layout="peft",
    grain=16,
    channels=16,
    guidance=3.5,
    negative=False,
    sample_steps=28,
)
PATCH = 2  # x 2 latents are one token
TOKENS = 512  # that T5 is given, with what is filled up


def load_text(model: Model) -> None:
    model.encoders["clip"] = folder.network(model, "text_encoder", CLIPTextModel)
    model.encoders["t5"] = folder.network(model, "text_encoder_2", T5EncoderModel)
    model.tokenizers["clip"] = folder.tokenizer(model, "tokenizer", CLIPTokenizer)
    model.tokenizers["t5"] = folder.tokenizer(model, "tokenizer_2", T5Tokenizer)


def load_vae(model: Model) -> None:
    """In half precision its activations overflow."""
    dtype = torch.float32 if model.dtype == torch.float16 else model.dtype
    model.vae = folder.network(model, "vae", AutoencoderKL, dtype=dtype)


def load_denoiser(model: Model) -> None:
    model.objective = folder.flow(model, PATCH)
    if model.path.is_file():
        found = single_file.load(model.path, flux_file.flux1(model.path), model.dtype)
        model.denoiser = found.requires_grad_(requires_grad=False).to(model.device)
    else:
        model.denoiser = folder.network(model, "transformer", FluxTransformer2DModel)


def encode_prompts(model: Model, captions: Sequence[str]) -> list[Condition]:
    """``context`` (512, width): T5's last hidden state. ``pooled`` (width): CLIP's answer for the
    whole caption.
    """
    clip, t5 = model.encoders["clip"], model.encoders["t5"]
    pooled = clip(_tokens(model, "clip", captions, clip.config.max_position_embeddings))
    contexts = t5(_tokens(model, "t5", captions, TOKENS))
    return [
        {"context": context, "pooled": whole}
        for context, whole in zip(contexts[0], pooled.pooler_output, strict=True)
    ]


def _tokens(model: Model, part: str, captions: Sequence[str], length: int) -> Tensor:
    found = model.tokenizers[part](
        list(captions),
        padding="max_length",
        truncation=True,
        max_length=length,
        return_tensors="pt",
    )
    tokens: Tensor = found.input_ids.to(model.device)
    return tokens


def encode_pictures(model: Model, pixels: Tensor, draw: torch.Generator) -> Tensor:
    config = model.vae.config
    seen = model.vae.encode(pixels.to(model.device, model.vae.dtype)).latent_dist
    noise = torch.randn(seen.mean.shape, generator=draw).to(seen.mean)
    drawn = (seen.mean + seen.std * noise).float()
    latents: Tensor = (drawn - config.shift_factor) * config.scaling_factor
    return latents


def decode(model: Model, latents: Tensor) -> Tensor:
    config = model.vae.config
    unscaled = latents / config.scaling_factor + config.shift_factor
    pixels: Tensor = model.vae.decode(unscaled.to(model.vae.dtype), return_dict=False)[0]
    return pixels.float()


def predict(model: Model, noisy: Tensor, times: Tensor, conditions: Sequence[Condition]) -> Tensor:
    context = torch.stack([one["context"] for one in conditions]).to(model.dtype)
    pooled = torch.stack([one["pooled"] for one in conditions]).to(model.dtype)
    patches = functional.pixel_unshuffle(noisy, PATCH)  # (B, 4 C, h / 2, w / 2)
    height, width = patches.shape[-2:]
    told = model.denoiser.config.guidance_embeds
    packed = model.denoiser(
        patches.flatten(2).mT.to(model.dtype),  # (B, tokens, 4 C)
        encoder_hidden_states=context,
        pooled_projections=pooled,
        timestep=times,
        guidance=torch.full_like(times, model.guidance) if told else None,
        img_ids=_places(height, width).to(noisy.device),
        txt_ids=torch.zeros((context.shape[1], 3), device=noisy.device),
        return_dict=False,
    )[0]
    return functional.pixel_shuffle(packed.mT.unflatten(2, (height, width)), PATCH)


def _places(height: int, width: int) -> Tensor:
    """(tokens, 3): each patch's row and column behind a zero."""
    return torch.cartesian_prod(torch.arange(1), torch.arange(height), torch.arange(width))
