"""What Z-Image is loaded from: folders of other programs, one file, and what is no base at all."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import Qwen3Config, Qwen3ForCausalLM

from tests import tiny_qwen
from tests.families import PROMPT, loaded, spec_for
from trainer.families import zimage
from trainer.families.family import BaseError, Model

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def turbo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen.make_zimage(tmp_path_factory.mktemp("bases") / "turbo")


@pytest.fixture(scope="module")
def ours(turbo: Path) -> Model:
    return model_of(turbo)


def model_of(base: Path) -> Model:
    return loaded(spec_for("zimage", base, base.parent, base.parent))


def test_a_text_encoder_that_could_speak_reads_the_same(
    turbo: Path, ours: Model, tmp_path: Path
) -> None:
    shutil.copytree(turbo, tmp_path / "turbo")
    speaking: Any = Qwen3ForCausalLM(Qwen3Config(**tiny_qwen.LANGUAGE, head_dim=16))
    speaking.model.load_state_dict(ours.encoders["qwen3"].state_dict())
    speaking.save_pretrained(tmp_path / "turbo" / "text_encoder")
    model = model_of(tmp_path / "turbo")
    found, wanted = (zimage.encode_prompts(one, [PROMPT])[0] for one in (model, ours))
    assert torch.allclose(found["context"], wanted["context"], atol=1e-6)


@pytest.mark.parametrize("part", ["text_encoder", "tokenizer", "vae", "transformer", "scheduler"])
def test_a_base_without_a_part_says_so(turbo: Path, tmp_path: Path, part: str) -> None:
    (tmp_path / "base").mkdir()
    for one in turbo.iterdir():
        if one.name != part:
            (tmp_path / "base" / one.name).symlink_to(one)
    with pytest.raises(BaseError, match=f"base has no {part}"):
        model_of(tmp_path / "base")


def test_a_base_of_another_family_says_so(turbo: Path, tmp_path: Path) -> None:
    shutil.copytree(turbo, tmp_path / "base")
    config = tmp_path / "base" / "transformer" / "config.json"
    config.write_text(json.dumps({"_class_name": "Lumina2Transformer2DModel"}))
    with pytest.raises(BaseError, match="its transformer is Lumina2Transformer2DModel, not ZImage"):
        model_of(tmp_path / "base")


def test_a_tokenizer_without_a_chat_template_says_so(turbo: Path, tmp_path: Path) -> None:
    shutil.copytree(turbo, tmp_path / "base")
    (tmp_path / "base" / "tokenizer" / "chat_template.jinja").unlink()
    with pytest.raises(BaseError, match="base: its tokenizer has no chat template"):
        model_of(tmp_path / "base")


def original(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """In the names that ComfyUI has: q, k and v in one."""
    made = {}
    for name, tensor in tensors.items():
        if ".to_q." in name:
            parts = (tensors[name.replace(".to_q.", f".to_{one}.")] for one in "qkv")
            made[name.replace(".to_q.", ".qkv.")] = torch.cat(list(parts))
        elif ".to_k." not in name and ".to_v." not in name:
            made[name] = tensor
    for here, there in (
        ("all_x_embedder.2-1.", "x_embedder."),
        ("all_final_layer.2-1.", "final_layer."),
        (".to_out.0.", ".out."),
        (".norm_q.", ".q_norm."),
        (".norm_k.", ".k_norm."),
    ):
        made = {name.replace(here, there): tensor for name, tensor in made.items()}
    return {prefix + name: tensor.contiguous() for name, tensor in made.items()}


@torch.no_grad()
@pytest.mark.parametrize("layout", ["diffusers", "alone", "whole"])
def test_a_transformer_in_one_file_is_the_same(
    turbo: Path, ours: Model, tmp_path: Path, layout: str
) -> None:
    shutil.copytree(turbo, tmp_path / "turbo")
    tensors = ours.denoiser.state_dict()
    if layout != "diffusers":
        tensors = original(tensors, "model.diffusion_model." if layout == "whole" else "")
    if layout == "whole":
        tensors["vae.decoder.conv_in.weight"] = torch.zeros(1)
    save_file(tensors, tmp_path / "turbo.safetensors")
    model = model_of(tmp_path / "turbo.safetensors")
    assert torch.allclose(
        tiny_qwen.zimage_answer(model.denoiser), tiny_qwen.zimage_answer(ours.denoiser), atol=1e-6
    )


def test_a_file_without_the_other_parts_says_so(tmp_path: Path) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "turbo.safetensors")
    with pytest.raises(BaseError, match=r"turbo\.safetensors has no text_encoder"):
        model_of(tmp_path / "turbo.safetensors")


def test_a_file_of_something_else_says_so(turbo: Path, tmp_path: Path) -> None:
    (tmp_path / "turbo").symlink_to(turbo)
    save_file({"x": torch.zeros(1)}, tmp_path / "turbo.safetensors")
    with pytest.raises(BaseError, match="its transformer is not of the architecture"):
        model_of(tmp_path / "turbo.safetensors")
