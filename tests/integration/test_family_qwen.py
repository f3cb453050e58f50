"""Qwen-Image: what is trained is what other programs draw with."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import QwenImagePipeline
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests import tiny_qwen
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
from trainer import loop, lora, samples
from trainer.families import qwen
from trainer.families.family import BaseError, Model
from trainer.run import Prompt, RunSpec

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("one_thread")]
WIDE = (96, 64)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen.make_qwen(tmp_path_factory.mktemp("bases") / "qwen")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset_of(tmp_path_factory.mktemp("dataset"), ((64, 64), WIDE))


@pytest.fixture(scope="module")
def spec(base: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> RunSpec:
    return spec_for("qwen", base, pictures, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def ours(spec: RunSpec) -> Model:
    return loaded(spec)


@pytest.fixture(scope="module")
def theirs(base: Path) -> Any:
    return pipeline_of(base)


def pipeline_of(base: Path) -> Any:
    pipeline = QwenImagePipeline.from_pretrained(base)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def diffusers_names(targets: str) -> set[str]:
    """What ComfyUI looks for, too: of two blocks. Nobody reads the text that the last one makes."""
    read = ["attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.0"]
    read += ["attn.add_k_proj", "attn.add_v_proj"]
    unread = ["attn.add_q_proj", "attn.to_add_out"]
    if targets == "all":
        read += ["img_mlp.net.0.proj", "img_mlp.net.2"]
        unread += ["txt_mlp.net.0.proj", "txt_mlp.net.2"]
    blocks = {0: read + unread, 1: read}
    return {
        f"transformer.transformer_blocks.{number}.{inner}"
        for number, inners in blocks.items()
        for inner in inners
    }


@pytest.mark.parametrize("targets", [pytest.param("attention", marks=pytest.mark.long), "all"])
def test_the_file_does_in_diffusers_what_it_did_in_training(
    base: Path, pictures: Path, tmp_path: Path, targets: str
) -> None:
    spec = spec_for("qwen", base, pictures, tmp_path, targets=targets)
    finished = train_here(spec)
    assert finished.loss is not None
    assert finished.loss < 100
    tensors = load_file(spec.output)
    assert finite(tensors)
    assert {key.rpartition(".lora_")[0] for key in tensors} == diffusers_names(targets)

    pipeline = pipeline_of(base)
    before = answer_of(pipeline.transformer)
    pipeline.load_lora_weights(str(spec.output.parent), weight_name=spec.output.name)
    taken = {name for name, _ in pipeline.transformer.named_parameters() if ".lora_" in name}
    assert len(taken) == len(tensors)
    found = answer_of(pipeline.transformer)
    assert torch.allclose(found, answer_of(with_file(spec).denoiser), atol=1e-5)
    assert not torch.allclose(found, before, atol=1e-3)


@torch.no_grad()
def answer_of(transformer: Any) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    answer: Tensor = transformer(
        torch.randn((1, 24, 64), generator=draw),
        encoder_hidden_states=torch.randn((1, 40, tiny_qwen.WIDTH), generator=draw),
        timestep=torch.tensor([0.7]),
        img_shapes=[[(1, 4, 6)]],
        return_dict=False,
    )[0]
    return answer


def test_the_file_says_what_it_is_for(base: Path, pictures: Path, tmp_path: Path) -> None:
    spec = spec_for("qwen", base, pictures, tmp_path, max_steps=1)
    train_here(spec)
    with safe_open(spec.output, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["ss_base_model_version"] == "qwen_image"
    assert metadata["modelspec.architecture"] == "qwen-image/lora"


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    whole = spec_for("qwen", base, pictures, tmp_path / "whole", batch_size=2, targets="all")
    train_here(whole)
    parted = spec_for("qwen", base, pictures, tmp_path / "parted", batch_size=2, targets="all")
    with pytest.raises(loop.StoppedError):
        train_here(parted, stop_at=3)
    train_here(parted)
    assert same_tensors(whole.output, parted.output)


def test_less_memory_gives_the_same_loss(base: Path, pictures: Path, tmp_path: Path) -> None:
    losses = [
        train_here(
            spec_for(
                "qwen",
                base,
                pictures,
                tmp_path / str(frugal),
                gradient_checkpointing=frugal,
                max_steps=2,
            )
        ).loss
        for frugal in (False, True)
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_bfloat16_trains(base: Path, pictures: Path, tmp_path: Path) -> None:
    prompts = (Prompt(text=PROMPT),)
    spec = spec_for("qwen", base, pictures, tmp_path, prompts, precision="bf16", max_steps=2)
    train_here(spec)
    assert finite(load_file(spec.output))


def test_half_precision_is_refused(base: Path, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(BaseError, match="too large for half precision"):
        train_here(spec_for("qwen", base, pictures, tmp_path, precision="fp16"))


@torch.no_grad()
def test_samples_are_what_diffusers_draws(spec: RunSpec, ours: Model, theirs: Any) -> None:
    """With the pairs switched off; the same noise, steps and guidance."""
    pairs = lora.inject(ours, qwen.TRAITS, spec.params)
    prompt = Prompt(text=PROMPT, seed=3, width=WIDE[0], height=WIDE[1])
    both = samples.encode((prompt,), qwen, ours)
    noise = samples._noise(prompt, qwen, ours, spec.params)
    wanted = theirs(
        PROMPT,
        negative_prompt=" ",
        latents=theirs._pack_latents(noise, 1, 16, *noise.shape[-2:]),
        width=WIDE[0],
        height=WIDE[1],
        num_inference_steps=qwen.TRAITS.sample_steps,
        true_cfg_scale=qwen.TRAITS.guidance,
        output_type="pt",
    ).images
    with lora.switched_off(pairs), samples._guided(ours, qwen.TRAITS.guidance):
        noise = samples._noise(prompt, qwen, ours, spec.params)
        latents = samples._latents(
            noise, (both[0], both[1]), qwen, ours, spec.params, qwen.TRAITS.sample_steps
        )
    lora.remove(pairs)
    found = qwen.decode(ours, latents) / 2 + 0.5
    assert torch.allclose(found.clamp(0, 1), wanted, atol=1e-4)
    assert not torch.allclose(latents, noise, atol=0.1)


@torch.no_grad()
def test_captions_are_read_as_diffusers_reads_them(ours: Model, theirs: Any) -> None:
    for text in (PROMPT, "", "a very long caption, " * 60):
        wanted, _ = theirs.encode_prompt(text, max_sequence_length=512)
        (found,) = qwen.encode_prompts(ours, [text])
        assert torch.allclose(found["context"], wanted[0], atol=1e-5)


def test_only_the_half_that_reads_is_kept(ours: Model) -> None:
    names = {name for name, _ in ours.encoders["qwen2_5"].named_parameters()}
    assert names
    assert not [name for name in names if "visual" in name or "lm_head" in name]


def renamed(name: str) -> str:
    if name.startswith("visual."):
        return f"model.{name}"
    return name.replace("model.", "model.language_model.", 1)


@torch.no_grad()
@pytest.mark.parametrize("layout", ["old config", "new names"])
def test_text_encoders_of_other_versions_read_the_same(
    base: Path, ours: Model, pictures: Path, tmp_path: Path, layout: str
) -> None:
    shutil.copytree(base, tmp_path / "qwen")
    part = tmp_path / "qwen" / "text_encoder"
    if layout == "old config":  # the language model's numbers beside the others
        config = json.loads((part / "config.json").read_text())
        language = config.pop("text_config")
        rope = language.pop("rope_parameters")
        scaling = {"type": "default", "mrope_section": rope["mrope_section"]}
        flat = language | config | {"rope_theta": rope["rope_theta"], "rope_scaling": scaling}
        (part / "config.json").write_text(json.dumps(flat))
    else:
        tensors = load_file(part / "model.safetensors")
        named = {renamed(name): tensor.clone() for name, tensor in tensors.items()}
        assert named.keys() != tensors.keys()
        save_file(named, part / "model.safetensors", {"format": "pt"})
    model = loaded(spec_for("qwen", tmp_path / "qwen", pictures, tmp_path))
    found, wanted = (qwen.encode_prompts(one, [PROMPT])[0] for one in (model, ours))
    assert torch.allclose(found["context"], wanted["context"], atol=1e-6)


def test_a_tokenizer_without_its_files_says_so(base: Path, pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(base, tmp_path / "qwen", ignore=shutil.ignore_patterns("tokenizer*.json"))
    with pytest.raises(BaseError, match="qwen: its tokenizer has no vocabulary"):
        loaded(spec_for("qwen", tmp_path / "qwen", pictures, tmp_path))


@torch.no_grad()
def test_pictures_become_latents_and_come_back(ours: Model, theirs: Any) -> None:
    pixels = torch.rand((2, 3, 64, 96), generator=torch.Generator().manual_seed(1)) * 2 - 1
    found = qwen.encode_pictures(ours, pixels, torch.Generator().manual_seed(2))
    seen = theirs.vae.encode(pixels[:, :, None]).latent_dist
    drawn = seen.sample(torch.Generator().manual_seed(2))
    config = theirs.vae.config
    mean, deviation = (
        torch.tensor(one).view(1, 16, 1, 1, 1) for one in (config.latents_mean, config.latents_std)
    )
    assert torch.allclose(found, ((drawn - mean) / deviation)[:, :, 0], atol=1e-5)
    wanted = theirs.vae.decode(drawn).sample[:, :, 0]
    assert torch.allclose(qwen.decode(ours, found).clamp(-1, 1), wanted, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("guidance", [1.0, 4.0])
def test_a_batch_is_answered_as_each_alone(ours: Model, guidance: float) -> None:
    """With captions of different lengths."""
    conditions = qwen.encode_prompts(ours, ["a person", "a person in the snow, " * 3])
    noisy = torch.randn((2, 16, 8, 12), generator=torch.Generator().manual_seed(1))
    times = torch.tensor([0.2, 0.9])
    with samples._guided(ours, guidance):
        both, other = (
            qwen.predict(ours, noisy, times, one) for one in (conditions, conditions[::-1])
        )
        each = [
            qwen.predict(ours, noisy[n, None], times[n, None], conditions[n : n + 1])
            for n in (0, 1)
        ]
    assert torch.allclose(both, torch.cat(each), atol=1e-5)
    assert not torch.allclose(both, other, atol=1e-4)


@pytest.mark.parametrize("tokens", [64, 1024, 16384])
@pytest.mark.parametrize("steps", [4, 28, 50])
def test_courses_are_shifted_and_stretched_as_diffusers_does_it(
    ours: Model, theirs: Any, tokens: int, steps: int
) -> None:
    mu = 0.5 + (0.9 - 0.5) / (8192 - 256) * (tokens / 4 - 256)
    theirs.scheduler.set_timesteps(sigmas=torch.linspace(1, 1 / steps, steps).tolist(), mu=mu)
    assert torch.allclose(ours.aim.course(steps, tokens), theirs.scheduler.sigmas, atol=1e-5)


def test_a_course_of_one_step_is_not_stretched(ours: Model) -> None:
    assert ours.aim.course(1, 64).tolist() == [1, 0]


@pytest.mark.parametrize("part", ["text_encoder", "tokenizer", "vae", "transformer", "scheduler"])
def test_a_base_without_a_part_says_so(
    base: Path, pictures: Path, tmp_path: Path, part: str
) -> None:
    (tmp_path / "base").mkdir()
    for one in base.iterdir():
        if one.name != part:
            (tmp_path / "base" / one.name).symlink_to(one)
    with pytest.raises(BaseError, match=f"base has no {part}"):
        loaded(spec_for("qwen", tmp_path / "base", pictures, tmp_path))


@pytest.mark.parametrize(
    ("part", "named"),
    [("vae", "AutoencoderKL"), ("transformer", "FluxTransformer2DModel"), ("text_encoder", "T5")],
)
def test_a_base_of_another_family_says_so(
    base: Path, pictures: Path, tmp_path: Path, part: str, named: str
) -> None:
    shutil.copytree(base, tmp_path / "base")
    config = tmp_path / "base" / part / "config.json"
    config.write_text(json.dumps({"_class_name": named}))
    with pytest.raises(BaseError, match=f"its {part} is {named}, not "):
        loaded(spec_for("qwen", tmp_path / "base", pictures, tmp_path))


@torch.no_grad()
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_a_transformer_in_one_file_is_the_same(
    base: Path, theirs: Any, pictures: Path, tmp_path: Path, prefix: str
) -> None:
    shutil.copytree(base, tmp_path / "qwen")
    tensors = theirs.transformer.state_dict()
    save_file({prefix + name: one for name, one in tensors.items()}, tmp_path / "qwen.safetensors")
    model = loaded(spec_for("qwen", tmp_path / "qwen.safetensors", pictures, tmp_path))
    found, wanted = (answer_of(one) for one in (model.denoiser, theirs.transformer))
    assert torch.allclose(found, wanted, atol=1e-6)


def test_a_file_that_is_broken_says_so(base: Path, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "qwen").symlink_to(base)
    (tmp_path / "qwen.safetensors").write_bytes(b"\x10" * 99)
    with pytest.raises(BaseError, match=r"qwen.safetensors is no \.safetensors"):
        loaded(spec_for("qwen", tmp_path / "qwen.safetensors", pictures, tmp_path))
