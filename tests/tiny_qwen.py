"""Z-Image and Qwen-Image with random weights: the true classes, with few and narrow layers."""

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from torch import Tensor
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen3Config,
    Qwen3Model,
)

from bench.random_base import byte_symbols

WIDTH = 32
MARKS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
LANGUAGE: dict[str, Any] = {
    "vocab_size": len(MARKS) + 256,
    "hidden_size": WIDTH,
    "intermediate_size": 2 * WIDTH,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "bos_token_id": None,
    "eos_token_id": 0,
    "pad_token_id": 0,
}


def make_zimage(folder: Path, *, shift: float = 3.0) -> Path:
    """Turbo; with a shift of 6 the base."""
    torch.manual_seed(7)
    pipeline: Any = ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=shift),
        vae=AutoencoderKL(
            block_out_channels=(16, 16, 32, 32),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=1,
            norm_num_groups=8,
            sample_size=64,
            latent_channels=16,
            scaling_factor=0.3611,
            shift_factor=0.1159,
            use_quant_conv=False,
            use_post_quant_conv=False,
        ),
        text_encoder=Qwen3Model(Qwen3Config(**LANGUAGE, head_dim=16)),
        tokenizer=tokenizer(),
        transformer=zimage_transformer(),
    )
    pipeline.save_pretrained(folder)
    return folder


def zimage_transformer() -> Any:
    network: Any = ZImageTransformer2DModel(
        dim=WIDTH,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=WIDTH,
        axes_dims=[4, 6, 6],
        axes_lens=[600, 32, 32],
    )
    for token in (network.x_pad_token, network.cap_pad_token):
        torch.nn.init.normal_(token)
    return network


@torch.no_grad()
def zimage_answer(transformer: Any) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    noisy = torch.randn((16, 1, 8, 12), generator=draw)
    context = torch.randn((40, WIDTH), generator=draw)
    answer: Tensor = transformer([noisy], torch.tensor([0.3]), [context], return_dict=False)[0][0]
    return answer


def make_qwen(folder: Path) -> Path:
    torch.manual_seed(8)
    pipeline: Any = QwenImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True,
            base_shift=0.5,
            max_shift=0.9,
            max_image_seq_len=8192,
            shift_terminal=0.02,
        ),
        vae=AutoencoderKLQwenImage(base_dim=8, z_dim=16, dim_mult=[1, 2, 2, 2], num_res_blocks=1),
        text_encoder=Qwen2_5_VLForConditionalGeneration(_seeing()),
        tokenizer=tokenizer(),
        transformer=qwen_transformer(),
    )
    pipeline.save_pretrained(folder)
    return folder


def qwen_transformer() -> Any:
    return QwenImageTransformer2DModel(
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        axes_dims_rope=(4, 6, 6),
    )


def _seeing() -> Any:
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e6}
    return Qwen2_5_VLConfig(
        text_config=LANGUAGE | {"rope_parameters": rope},
        vision_config={
            "depth": 1,
            "hidden_size": WIDTH,
            "intermediate_size": WIDTH,
            "num_heads": 2,
            "out_hidden_size": WIDTH,
            "fullatt_block_indexes": [0],
        },
    )


def tokenizer() -> Any:
    """Bytes are its letters."""
    vocabulary = {token: place for place, token in enumerate([*MARKS, *byte_symbols()])}
    return Qwen2Tokenizer(
        vocab=vocabulary, merges=[], additional_special_tokens=MARKS[1:], chat_template=CHAT
    )
