"""FLUX out of one file: the transformer as Black Forest Labs name it, the rest in a folder."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import FluxTransformer2DModel
from diffusers.loaders import single_file_utils
from safetensors.torch import save_file
from torch import Tensor

from tests import tiny_flux
from tests.families import PROMPT, dataset_of, loaded, spec_for, train_here
from trainer import flux_file, folder, loop
from trainer.families import flux2
from trainer.families.family import BaseError

pytestmark = pytest.mark.timeout(180)
EMBEDDERS = (("time_in", "timestep"), ("vector_in", "text"), ("guidance_in", "guidance"))


@pytest.fixture(scope="module")
def flux_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_flux.make_flux(tmp_path_factory.mktemp("bases") / "flux")


@pytest.fixture(scope="module")
def klein(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_flux.make_flux2(tmp_path_factory.mktemp("bases") / "klein")


def tensors_of(family: str, base: Path) -> dict[str, Tensor]:
    model = loaded(spec_for(family, base, base, base.parent))
    found: dict[str, Tensor] = model.denoiser.state_dict()
    return found


def original_flux(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    made = {}
    for end in ("weight", "bias"):
        for there, here in (
            ("img_in", "x_embedder"),
            ("txt_in", "context_embedder"),
            ("final_layer.linear", "proj_out"),
            *(
                (f"{there}.{way}_layer", f"time_text_embed.{here}_embedder.linear_{number}")
                for there, here in EMBEDDERS
                for way, number in (("in", 1), ("out", 2))
            ),
        ):
            made[f"{there}.{end}"] = tensors[f"{here}.{end}"]
        scale, shift = tensors[f"norm_out.linear.{end}"].chunk(2)
        made[f"final_layer.adaLN_modulation.1.{end}"] = torch.cat([shift, scale])
        for number in range(2):
            made |= double(tensors, number, end, ("net.0.proj", "net.2"))
            made |= single_flux(tensors, number, end)
    return made


def single_flux(tensors: dict[str, Tensor], number: int, end: str) -> dict[str, Tensor]:
    here, there = f"single_transformer_blocks.{number}", f"single_blocks.{number}"
    parts = ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")
    return {
        f"{there}.modulation.lin.{end}": tensors[f"{here}.norm.linear.{end}"],
        f"{there}.linear1.{end}": torch.cat([tensors[f"{here}.{one}.{end}"] for one in parts]),
        f"{there}.linear2.{end}": tensors[f"{here}.proj_out.{end}"],
        f"{there}.norm.query_norm.scale": tensors[f"{here}.attn.norm_q.weight"],
        f"{there}.norm.key_norm.scale": tensors[f"{here}.attn.norm_k.weight"],
    }


def original_klein(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    made = {
        f"{there}.weight": tensors[f"{here}.weight"]
        for there, here in (
            ("img_in", "x_embedder"),
            ("txt_in", "context_embedder"),
            ("time_in.in_layer", "time_guidance_embed.timestep_embedder.linear_1"),
            ("time_in.out_layer", "time_guidance_embed.timestep_embedder.linear_2"),
            ("double_stream_modulation_img.lin", "double_stream_modulation_img.linear"),
            ("double_stream_modulation_txt.lin", "double_stream_modulation_txt.linear"),
            ("single_stream_modulation.lin", "single_stream_modulation.linear"),
            ("final_layer.linear", "proj_out"),
        )
    }
    scale, shift = tensors["norm_out.linear.weight"].chunk(2)
    made["final_layer.adaLN_modulation.1.weight"] = torch.cat([shift, scale])
    for number in range(2):
        made |= double(tensors, number, "weight", ("linear_in", "linear_out"))
        here, there = f"single_transformer_blocks.{number}.attn", f"single_blocks.{number}"
        made |= {
            f"{there}.linear1.weight": tensors[f"{here}.to_qkv_mlp_proj.weight"],
            f"{there}.linear2.weight": tensors[f"{here}.to_out.weight"],
            f"{there}.norm.query_norm.scale": tensors[f"{here}.norm_q.weight"],
            f"{there}.norm.key_norm.scale": tensors[f"{here}.norm_k.weight"],
        }
    return made


def double(
    tensors: dict[str, Tensor], number: int, end: str, ff: tuple[str, str]
) -> dict[str, Tensor]:
    here, there = f"transformer_blocks.{number}", f"double_blocks.{number}"
    text = ("add_q_proj", "add_k_proj", "add_v_proj")
    made = {}
    for kind, tail, qkv, norms, out in (
        ("img", "", ("to_q", "to_k", "to_v"), "norm_", "to_out.0"),
        ("txt", "_context", text, "norm_added_", "to_add_out"),
    ):
        if f"{here}.norm1{tail}.linear.{end}" in tensors:
            made[f"{there}.{kind}_mod.lin.{end}"] = tensors[f"{here}.norm1{tail}.linear.{end}"]
        made[f"{there}.{kind}_attn.qkv.{end}"] = torch.cat(
            [tensors[f"{here}.attn.{one}.{end}"] for one in qkv]
        )
        made[f"{there}.{kind}_attn.proj.{end}"] = tensors[f"{here}.attn.{out}.{end}"]
        for place, layer in zip((0, 2), ff, strict=True):
            made[f"{there}.{kind}_mlp.{place}.{end}"] = tensors[f"{here}.ff{tail}.{layer}.{end}"]
        for one, name in (("q", "query"), ("k", "key")):
            scale = tensors[f"{here}.attn.{norms}{one}.weight"]
            made[f"{there}.{kind}_attn.norm.{name}_norm.scale"] = scale
    return made


def written(path: Path, tensors: dict[str, Tensor]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: one.contiguous() for name, one in tensors.items()}, path)
    return path


@pytest.mark.parametrize("layout", ["theirs", "whole", "diffusers"])
def test_one_file_holds_the_transformer_and_a_folder_beside_it_the_rest(
    flux_base: Path, tmp_path: Path, layout: str
) -> None:
    tensors = tensors_of("flux", flux_base)
    held = tensors if layout == "diffusers" else original_flux(tensors)
    if layout == "whole":
        held = {flux_file.WHOLE + name: one for name, one in held.items()}
        held["vae.decoder.conv_in.weight"] = torch.zeros(1)
    path = written(tmp_path / "mine.safetensors", held)
    path.with_suffix("").symlink_to(flux_base)
    found = tensors_of("flux", path)
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_klein_is_read_as_diffusers_reads_it(klein: Path, tmp_path: Path) -> None:
    tensors = tensors_of("flux2", klein)
    held = original_klein(tensors)
    theirs = single_file_utils.convert_flux2_transformer_checkpoint_to_diffusers(dict(held))
    path = written(tmp_path / "mine.safetensors", held)
    path.with_suffix("").symlink_to(klein)
    found = tensors_of("flux2", path)
    assert found.keys() == tensors.keys() == theirs.keys()
    for name, tensor in tensors.items():
        assert torch.equal(found[name], tensor)
        assert torch.equal(theirs[name], tensor)


def test_the_original_names_are_those_that_diffusers_knows() -> None:
    """At full width, because its converter knows no other; without the weights."""
    with torch.device("meta"):
        network: Any = FluxTransformer2DModel(
            num_layers=2, num_single_layers=2, guidance_embeds=True
        )
    tensors = network.state_dict()
    theirs = single_file_utils.convert_flux_transformer_checkpoint_to_diffusers(
        original_flux(tensors)
    )
    ours = flux_file._converted(original_flux(tensors), network, flux_file.FLUX1)
    assert {name: one.shape for name, one in ours.items()} == {
        name: one.shape for name, one in theirs.items()
    }
    assert ours.keys() == tensors.keys()


def test_the_parts_may_lie_in_the_folder_of_the_file(klein: Path, tmp_path: Path) -> None:
    for one in klein.iterdir():
        (tmp_path / one.name).symlink_to(one)
    path = written(tmp_path / "mine.safetensors", {"none": torch.zeros(1)})
    assert folder.root(path) == tmp_path
    model = loop.new_model(loop.settled(spec_for("flux2", path, klein, tmp_path / "run")))
    flux2.load_text(model)
    assert flux2.encode_prompts(model, [PROMPT])[0]["context"].shape == (512, 96)


def test_a_file_without_a_folder_says_what_is_missing(tmp_path: Path) -> None:
    path = written(tmp_path / "mine.safetensors", {"none": torch.zeros(1)})
    pictures = dataset_of(tmp_path / "pictures")
    with pytest.raises(BaseError, match=r"mine.safetensors has no text_encoder: there should be"):
        train_here(spec_for("flux", path, pictures, tmp_path / "run"))


@pytest.mark.parametrize("held", [{"none": torch.zeros(1)}, {"img_in.weight": torch.zeros(3, 3)}])
def test_a_file_of_another_model_says_so(
    klein: Path, tmp_path: Path, held: dict[str, Tensor]
) -> None:
    path = written(tmp_path / "mine.safetensors", held)
    path.with_suffix("").symlink_to(klein)
    with pytest.raises(BaseError, match=r"mine.safetensors: its transformer is not of"):
        tensors_of("flux2", path)


def test_half_a_file_says_so(klein: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    path.write_bytes(b"\x10" * 99)
    path.with_suffix("").symlink_to(klein)
    with pytest.raises(BaseError, match=r"mine.safetensors is no .safetensors, or not all of one"):
        tensors_of("flux2", path)
