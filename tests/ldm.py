"""A diffusers folder's networks in the names of the original code, in one file: the way back from
what the trainer reads. Written from the original layout, not from the code that reads it.
"""

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

Tensors = dict[str, Tensor]
CONFIGS = ("unet", "vae", "text_encoder", "text_encoder_2")
WHOLE = ("tokenizer", "tokenizer_2", "scheduler")

UNET_ENDS = (
    ("time_embedding.linear_1", "time_embed.0"),
    ("time_embedding.linear_2", "time_embed.2"),
    ("add_embedding.linear_1", "label_emb.0.0"),
    ("add_embedding.linear_2", "label_emb.0.2"),
    ("conv_in", "input_blocks.0.0"),
    ("conv_norm_out", "out.0"),
    ("conv_out", "out.2"),
)
RESNET = (
    ("norm1", "in_layers.0"),
    ("conv1", "in_layers.2"),
    ("time_emb_proj", "emb_layers.1"),
    ("norm2", "out_layers.0"),
    ("conv2", "out_layers.3"),
    ("conv_shortcut", "skip_connection"),
)
VAE = (
    ("conv_norm_out", "norm_out"),
    ("conv_shortcut", "nin_shortcut"),
    ("mid_block.resnets.0", "mid.block_1"),
    ("mid_block.resnets.1", "mid.block_2"),
    ("mid_block.attentions.0.group_norm", "mid.attn_1.norm"),
    ("mid_block.attentions.0.to_out.0", "mid.attn_1.proj_out"),
    ("mid_block.attentions.0.to_", "mid.attn_1."),
    ("downsamplers.0", "downsample"),
    ("upsamplers.0", "upsample"),
    (".resnets.", ".block."),
)
OPEN_CLIP = (
    ("text_model.embeddings.token_embedding.weight", "token_embedding.weight"),
    ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
    ("text_model.final_layer_norm", "ln_final"),
    ("text_model.encoder.layers.", "transformer.resblocks."),
    ("self_attn", "attn"),
    ("layer_norm", "ln_"),
    ("fc1", "c_fc"),
    ("fc2", "c_proj"),
)


def write(folder: Path, path: Path, extra: Mapping[str, Tensor], *, aside: bool = True) -> Path:
    """The file, and beside it (``aside``) what it does not say: configs, tokenizers, schedule."""
    xl = (folder / "text_encoder_2").is_dir()
    tensors = dict(extra)
    first = "conditioner.embedders.0.transformer." if xl else "cond_stage_model.transformer."
    for part, prefix, renamed in (
        ("unet", "model.diffusion_model.", unet),
        ("vae", "first_stage_model.", vae),
        ("text_encoder", first, clip),
        ("text_encoder_2", "conditioner.embedders.1.model.", open_clip),
    ):
        for file in (folder / part).glob("*.safetensors"):
            tensors |= {prefix + name: one for name, one in renamed(load_file(file)).items()}
    save_file({name: one.clone() for name, one in tensors.items()}, path)
    if aside:
        beside = path.with_suffix("")
        for part in CONFIGS:
            if (folder / part).is_dir():
                (beside / part).mkdir(parents=True)
                shutil.copy(folder / part / "config.json", beside / part)
        for part in WHOLE:
            if (folder / part).is_dir():
                shutil.copytree(folder / part, beside / part)
    return path


def unet(tensors: Tensors) -> Tensors:
    each = 1 + max(
        int(found[1]) + 1
        for name in tensors
        if (found := re.match(r"down_blocks\.0\.resnets\.(\d)", name))
    )
    mixed = {name.split(".attentions")[0] for name in tensors if ".attentions." in name}
    return {_unet_name(name, each, mixed): one for name, one in tensors.items()}


def _unet_name(name: str, each: int, mixed: set[str]) -> str:
    """``each``: original blocks in one of ours. ``mixed``: ours that have attentions."""
    found = re.match(r"(down|mid|up)_block(?:s\.(\d))?\.(\w+)\.(\d)\.(.+)", name)
    if not found:
        return _replaced(name, UNET_ENDS)
    side, block, kind, layer, rest = found.groups()
    number = int(block or 0) * each + int(layer)
    if kind == "resnets":
        rest = _replaced(rest, RESNET)
    if side == "mid":
        place = 2 * int(layer) + (kind == "attentions")
        return f"middle_block.{place}.{rest}"
    if kind == "downsamplers":
        return f"input_blocks.{(int(block) + 1) * each}.0.{rest.replace('conv', 'op')}"
    if kind == "upsamplers":
        last = 2 if f"up_blocks.{block}" in mixed else 1
        return f"output_blocks.{(int(block) + 1) * each - 1}.{last}.{rest}"
    where = f"input_blocks.{number + 1}" if side == "down" else f"output_blocks.{number}"
    return f"{where}.{int(kind == 'attentions')}.{rest}"


def vae(tensors: Tensors) -> Tensors:
    """Attentions were convolutions of one pixel, and the decoder's blocks counted from the end."""
    return dict(_vae(tensors))


def _vae(tensors: Tensors) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in tensors.items():
        flat = "attentions" in name and tensor.ndim == 2
        new = re.sub(r"up_blocks\.(\d)", lambda found: f"up.{3 - int(found[1])}", name)
        new = re.sub(r"down_blocks\.(\d)", r"down.\1", new)
        yield _replaced(new, VAE), tensor[:, :, None, None] if flat else tensor


def clip(tensors: Tensors) -> Tensors:
    named = {
        name if name.startswith("text_model.") else f"text_model.{name}": one
        for name, one in tensors.items()
    }
    return named | {"text_model.embeddings.position_ids": torch.arange(77)[None]}


def open_clip(tensors: Tensors) -> Tensors:
    """Queries, keys and values lie in one matrix; the projection is the other way round."""
    renamed = {"logit_scale": torch.tensor(4.6)}
    for name, tensor in tensors.items():
        if name == "text_projection.weight":
            renamed["text_projection"] = tensor.T.contiguous()
        elif "q_proj" in name:
            three = [tensors[name.replace("q_proj", one)] for one in ("q_proj", "k_proj", "v_proj")]
            joined = name.replace("q_proj.", "in_proj_")
            renamed[_replaced(joined, OPEN_CLIP)] = torch.cat(three)
        elif "k_proj" not in name and "v_proj" not in name:
            renamed[_replaced(name, OPEN_CLIP)] = tensor
    return renamed


def _replaced(name: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for ours, theirs in pairs:
        name = name.replace(ours, theirs)
    return name
