"""The transformers of FLUX out of one ``.safetensors``, in the names that Black Forest Labs gave
their parts and that ComfyUI reads. Layers that are one there and several here are cut by the rows
that the several have.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import Flux2Transformer2DModel, FluxTransformer2DModel
from safetensors import SafetensorError, safe_open
from torch import Tensor

from trainer.families.family import BaseError
from trainer.single_file import Piece, Tensors

WHOLE = "model.diffusion_model."  # before every name where the file holds more than the transformer
Names = Mapping[str, tuple[str, ...]]  # a layer there, and the layers that it is here

DOUBLE: Names = {
    "img_mod.lin": ("norm1.linear",),
    "txt_mod.lin": ("norm1_context.linear",),
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "img_attn.norm.query_norm": ("attn.norm_q",),
    "img_attn.norm.key_norm": ("attn.norm_k",),
    "txt_attn.norm.query_norm": ("attn.norm_added_q",),
    "txt_attn.norm.key_norm": ("attn.norm_added_k",),
    "img_attn.proj": ("attn.to_out.0",),
    "txt_attn.proj": ("attn.to_add_out",),
}
SINGLE: Names = {
    "modulation.lin": ("norm.linear",),
    "norm.query_norm": ("attn.norm_q",),
    "norm.key_norm": ("attn.norm_k",),
}
ROUND: Names = {
    "img_in": ("x_embedder",),
    "txt_in": ("context_embedder",),
    "final_layer.linear": ("proj_out",),
    "final_layer.adaLN_modulation.1": ("norm_out.linear",),
}
SWAPPED = "final_layer.adaLN_modulation.1"  # shift and scale there, scale and shift here


def _embedder(there: str, here: str) -> Names:
    return {f"{there}.in_layer": (f"{here}.linear_1",), f"{there}.out_layer": (f"{here}.linear_2",)}


FLUX1: Mapping[str, Names] = {
    "double_blocks": {
        **DOUBLE,
        "img_mlp.0": ("ff.net.0.proj",),
        "img_mlp.2": ("ff.net.2",),
        "txt_mlp.0": ("ff_context.net.0.proj",),
        "txt_mlp.2": ("ff_context.net.2",),
    },
    "single_blocks": {
        **SINGLE,
        "linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
        "linear2": ("proj_out",),
    },
    "": {
        **ROUND,
        **_embedder("time_in", "time_text_embed.timestep_embedder"),
        **_embedder("guidance_in", "time_text_embed.guidance_embedder"),
        **_embedder("vector_in", "time_text_embed.text_embedder"),
    },
}
FLUX2: Mapping[str, Names] = {
    "double_blocks": {
        **DOUBLE,
        "img_mlp.0": ("ff.linear_in",),
        "img_mlp.2": ("ff.linear_out",),
        "txt_mlp.0": ("ff_context.linear_in",),
        "txt_mlp.2": ("ff_context.linear_out",),
    },
    "single_blocks": {
        **SINGLE,
        "linear1": ("attn.to_qkv_mlp_proj",),
        "linear2": ("attn.to_out",),
    },
    "": {
        **ROUND,
        **_embedder("time_in", "time_guidance_embed.timestep_embedder"),
        "double_stream_modulation_img.lin": ("double_stream_modulation_img.linear",),
        "double_stream_modulation_txt.lin": ("double_stream_modulation_txt.linear",),
        "single_stream_modulation.lin": ("single_stream_modulation.linear",),
    },
}
HERE = {"double_blocks": "transformer_blocks", "single_blocks": "single_transformer_blocks"}
DEV = {"guidance_embeds": True}
KLEIN_4B = {
    "num_layers": 5,
    "num_single_layers": 20,
    "num_attention_heads": 24,
    "joint_attention_dim": 7680,
    "guidance_embeds": False,
}


def flux1(path: Path) -> Piece:
    return _piece(path, FluxTransformer2DModel, DEV, FLUX1)


def flux2(path: Path) -> Piece:
    return _piece(path, Flux2Transformer2DModel, KLEIN_4B, FLUX2)


def _piece(path: Path, kind: Any, config: dict[str, Any], table: Mapping[str, Names]) -> Piece:
    return Piece(
        kind=kind,
        folder="transformer",
        prefix=_prefix(path),
        config=config,
        build=kind.from_config,
        convert=lambda tensors, network: _converted(tensors, network, table),
    )


def _prefix(path: Path) -> str:
    try:
        with safe_open(path, framework="pt") as file:
            return WHOLE if any(name.startswith(WHOLE) for name in file.keys()) else ""  # noqa: SIM118
    except SafetensorError as error:
        raise BaseError(f"{path.name} is no .safetensors, or not all of one: {error}") from error


def _converted(tensors: Tensors, network: Any, table: Mapping[str, Names]) -> Tensors:
    """In the network's own names. A file that diffusers wrote has them already."""
    known = network.state_dict()
    if tensors.keys() <= known.keys():
        return tensors
    return {
        name: tensor
        for there, whole in tensors.items()
        for name, tensor in _cut(there.removeprefix(WHOLE), whole, known, table)
    }


def _cut(
    there: str, whole: Tensor, known: Tensors, table: Mapping[str, Names]
) -> list[tuple[str, Tensor]]:
    path, _, end = there.rpartition(".")
    block, number, inner = (*path.split(".", 2), "", "")[:3]
    if block in HERE:
        level, layers = f"{HERE[block]}.{number}.", table[block][inner]
    else:
        level, layers = "", table[""][path]
    end = "weight" if end == "scale" else end
    names = [f"{level}{layer}.{end}" for layer in layers]
    if path == SWAPPED:
        whole = torch.cat(whole.chunk(2)[::-1])
    rows = [len(known[name]) for name in names]
    return [(name, one.contiguous()) for name, one in zip(names, whole.split(rows), strict=True)]
