"""SDXL: what is trained is what other programs draw with."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionXLPipeline
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from tests import tiny_sdxl
from tests.families import (
    PROMPT,
    dataset_of,
    finite,
    loaded,
    same_tensors,
    spec_for,
    train_here,
    with_file,
)
from trainer import loop
from trainer.families import sdxl
from trainer.families.family import BaseError, Model
from trainer.run import Prompt, RunSpec

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("one_thread")]
WIDE = (96, 64)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sdxl.make(tmp_path_factory.mktemp("bases") / "sdxl")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset_of(tmp_path_factory.mktemp("dataset"), ((64, 64), WIDE))


def kohya_names(targets: str, *, texts: bool) -> set[str]:
    """The modules as sd-scripts names them, whose U-Net is the original one: 722 in it, 66 of the
    72 in the first encoder (the last layer goes nowhere), 192 in the second.
    """
    depths = {f"input_blocks_{block}_1": 2 if block < 6 else 10 for block in (4, 5, 7, 8)}
    depths |= {"middle_block_1": 10}
    depths |= {f"output_blocks_{block}_1": 10 if block < 3 else 2 for block in range(6)}
    attention = [f"attn{n}_{to}" for n in (1, 2) for to in ("to_q", "to_k", "to_v", "to_out_0")]
    inner = attention + (["ff_net_0_proj", "ff_net_2"] if targets == "all" else [])
    names = {
        f"lora_unet_{block}_transformer_blocks_{layer}_{one}"
        for block, depth in depths.items()
        for layer in range(depth)
        for one in inner
    }
    if targets == "all":
        names |= {f"lora_unet_{block}_proj_{end}" for block in depths for end in ("in", "out")}
    if texts:
        ends = [f"self_attn_{one}" for one in ("q_proj", "k_proj", "v_proj", "out_proj")]
        ends += ["mlp_fc1", "mlp_fc2"] if targets == "all" else []
        names |= {
            f"lora_te{number}_text_model_encoder_layers_{layer}_{end}"
            for number, layers in ((1, 11), (2, 32))
            for layer in range(layers)
            for end in ends
        }
    return names


@torch.no_grad()
def ours(model: Model, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The text encoders' two answers, and the U-Net's."""
    (condition,) = sdxl.encode_prompts(model, [PROMPT])
    answer = sdxl.predict(model, latents, torch.tensor([500]), [condition])
    return condition["context"], condition["pooled"], answer


@torch.no_grad()
def theirs(pipe: Any, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    context, _, pooled, _ = pipe.encode_prompt(PROMPT, do_classifier_free_guidance=False)
    size = (latents.shape[-2] * 8, latents.shape[-1] * 8)
    ids = pipe._get_add_time_ids(
        size, (0, 0), size, torch.float32, pipe.text_encoder_2.config.projection_dim
    )
    added = {"text_embeds": pooled, "time_ids": ids}
    answer = pipe.unet(latents, torch.tensor([500]), context, added_cond_kwargs=added)[0]
    return context[0], pooled[0], answer


def wide_noise() -> Tensor:
    return torch.randn((1, 4, 8, 12), generator=torch.Generator().manual_seed(1))


def test_the_base_answers_as_in_diffusers(base: Path, pictures: Path, tmp_path: Path) -> None:
    model = loaded(spec_for("sdxl", base, pictures, tmp_path))
    pipe = StableDiffusionXLPipeline.from_pretrained(base)
    for one, other in zip(ours(model, wide_noise()), theirs(pipe, wide_noise()), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize(
    ("targets", "text_encoder_lr"),
    [
        ("all", 1e-3),
        ("attention", 0.0),
        pytest.param("attention", 1e-3, marks=pytest.mark.long),
        pytest.param("all", 0.0, marks=pytest.mark.long),
    ],
)
def test_the_file_does_in_diffusers_what_it_did_in_training(
    base: Path, pictures: Path, tmp_path: Path, targets: str, text_encoder_lr: float
) -> None:
    texts = text_encoder_lr > 0
    spec = spec_for(
        "sdxl",
        base,
        pictures,
        tmp_path,
        targets=targets,
        text_encoder_lr=text_encoder_lr,
        max_steps=3,
    )
    train_here(spec)
    tensors = load_file(spec.output)
    modules = Counter(name.partition(".")[0] for name in tensors)
    assert modules.keys() == kohya_names(targets, texts=texts)
    assert set(modules.values()) == {3}
    pipe = StableDiffusionXLPipeline.from_pretrained(base)
    before = theirs(pipe, wide_noise())
    pipe.load_lora_weights(str(spec.output.parent), weight_name=spec.output.name)
    networks = (pipe.unet, pipe.text_encoder, pipe.text_encoder_2)
    taken = sum(hasattr(layer, "lora_A") for one in networks for layer in one.modules())
    assert taken == len(modules)
    expected, found = ours(with_file(spec), wide_noise()), theirs(pipe, wide_noise())
    for one, other in zip(expected, found, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    changed = [
        not torch.allclose(one, other, atol=1e-3) for one, other in zip(before, found, strict=True)
    ]
    assert changed == [texts, texts, True]


def test_the_real_one_has_as_many_modules() -> None:
    names = Counter(name.split("_")[1] for name in kohya_names("all", texts=True))
    assert names == {"unet": 722, "te1": 66, "te2": 192}


@pytest.fixture(scope="module")
def short(base: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> RunSpec:
    """A run that is over."""
    prompts = (Prompt(text=PROMPT), Prompt(text=PROMPT, width=96, height=80))
    folder = tmp_path_factory.mktemp("short")
    spec = spec_for("sdxl", base, pictures, folder, prompts=prompts, max_steps=2)
    train_here(spec)
    return spec


def test_metadata_say_sdxl(short: RunSpec) -> None:
    with safe_open(short.output, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["ss_base_model_version"] == "sdxl_base_v1-0"
    assert metadata["modelspec.architecture"] == "stable-diffusion-xl-v1-base/lora"
    assert metadata["modelspec.prediction_type"] == "epsilon"


@pytest.fixture(scope="module")
def zero_snr(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sdxl.make(
        tmp_path_factory.mktemp("bases") / "v",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
    )


@pytest.mark.long
def test_a_base_that_predicts_v_down_to_no_signal_is_trained_so(
    zero_snr: Path, pictures: Path, tmp_path: Path
) -> None:
    spec = spec_for(
        "sdxl", zero_snr, pictures, tmp_path, prompts=(Prompt(text=PROMPT),), max_steps=4
    )
    model = loaded(spec)
    assert getattr(model.aim, "prediction_type", "") == "v_prediction"
    assert (
        model.aim.noisy(torch.ones(1, 1, 1, 1), torch.zeros(1, 1, 1, 1), torch.tensor([999])) == 0
    )
    finished = train_here(spec)
    assert finished.loss is not None
    assert finite(load_file(spec.output) | {"loss": torch.tensor(finished.loss)})
    with safe_open(spec.output, framework="pt") as file:
        assert file.metadata()["modelspec.prediction_type"] == "v"


def test_the_run_can_say_what_the_base_predicts(base: Path, pictures: Path, tmp_path: Path) -> None:
    spec = spec_for("sdxl", base, pictures, tmp_path, prediction="v_prediction")
    assert getattr(loaded(spec).aim, "prediction_type", "") == "v_prediction"


def test_noise_cannot_be_asked_for_where_there_is_nothing_else(
    zero_snr: Path, pictures: Path, tmp_path: Path
) -> None:
    with pytest.raises(BaseError, match="v_prediction"):
        loaded(spec_for("sdxl", zero_snr, pictures, tmp_path, prediction="epsilon"))


def test_a_run_goes_on_to_the_same_bits(base: Path, pictures: Path, tmp_path: Path) -> None:
    whole, parted = (
        spec_for("sdxl", base, pictures, tmp_path / name, text_encoder_lr=1e-3, max_steps=4)
        for name in ("whole", "parted")
    )
    train_here(whole)
    with pytest.raises(loop.StoppedError):
        train_here(parted, stop_at=2)
    train_here(parted)
    assert same_tensors(whole.output, parted.output)


@pytest.mark.long
def test_activations_computed_twice_lead_to_the_same_file(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    plain = spec_for("sdxl", base, pictures, tmp_path / "plain", text_encoder_lr=1e-3, max_steps=2)
    train_here(plain)
    spec = spec_for("sdxl", base, pictures, tmp_path / "twice", text_encoder_lr=1e-3, max_steps=2)
    train_here(replace(spec, params=replace(spec.params, gradient_checkpointing=True)))
    assert same_tensors(plain.output, spec.output)


def test_samples_are_pictures_of_the_size_asked_for(short: RunSpec) -> None:
    drawn = [Image.open(path) for path in sorted((short.work / "samples").glob("*-*.png"))]
    assert [one.size for one in drawn] == [(64, 64), (96, 80)]
    assert all(len(set(one.convert("L").tobytes())) > 16 for one in drawn)


def vae_dtype(base: Path, spec: RunSpec, **config: bool) -> torch.dtype:
    tiny_sdxl.vae(0.13025, **config).save_pretrained(base / "vae")
    model = loop.new_model(spec)
    sdxl.load_vae(model)
    dtype: torch.dtype = model.vae.dtype
    return dtype


def test_in_half_precision_the_vae_stays_whole_unless_it_is_made_for_it(
    pictures: Path, tmp_path: Path
) -> None:
    spec = spec_for("sdxl", tmp_path, pictures, tmp_path, precision="fp16")
    assert vae_dtype(tmp_path, spec) == torch.float32
    assert vae_dtype(tmp_path, spec, force_upcast=False) == torch.float16
    spec = spec_for("sdxl", tmp_path, pictures, tmp_path, precision="bf16")
    assert vae_dtype(tmp_path, spec) == torch.bfloat16
