"""The base models of all families in their true sizes, on torch's ``meta`` device: shapes without
contents. The figures are those of the released models' own configs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    Flux2Transformer2DModel,
    FluxTransformer2DModel,
    QwenImageTransformer2DModel,
    ZImageTransformer2DModel,
)
from torch import Tensor, nn
from transformers import Qwen3Config, Qwen3Model, T5Config, T5EncoderModel
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as vision
from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLTextConfig

from trainer import architectures, flux_file
from trainer.families import flux2, qwen
from trainer.families.family import Condition, Model
from trainer.objective import Diffusion, Flow

META = torch.device("meta")
CAPTION = 256  # tokens, for the families that do not fill captions up; most have fewer
T5_XXL: dict[str, Any] = {
    "vocab_size": 32128,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "feed_forward_proj": "gated-gelu",
}
QWEN3_4B: dict[str, Any] = {
    "vocab_size": 151936,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
}
QWEN2_5_7B: dict[str, Any] = {
    "vocab_size": 152064,
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
}
VAE_FLUX: dict[str, Any] = architectures.VAE_15 | {
    "latent_channels": 16,
    "scaling_factor": 0.3611,
    "shift_factor": 0.1159,
    "use_quant_conv": False,
    "use_post_quant_conv": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """How a family's networks are made; ``condition`` are the shapes of one caption's encodings,
    ``tokens`` what each encoder is given. ``sides`` in pixels are those that it is measured at.
    """

    denoiser: Callable[[], Any]
    encoders: Mapping[str, Callable[[], Any]]
    vae: Callable[[], Any]
    condition: Mapping[str, tuple[int, ...]]
    tokens: int
    sides: tuple[int, int]
    hidden_states: bool = False


def _language() -> Any:
    """As the family keeps it: without the layers that nobody reads."""
    found = Qwen3Model(Qwen3Config(**QWEN3_4B))
    del found.layers[flux2.LAYERS[-1] + 1 :]
    return found


def _first_of_xl() -> Any:
    found = architectures.SDXL_TEXT.build(dict(architectures.CLIP_L))
    del found.encoder.layers[-1]
    found.final_layer_norm = nn.Identity()
    return found


def _qwen() -> Any:
    found: Any = QwenImageTransformer2DModel(**qwen.BLOCKS)
    qwen._leave_out_unread(found.transformer_blocks[-1])  # noqa: SLF001
    return found


BASES = {
    "sd15": Base(
        denoiser=lambda: architectures.SD15_UNET.build(dict(architectures.UNET_15)),
        encoders={"te": lambda: architectures.SD15_TEXT.build(dict(architectures.CLIP_L))},
        vae=lambda: AutoencoderKL.from_config(architectures.VAE_15),
        condition={"context": (77, 768)},
        tokens=77,
        sides=(384, 768),
    ),
    "sdxl": Base(
        denoiser=lambda: architectures.SDXL_UNET.build(dict(architectures.UNET_XL)),
        encoders={
            "te1": _first_of_xl,
            "te2": lambda: architectures.SDXL_TEXT_2.build(dict(architectures.CLIP_G)),
        },
        vae=lambda: AutoencoderKL.from_config(architectures.VAE_XL),
        condition={"context": (77, 2048), "pooled": (1280,)},
        tokens=77,
        sides=(512, 1024),
    ),
    "flux": Base(
        denoiser=lambda: FluxTransformer2DModel(**flux_file.DEV),
        encoders={
            "clip": lambda: architectures.SD15_TEXT.build(dict(architectures.CLIP_L)),
            "t5": lambda: T5EncoderModel(T5Config(**T5_XXL)),
        },
        vae=lambda: AutoencoderKL.from_config(VAE_FLUX),
        condition={"context": (512, 4096), "pooled": (768,)},
        tokens=512,
        sides=(512, 1024),
    ),
    "flux2": Base(
        denoiser=lambda: Flux2Transformer2DModel(**flux_file.KLEIN_4B),
        encoders={"qwen3": _language},
        vae=AutoencoderKLFlux2,
        condition={"context": (512, 7680)},
        tokens=512,
        sides=(512, 1024),
        hidden_states=True,
    ),
    "zimage": Base(
        denoiser=lambda: ZImageTransformer2DModel(axes_lens=[1536, 512, 512]),
        encoders={"qwen3": lambda: Qwen3Model(Qwen3Config(**QWEN3_4B))},
        vae=lambda: AutoencoderKL.from_config(VAE_FLUX),
        condition={"context": (CAPTION, 2560)},
        tokens=512,
        sides=(512, 1024),
        hidden_states=True,
    ),
    "qwen": Base(
        denoiser=_qwen,
        encoders={
            "qwen2_5": lambda: vision.Qwen2_5_VLTextModel(Qwen2_5_VLTextConfig(**QWEN2_5_7B))
        },
        vae=AutoencoderKLQwenImage,
        condition={"context": (CAPTION, 3584), "empty": (CAPTION, 3584)},
        tokens=546,
        sides=(512, 1024),
    ),
}


def model(family: str, *, text: bool = False, vae: bool = False, denoiser: bool = True) -> Model:
    """The wanted networks in bf16, frozen, as the families' loaders leave them."""
    base = BASES[family]
    found = Model(path=Path("nowhere"), dtype=torch.bfloat16, device=META)
    if denoiser:
        found.denoiser = _made(base.denoiser)
        alphas = torch.linspace(0.999, 0.001, 1000, device=META)
        flow = family not in ("sd15", "sdxl")
        found.objective = Flow() if flow else Diffusion(alphas, "epsilon")
    if text:
        found.encoders = {name: _made(make) for name, make in base.encoders.items()}
        found.tokenizers = dict.fromkeys(base.encoders, _tokenized(base.tokens))
    if vae:
        found.vae = _made(base.vae)
    return found


def _made(make: Callable[[], Any]) -> Any:
    with META:
        network = make()
    return network.to(torch.bfloat16).eval().requires_grad_(requires_grad=False)


def _tokenized(length: int) -> Callable[..., Any]:
    def tokenizer(texts: list[str], **_: Any) -> Any:
        return SimpleNamespace(input_ids=torch.zeros(len(texts), length, dtype=torch.long))

    return tokenizer


def condition(family: str) -> Condition:
    shapes = BASES[family].condition
    return {
        name: torch.empty(shape, device=META, dtype=torch.bfloat16)
        for name, shape in shapes.items()
    }


def read_caption(family: str, found: Model) -> list[Tensor]:
    """What the encoders answer to one caption, all of which is kept while the next one is read."""
    base = BASES[family]
    answers = []
    for name, encoder in found.encoders.items():
        length = 77 if name == "clip" else base.tokens
        tokens = torch.zeros(1, length, dtype=torch.long, device=META)
        more: dict[str, Any] = {}
        if name.startswith("qwen"):
            # Ready-made: whoever makes it looks at the tokens, which are not there.
            mask = torch.empty(1, 1, length, length, dtype=torch.bool, device=META)
            more = {"use_cache": False, "attention_mask": mask}
        if base.hidden_states:
            more["output_hidden_states"] = True
        answers.append(encoder(tokens, **more))
    return answers
