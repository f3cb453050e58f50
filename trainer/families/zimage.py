"""Z-Image: the base model, and Turbo, which is distilled to a few steps without guidance. A LoRA of
the one works with the other.

Training Turbo undoes its distillation. Where a ``training_adapter.safetensors`` lies with the base
model, a LoRA that has undone it already, the transformer learns with it and draws without it: what
is learned then stands beside the distillation. It is no part of the file that comes out.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from diffusers import AutoencoderKL, ZImagePipeline, ZImageTransformer2DModel
from diffusers.loaders import single_file_utils as ldm
from torch import Tensor, nn
from torch.nn import functional
from transformers import Qwen2Tokenizer, Qwen3Model

from trainer import folder, transformer_file
from trainer.families.family import BaseError, Condition, Model, Part, Traits

log = logging.getLogger(__name__)

# diffusers' own layout, which ComfyUI reads too: there q, k and v are one matrix, and its loader
# knows which rows are whose. How the base is drawn stands below; the traits are Turbo's.
TRAITS = Traits(
    base_version="z_image",
    architecture="z-image",
    parts={
        "transformer": Part(
            prefix="transformer",
            attention=("attention.to_q", "attention.to_k", "attention.to_v", "attention.to_out.0"),
            rest=("feed_forward.w1", "feed_forward.w2", "feed_forward.w3"),
            within=("layers.", "noise_refiner.", "context_refiner."),
        ),
    },
    layout="peft",
    grain=16,
    channels=16,
    guidance=5.0,
    negative=False,
    sample_steps=9,
)
PATCH = 2  # x 2 latents are one token
TOKENS = 512  # of a caption at most
BASE_SHIFT = 6.0  # of the base's times; of Turbo's it is 3
BASE_STEPS = 28
ADAPTER = "training_adapter.safetensors"
DOWN, UP = ".lora_A.weight", ".lora_B.weight"
LENGTHS = {"axes_lens": [1536, 512, 512]}  # the most tokens of text, rows and columns


def load_text(model: Model) -> None:
    """The language model without what makes words of its answer."""
    if model.dtype == torch.float16:
        raise BaseError("Z-Image's numbers are too large for half precision: take bf16 or fp32")
    try:
        encoder = folder.network(model, "text_encoder", Qwen3Model, saved_as="Qwen3ForCausalLM")
    except BaseError:
        encoder = folder.network(model, "text_encoder", Qwen3Model)
    model.encoders["qwen3"] = encoder
    tokenizer = folder.tokenizer(model, "tokenizer", Qwen2Tokenizer)
    if not tokenizer.chat_template:
        raise BaseError(f"{model.path.name}: its tokenizer has no chat template")
    model.tokenizers["qwen3"] = tokenizer


def load_vae(model: Model) -> None:
    model.vae = folder.network(model, "vae", AutoencoderKL)


def load_denoiser(model: Model) -> None:
    fewest = 1 if _is_turbo(model) else BASE_STEPS
    model.objective = replace(folder.flow(model, PATCH), fewest=fewest)
    if model.path.is_file():
        model.denoiser = transformer_file.load(
            model,
            ZImageTransformer2DModel,
            LENGTHS,
            ldm.convert_z_image_transformer_checkpoint_to_diffusers,
        )
    else:
        model.denoiser = folder.network(model, "transformer", ZImageTransformer2DModel)
    _add_adapter(model)


def _is_turbo(model: Model) -> bool:
    """Nothing else in the folder tells them apart."""
    config = folder.settings(model.path, "scheduler", "scheduler_config.json", folder.FLOW)
    return bool(config.get("shift", 1.0) < BASE_SHIFT)


def _add_adapter(model: Model) -> None:
    path = folder.root(model.path) / ADAPTER
    if not path.is_file():
        if _is_turbo(model):
            log.warning("%s has no %s: it may forget its few steps", model.path.name, ADAPTER)
        return
    try:
        # In any layout that diffusers knows, the scale folded in.
        tensors = ZImagePipeline.lora_state_dict(path.parent, weight_name=ADAPTER)
    except (KeyError, ValueError) as error:
        raise BaseError(f"{path.name} is in no layout that is known: {error}") from error
    layers = dict(model.denoiser.named_modules())
    downs = [name for name in tensors if name.endswith(DOWN)]
    if not downs or len(tensors) != 2 * len(downs):
        raise BaseError(f"{path.name} is not a LoRA of pairs")
    for name in downs:
        inside = name.removeprefix("transformer.").removesuffix(DOWN)
        pair = (tensors[name], tensors[name.replace(DOWN, UP)])
        down, up = (one.to(model.device, model.dtype) for one in pair)
        layer = layers.get(inside)
        if type(layer) is not nn.Linear or layer.weight.shape != (len(up), down.shape[1]):
            raise BaseError(f"{path.name} does not fit {model.path.name}: {inside}")
        layer.register_forward_hook(_adapted(model, down, up))


def _adapted(model: Model, down: Tensor, up: Tensor) -> Callable[..., Tensor | None]:
    def hook(_: nn.Module, given: tuple[Tensor, ...], answer: Tensor) -> Tensor | None:
        if _is_drawing(model):
            return None
        return answer + functional.linear(functional.linear(given[0], down), up)

    return hook


def _is_drawing(model: Model) -> bool:
    return model.guidance != 1


def encode_prompts(model: Model, captions: Sequence[str]) -> list[Condition]:
    """``context`` (tokens, width): what the last layer but one makes of the caption as a person's
    message. With it, where the base has to be guided, the ``empty`` caption's.
    """
    empty = {} if _is_turbo(model) else {"empty": _context(model, "")}
    return [{"context": _context(model, one)} | empty for one in captions]


def _context(model: Model, caption: str) -> Tensor:
    tokenizer: Any = model.tokenizers["qwen3"]
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": caption}],
        tokenize=False,
        add_generation_prompt=True,
        enable_thinking=True,
    )
    tokens = tokenizer(text, truncation=True, max_length=TOKENS, return_tensors="pt")
    states = model.encoders["qwen3"](
        input_ids=tokens.input_ids.to(model.device), output_hidden_states=True, use_cache=False
    ).hidden_states
    context: Tensor = states[-2][0]
    return context


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
    answer = _answer(model, noisy, times, [one["context"] for one in conditions])
    if not (_is_drawing(model) and "empty" in conditions[0]):
        return answer
    empty = _answer(model, noisy, times, [one["empty"] for one in conditions])
    return empty + model.guidance * (answer - empty)


def _answer(model: Model, noisy: Tensor, times: Tensor, contexts: Sequence[Tensor]) -> Tensor:
    """The transformer's times run from noise to the picture, and so does what it answers. It fills
    up captions of different lengths itself.
    """
    answers = model.denoiser(
        list(noisy.to(model.dtype).unsqueeze(2)),  # each (C, 1, h, w): a film of one frame
        1 - times,
        [one.to(model.dtype) for one in contexts],
        return_dict=False,
    )[0]
    return -torch.stack(answers).squeeze(2).float()
