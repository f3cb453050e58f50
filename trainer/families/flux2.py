"""FLUX.2 klein, the base model: not distilled, its captions read by a language model."""

import json
from collections.abc import Sequence
from dataclasses import replace

import torch
from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel
from torch import Tensor
from torch.nn import functional
from transformers import Qwen2Tokenizer, Qwen3Model

from trainer import flux_file, folder, single_file
from trainer.families.family import BaseError, Condition, Model, Part, Traits

# The layout of diffusers, as for FLUX.1. In the single blocks one layer does q, k, v and the first
# half of the feed-forward, and one layer the rest.
TRAITS = Traits(
    base_version="flux_2_klein_4b",
    architecture="Flux.2-klein-4b",
    parts={
        "transformer": Part(
            prefix="transformer",
            attention=(
                *("to_q", "to_k", "to_v", "to_out.0"),
                *("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"),
                *("attn.to_qkv_mlp_proj", "attn.to_out"),
            ),
            rest=(
                *("ff.linear_in", "ff.linear_out"),
                *("ff_context.linear_in", "ff_context.linear_out"),
            ),
        ),
    },
    layout="peft",
    grain=16,
    vae_scale=16,
    channels=128,
    guidance=4.0,
    sample_steps=28,
)
PATCH = 2  # x 2 of the autoencoder's latents are one of ours, and one token
TOKENS = 512
LAYERS = (9, 18, 27)  # of the language model, whose outputs are the context side by side
# Fewer steps are shifted further: (tokens, mu) at 10 steps; the scheduler's own are those of 200.
BASE_OF_TEN = (256, 1.92070285)
MOST_OF_TEN = (4096, 2.25624571)


def load_text(model: Model) -> None:
    """Of the language model only what is read of it: neither its last layers nor what makes words
    of its answer.
    """
    _refuse_distilled(model)
    encoder = folder.network(model, "text_encoder", Qwen3Model, saved_as="Qwen3ForCausalLM")
    # One more than the last that is read, because the norm comes upon the last that is there.
    del encoder.layers[LAYERS[-1] + 1 :]
    model.encoders["qwen3"] = encoder
    model.tokenizers["qwen3"] = folder.tokenizer(model, "tokenizer", Qwen2Tokenizer)


def load_vae(model: Model) -> None:
    """In half precision its activations overflow."""
    dtype = torch.float32 if model.dtype == torch.float16 else model.dtype
    model.vae = folder.network(model, "vae", AutoencoderKLFlux2, dtype=dtype)


def load_denoiser(model: Model) -> None:
    model.objective = replace(
        folder.flow(model, patch=1), base_of_ten=BASE_OF_TEN, most_of_ten=MOST_OF_TEN
    )
    if model.path.is_file():
        found = single_file.load(model.path, flux_file.flux2(model.path), model.dtype)
        model.denoiser = found.requires_grad_(requires_grad=False).to(model.device)
    else:
        model.denoiser = folder.network(model, "transformer", Flux2Transformer2DModel)


def _refuse_distilled(model: Model) -> None:
    index = folder.root(model.path) / "model_index.json"
    if index.is_file() and json.loads(index.read_text(encoding="utf-8")).get("is_distilled"):
        raise BaseError(
            f"{model.path.name} is distilled to a few steps, which training would undo: train on "
            "FLUX.2-klein-base; the LoRA works with both"
        )


def encode_prompts(model: Model, captions: Sequence[str]) -> list[Condition]:
    """``context`` (512, 3 widths): what three layers make of the caption as a person's message."""
    tokenizer, encoder = model.tokenizers["qwen3"], model.encoders["qwen3"]
    texts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": one}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
        )
        for one in captions
    ]
    tokens = tokenizer(
        texts, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"
    ).to(model.device)
    states = encoder(
        input_ids=tokens.input_ids,
        attention_mask=tokens.attention_mask,
        output_hidden_states=True,
        use_cache=False,
    ).hidden_states
    contexts = torch.cat([states[layer] for layer in LAYERS], dim=-1)
    return [{"context": one} for one in contexts]


def encode_pictures(model: Model, pixels: Tensor, draw: torch.Generator) -> Tensor:  # noqa: ARG001
    """The most likely latents, 2 x 2 of them in one and each channel as wide as any other: what
    the transformer was trained on.
    """
    seen = model.vae.encode(pixels.to(model.device, model.vae.dtype)).latent_dist.mode()
    mean, deviation = _spread(model)
    latents: Tensor = (functional.pixel_unshuffle(seen.float(), PATCH) - mean) / deviation
    return latents


def decode(model: Model, latents: Tensor) -> Tensor:
    mean, deviation = _spread(model)
    seen = functional.pixel_shuffle(latents * deviation + mean, PATCH)
    pixels: Tensor = model.vae.decode(seen.to(model.vae.dtype), return_dict=False)[0]
    return pixels.float()


def _spread(model: Model) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel (1, C, 1, 1), which the autoencoder brings along."""
    norm = model.vae.bn
    mean, variance = (
        one.float().view(1, -1, 1, 1) for one in (norm.running_mean, norm.running_var)
    )
    return mean, (variance + model.vae.config.batch_norm_eps).sqrt()


def predict(model: Model, noisy: Tensor, times: Tensor, conditions: Sequence[Condition]) -> Tensor:
    context = torch.stack([one["context"] for one in conditions]).to(model.dtype)
    height, width = noisy.shape[-2:]
    packed = model.denoiser(
        noisy.flatten(2).mT.to(model.dtype),  # (B, tokens, C)
        encoder_hidden_states=context,
        timestep=times,
        img_ids=_places((1, height, width, 1)).to(noisy.device),
        txt_ids=_places((1, 1, 1, context.shape[1])).to(noisy.device),
        return_dict=False,
    )[0]
    answer: Tensor = packed.mT.unflatten(2, (height, width))
    return answer


def _places(sides: tuple[int, ...]) -> Tensor:
    """(tokens, 4): where each stands in time, rows, columns and text."""
    return torch.cartesian_prod(*(torch.arange(side) for side in sides))
