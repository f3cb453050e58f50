"""Stable Diffusion XL and what descends from it: Pony, Illustrious, NoobAI."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from trainer import architectures
from trainer.families import sd15
from trainer.families.family import Condition, Model, Part, Traits

# The paths of the U-Net's attentions, and what they are called in the original code. sd-scripts
# knows its own files by those names alone; every other program knows both.
RENAMED = (
    ("down_blocks.1.attentions.0.", "input_blocks.4.1."),
    ("down_blocks.1.attentions.1.", "input_blocks.5.1."),
    ("down_blocks.2.attentions.0.", "input_blocks.7.1."),
    ("down_blocks.2.attentions.1.", "input_blocks.8.1."),
    ("mid_block.attentions.0.", "middle_block.1."),
    ("up_blocks.0.attentions.0.", "output_blocks.0.1."),
    ("up_blocks.0.attentions.1.", "output_blocks.1.1."),
    ("up_blocks.0.attentions.2.", "output_blocks.2.1."),
    ("up_blocks.1.attentions.0.", "output_blocks.3.1."),
    ("up_blocks.1.attentions.1.", "output_blocks.4.1."),
    ("up_blocks.1.attentions.2.", "output_blocks.5.1."),
)


def _text(prefix: str) -> Part:
    return Part(
        prefix=prefix,
        attention=("q_proj", "k_proj", "v_proj", "out_proj"),
        rest=("fc1", "fc2"),
        level="text_model.",
    )


TRAITS = Traits(
    base_version="sdxl_base_v1-0",
    architecture="stable-diffusion-xl-v1-base",
    parts={
        "unet": Part(
            prefix="lora_unet",
            attention=("to_q", "to_k", "to_v", "to_out.0"),
            rest=("ff.net.0.proj", "ff.net.2", "proj_in", "proj_out"),
            renamed=RENAMED,
        ),
        "te1": _text("lora_te1"),
        "te2": _text("lora_te2"),
    },
)


def load_text(model: Model) -> None:
    first = sd15.network(model, architectures.SDXL_TEXT)
    # The U-Net is given what comes out of the last layer but one: the last has nothing to learn.
    del first.encoder.layers[-1]
    first.final_layer_norm = nn.Identity()
    model.encoders["te1"] = first
    model.encoders["te2"] = sd15.network(model, architectures.SDXL_TEXT_2)
    model.tokenizers["te1"] = sd15.tokenizer(model, "tokenizer")
    model.tokenizers["te2"] = sd15.tokenizer(model, "tokenizer_2")


def load_vae(model: Model) -> None:
    """In half precision the original's activations overflow; those that do not say so."""
    half = model.dtype == torch.float16
    vae = sd15.network(model, architectures.SDXL_VAE, torch.float32 if half else model.dtype)
    model.vae = vae.half() if half and not vae.config.force_upcast else vae


def load_denoiser(model: Model) -> None:
    model.denoiser = sd15.network(model, architectures.SDXL_UNET)
    model.objective = sd15.objective(model)


def encode_prompts(model: Model, captions: Sequence[str]) -> list[Condition]:
    """``context`` (tokens, both widths): each encoder's last layer but one. ``pooled`` (width): the
    second one's projection of the whole caption.
    """
    first = model.encoders["te1"](_tokens(model, "te1", captions)).last_hidden_state
    second = model.encoders["te2"](_tokens(model, "te2", captions), output_hidden_states=True)
    contexts = torch.cat([first, second.hidden_states[-2]], dim=-1)
    return [
        {"context": context, "pooled": pooled}
        for context, pooled in zip(contexts, second.text_embeds, strict=True)
    ]


def _tokens(model: Model, part: str, captions: Sequence[str]) -> Tensor:
    found: Any = model.tokenizers[part](
        list(captions),
        padding="max_length",
        truncation=True,
        max_length=model.encoders[part].config.max_position_embeddings,
        return_tensors="pt",
    )
    tokens: Tensor = found.input_ids.to(model.device)
    return tokens


encode_pictures = sd15.encode_pictures
decode = sd15.decode


def predict(model: Model, noisy: Tensor, times: Tensor, conditions: Sequence[Condition]) -> Tensor:
    """Each picture is told to be as large as it is, and not to be cut out of a larger one."""
    height, width = (side * TRAITS.vae_scale for side in noisy.shape[-2:])
    sizes = torch.tensor([[height, width, 0, 0, height, width]], device=noisy.device)
    context = torch.stack([one["context"] for one in conditions])
    pooled = torch.stack([one["pooled"] for one in conditions])
    added = {
        "text_embeds": pooled.to(model.dtype),
        "time_ids": sizes.expand(len(conditions), -1),
    }
    answer: Tensor = model.denoiser(
        noisy.to(model.dtype),
        times,
        context.to(model.dtype),
        added_cond_kwargs=added,
        return_dict=False,
    )[0]
    return answer
