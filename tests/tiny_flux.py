"""FLUX.1 and FLUX.2 klein with random weights: the true classes, with few and narrow layers."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    FluxPipeline,
    FluxTransformer2DModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from bench.random_base import byte_symbols, write_tokenizer

WIDTH = 32
AUTOENCODER: dict[str, Any] = {
    "block_out_channels": (16, 16, 32, 32),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "sample_size": 64,
}
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
MARKS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def make_flux(folder: Path) -> Path:
    torch.manual_seed(5)
    folder.mkdir(parents=True)
    tokens = len(write_tokenizer(folder / "clip"))
    pipeline: Any = FluxPipeline(
        scheduler=_scheduler(),
        vae=AutoencoderKL(
            **AUTOENCODER,
            latent_channels=16,
            scaling_factor=0.3611,
            shift_factor=0.1159,
            use_quant_conv=False,
            use_post_quant_conv=False,
        ),
        text_encoder=CLIPTextModel(_clip(tokens)),
        tokenizer=CLIPTokenizer.from_pretrained(folder / "clip", local_files_only=True),
        text_encoder_2=T5EncoderModel(_t5()),
        tokenizer_2=_t5_tokenizer(),
        transformer=flux_transformer(),
    )
    pipeline.save_pretrained(folder)
    return folder


def flux_transformer() -> Any:
    return FluxTransformer2DModel(
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        guidance_embeds=True,
        axes_dims_rope=(4, 6, 6),
    )


def make_flux2(folder: Path, *, is_distilled: bool = False) -> Path:
    torch.manual_seed(6)
    vae: Any = AutoencoderKLFlux2(**AUTOENCODER, latent_channels=32)
    vae.bn.running_mean.normal_(std=0.3)
    vae.bn.running_var.uniform_(0.5, 2.0)
    tokenizer = _qwen_tokenizer()
    pipeline: Any = Flux2KleinPipeline(
        scheduler=_scheduler(),
        vae=vae,
        text_encoder=Qwen3ForCausalLM(_qwen(len(tokenizer))),
        tokenizer=tokenizer,
        transformer=flux2_transformer(),
        is_distilled=is_distilled,
    )
    pipeline.save_pretrained(folder)
    return folder


def flux2_transformer() -> Any:
    return Flux2Transformer2DModel(
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=3 * WIDTH,
        guidance_embeds=False,
        axes_dims_rope=(4, 4, 4, 4),
    )


def _scheduler() -> Any:
    return FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)


def _clip(tokens: int) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=tokens,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=77,
        projection_dim=WIDTH,
        bos_token_id=tokens - 2,
        eos_token_id=tokens - 1,
        pad_token_id=tokens - 1,
    )


def _t5() -> T5Config:
    return T5Config(
        vocab_size=128,
        d_model=WIDTH,
        d_kv=8,
        d_ff=2 * WIDTH,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        is_encoder_decoder=False,
    )


def _t5_tokenizer() -> Any:
    marks = [(mark, 0.0) for mark in ("<pad>", "</s>", "<unk>", "▁")]
    letters = [(chr(code), -2.0) for code in range(33, 127)]
    return T5Tokenizer(vocab=marks + letters, extra_ids=0, model_max_length=512)


def _qwen(tokens: int) -> Qwen3Config:
    return Qwen3Config(
        vocab_size=tokens,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=30,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
        tie_word_embeddings=True,
    )


def _qwen_tokenizer() -> Any:
    vocabulary = {token: place for place, token in enumerate([*MARKS, *byte_symbols()])}
    return Qwen2Tokenizer(
        vocab=vocabulary, merges=[], additional_special_tokens=MARKS[1:], chat_template=CHAT
    )
