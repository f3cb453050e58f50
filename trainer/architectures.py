"""The networks of Stable Diffusion 1.5 and XL: where they are stored, and how they are built. The
figures are those of the models that everything of these families descends from.
"""

from typing import Any

from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders import single_file_utils as ldm
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from trainer.single_file import Piece, Tensors

UNET = "model.diffusion_model."
VAE = "first_stage_model."
LEVEL = "text_model."

CLIP_L: dict[str, Any] = {
    "vocab_size": 49408,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "projection_dim": 768,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
    "pad_token_id": 49407,
}
CLIP_G: dict[str, Any] = CLIP_L | {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "hidden_act": "gelu",
    "projection_dim": 1280,
    "pad_token_id": 0,
}
UNET_15: dict[str, Any] = {
    "sample_size": 64,
    "block_out_channels": (320, 640, 1280, 1280),
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
}
UNET_XL: dict[str, Any] = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "cross_attention_dim": 2048,
    "attention_head_dim": (5, 10, 20),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 1280 + 6 * 256,
}
VAE_15: dict[str, Any] = {
    "sample_size": 512,
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "latent_channels": 4,
    "scaling_factor": 0.18215,
}
VAE_XL: dict[str, Any] = VAE_15 | {"sample_size": 1024, "scaling_factor": 0.13025}


def unet(prefix: str, config: dict[str, Any]) -> Piece:
    return Piece(
        kind=UNet2DConditionModel,
        folder="unet",
        prefix=prefix,
        config=config,
        build=UNet2DConditionModel.from_config,
        convert=lambda tensors, network: ldm.convert_ldm_unet_checkpoint(tensors, network.config),
    )


def vae(prefix: str, config: dict[str, Any]) -> Piece:
    return Piece(
        kind=AutoencoderKL,
        folder="vae",
        prefix=prefix,
        config=config,
        build=AutoencoderKL.from_config,
        convert=lambda tensors, network: ldm.convert_ldm_vae_checkpoint(tensors, network.config),
    )


def clip(prefix: str) -> Piece:
    """OpenAI's text encoder, in its own names."""
    return Piece(
        kind=CLIPTextModel,
        folder="text_encoder",
        prefix=prefix,
        config=CLIP_L,
        build=lambda config: CLIPTextModel(CLIPTextConfig.from_dict(config)),
        convert=lambda tensors, network: _named(ldm.convert_ldm_clip_checkpoint(tensors), network),
    )


def open_clip(prefix: str) -> Piece:
    """The larger one of the OpenCLIP project, in that project's names."""
    return Piece(
        kind=CLIPTextModelWithProjection,
        folder="text_encoder_2",
        prefix=prefix,
        config=CLIP_G,
        build=lambda config: CLIPTextModelWithProjection(CLIPTextConfig.from_dict(config)),
        convert=lambda tensors, network: _named(
            ldm.convert_open_clip_checkpoint(network, tensors, prefix), network
        ),
    )


def _named(tensors: Tensors, network: Any) -> Tensors:
    """With the level or without it, as the network has it; what it does not have is left out:
    positions that are counted, a scale for comparing with pictures.
    """
    known = network.state_dict().keys()
    bare = {name.removeprefix(LEVEL): tensor for name, tensor in tensors.items()}
    named = {
        name if name in known else LEVEL + name: tensor.contiguous()
        for name, tensor in bare.items()
    }
    return {name: tensor for name, tensor in named.items() if name in known}


SD15_TEXT = clip("cond_stage_model.transformer.")
SD15_VAE = vae(VAE, VAE_15)
SD15_UNET = unet(UNET, UNET_15)
SDXL_TEXT = clip("conditioner.embedders.0.transformer.")
SDXL_TEXT_2 = open_clip("conditioner.embedders.1.model.")
SDXL_VAE = vae(VAE, VAE_XL)
SDXL_UNET = unet(UNET, UNET_XL)
