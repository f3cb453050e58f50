"""Qwen-Image, whose captions are read by the language half of a model that sees, and whose
autoencoder is one for films: a picture is a film of one frame.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from diffusers import AutoencoderKLQwenImage, QwenImageTransformer2DModel
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import Qwen2_5_VLForConditionalGeneration, Qwen2Tokenizer

from trainer import folder, quick_start, transformer_file
from trainer.families.family import BaseError, Condition, Model, Part, Traits

# diffusers' own layout; ComfyUI has the same names. It guides itself, see `predict`.
TRAITS = Traits(
    base_version="qwen_image",
    architecture="qwen-image",
    parts={
        "transformer": Part(
            prefix="transformer",
            attention=(
                *("attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0"),
                *("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj", "attn.to_add_out"),
            ),
            rest=(
                *("img_mlp.net.0.proj", "img_mlp.net.2"),
                *("txt_mlp.net.0.proj", "txt_mlp.net.2"),
            ),
            within=("transformer_blocks.",),
        ),
    },
    layout="peft",
    grain=16,
    channels=16,
    guidance=4.0,
    negative=False,
    sample_steps=28,
)
PATCH = 2  # x 2 latents are one token
TOKENS = 512  # of a caption at most
# What the language model is told; the transformer does not see the first tokens of it.
TEMPLATE = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, "
    "quantity, text, spatial relationships of the objects and background:<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
UNSEEN = 34
EMPTY = " "  # what pictures are led away from
BLOCKS = {"num_layers": 60}


def load_text(model: Model) -> None:
    """Only the language half goes to the device."""
    if model.dtype == torch.float16:
        raise BaseError("Qwen-Image's numbers are too large for half precision: take bf16 or fp32")
    kind: Any = Qwen2_5_VLForConditionalGeneration
    folder.settings(model.path, "text_encoder", "config.json", kind.__name__)
    quick_start.give_way(quick_start.SHAPES)  # as in `folder.network`
    whole = kind.from_pretrained(
        folder.part(model.path, "text_encoder"), torch_dtype=model.dtype, **folder.SAFE
    )
    encoder = whole.model.language_model.requires_grad_(requires_grad=False)
    model.encoders["qwen2_5"] = encoder.to(model.device)
    tokenizer = folder.tokenizer(model, "tokenizer", Qwen2Tokenizer)
    if len(tokenizer(TEMPLATE).input_ids) <= UNSEEN:
        raise BaseError(f"{model.path.name}: its tokenizer has no vocabulary")
    model.tokenizers["qwen2_5"] = tokenizer


def load_vae(model: Model) -> None:
    model.vae = folder.network(model, "vae", AutoencoderKLQwenImage)


def load_denoiser(model: Model) -> None:
    config = folder.settings(model.path, "scheduler", "scheduler_config.json", folder.FLOW)
    model.objective = replace(folder.flow(model, PATCH), last=config.get("shift_terminal"))
    kind = QwenImageTransformer2DModel
    if model.path.is_file():
        model.denoiser = transformer_file.load(model, kind, BLOCKS)
    else:
        model.denoiser = folder.network(model, "transformer", kind)
    _leave_out_unread(model.denoiser.transformer_blocks[-1])


def _leave_out_unread(last: Any) -> None:
    """What the last block makes of the text is read by nobody; a pair there would learn nothing."""
    last.attn.add_q_proj = last.attn.to_add_out = last.txt_mlp = nn.Identity()


def encode_prompts(model: Model, captions: Sequence[str]) -> list[Condition]:
    """``context`` (tokens, width): the last hidden state; with it the ``empty`` caption's."""
    empty = _context(model, EMPTY)
    return [{"context": _context(model, one), "empty": empty} for one in captions]


def _context(model: Model, caption: str) -> Tensor:
    tokens = model.tokenizers["qwen2_5"](
        TEMPLATE.format(caption), truncation=True, max_length=TOKENS + UNSEEN, return_tensors="pt"
    )
    encoder = model.encoders["qwen2_5"]
    states = encoder(input_ids=tokens.input_ids.to(model.device), use_cache=False)
    context: Tensor = states.last_hidden_state[0, UNSEEN:]
    return context


def encode_pictures(model: Model, pixels: Tensor, draw: torch.Generator) -> Tensor:
    film = pixels.unsqueeze(2).to(model.device, model.vae.dtype)  # (B, 3, 1, H, W)
    seen = model.vae.encode(film).latent_dist
    noise = torch.randn(seen.mean.shape, generator=draw).to(seen.mean)
    mean, deviation = _spread(model)
    drawn = (seen.mean + seen.std * noise).float().squeeze(2)
    latents: Tensor = (drawn - mean) / deviation
    return latents


def decode(model: Model, latents: Tensor) -> Tensor:
    mean, deviation = _spread(model)
    film = (latents * deviation + mean).unsqueeze(2).to(model.vae.dtype)
    pixels: Tensor = model.vae.decode(film, return_dict=False)[0]
    return pixels.squeeze(2).float()


def _spread(model: Model) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each channel (C, 1, 1)."""
    config = model.vae.config
    mean, deviation = (
        torch.tensor(one, device=model.device).view(-1, 1, 1)
        for one in (config.latents_mean, config.latents_std)
    )
    return mean, deviation


def predict(model: Model, noisy: Tensor, times: Tensor, conditions: Sequence[Condition]) -> Tensor:
    """While it draws, guided: each patch as strong as it would be without."""
    height, width = (side // PATCH for side in noisy.shape[-2:])
    answer = _answer(model, noisy, times, [one["context"] for one in conditions])
    if model.guidance != 1:
        empty = _answer(model, noisy, times, [one["empty"] for one in conditions])
        strength = answer.norm(dim=-1, keepdim=True)
        answer = empty + model.guidance * (answer - empty)
        answer = answer * strength / answer.norm(dim=-1, keepdim=True)
    return functional.pixel_shuffle(answer.mT.unflatten(2, (height, width)), PATCH)


def _answer(model: Model, noisy: Tensor, times: Tensor, contexts: Sequence[Tensor]) -> Tensor:
    """(B, patches, 4 C). Captions of different lengths are filled up with what is not looked at."""
    patches = functional.pixel_unshuffle(noisy, PATCH)  # (B, 4 C, h / 2, w / 2)
    lengths = torch.tensor([len(one) for one in contexts], device=noisy.device)
    context = pad_sequence(list(contexts), batch_first=True).to(model.dtype)
    places = torch.arange(context.shape[1], device=noisy.device)
    alike = len({len(one) for one in contexts}) == 1
    answer: Tensor = model.denoiser(
        patches.flatten(2).mT.to(model.dtype),
        encoder_hidden_states=context,
        encoder_hidden_states_mask=None if alike else places < lengths[:, None],
        timestep=times,
        img_shapes=[[(1, *patches.shape[-2:])]] * len(noisy),
        return_dict=False,
    )[0]
    return answer.float()
