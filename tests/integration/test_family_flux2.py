"""FLUX.2 klein: what is trained is what other programs draw with."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import Flux2KleinPipeline
from diffusers.pipelines.flux2 import pipeline_flux2_klein
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from tests import tiny_flux
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
from trainer import loop, lora, objective, samples
from trainer.families import flux2
from trainer.families.family import BaseError, Model
from trainer.run import Prompt, RunSpec

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("one_thread")]
WIDE = (96, 64)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_flux.make_flux2(tmp_path_factory.mktemp("bases") / "klein")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset_of(tmp_path_factory.mktemp("dataset"), ((64, 64), WIDE))


def diffusers_names(targets: str) -> set[str]:
    """What ComfyUI looks for, of two double and two single blocks."""
    attention = ["to_q", "to_k", "to_v", "to_out.0"]
    attention += ["add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"]
    double = [f"attn.{one}" for one in attention]
    if targets == "all":
        double += [f"{ff}.linear_{way}" for ff in ("ff", "ff_context") for way in ("in", "out")]
    single = ["attn.to_qkv_mlp_proj", "attn.to_out"]
    return {
        f"transformer.{kind}.{number}.{inner}"
        for kind, inners in (("transformer_blocks", double), ("single_transformer_blocks", single))
        for number in range(2)
        for inner in inners
    }


@pytest.mark.parametrize("targets", [pytest.param("attention", marks=pytest.mark.long), "all"])
def test_the_file_does_in_diffusers_what_it_did_in_training(
    base: Path, pictures: Path, tmp_path: Path, targets: str
) -> None:
    spec = spec_for("flux2", base, pictures, tmp_path, targets=targets)
    finished = train_here(spec)
    assert finished.loss is not None
    assert finished.loss < 100
    tensors = load_file(spec.output)
    assert finite(tensors)
    assert {key.rpartition(".lora_")[0] for key in tensors} == diffusers_names(targets)

    theirs = Flux2KleinPipeline.from_pretrained(base)
    before = answer_of(theirs.transformer)
    theirs.load_lora_weights(str(spec.output.parent), weight_name=spec.output.name)
    taken = {name for name, _ in theirs.transformer.named_parameters() if ".lora_" in name}
    assert len(taken) == len(tensors)
    found = answer_of(theirs.transformer)
    assert torch.allclose(found, answer_of(with_file(spec).denoiser), atol=1e-5)
    assert not torch.allclose(found, before, atol=1e-3)


@torch.no_grad()
def answer_of(transformer: Any) -> Tensor:
    draw = torch.Generator().manual_seed(1)
    side, one = torch.arange(4), torch.arange(1)
    answer: Tensor = transformer(
        torch.randn((1, 16, 128), generator=draw),
        encoder_hidden_states=torch.randn((1, 8, 3 * tiny_flux.WIDTH), generator=draw),
        timestep=torch.tensor([0.7]),
        img_ids=torch.cartesian_prod(one, side, side, one),
        txt_ids=torch.cartesian_prod(one, one, one, torch.arange(8)),
        return_dict=False,
    )[0]
    return answer


def test_the_file_says_what_it_is_for(base: Path, pictures: Path, tmp_path: Path) -> None:
    spec = spec_for("flux2", base, pictures, tmp_path, max_steps=1)
    train_here(spec)
    with safe_open(spec.output, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["ss_base_model_version"] == "flux_2_klein_4b"
    assert metadata["modelspec.architecture"] == "Flux.2-klein-4b/lora"


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    whole = spec_for("flux2", base, pictures, tmp_path / "whole", batch_size=2, targets="all")
    train_here(whole)
    parted = spec_for("flux2", base, pictures, tmp_path / "parted", batch_size=2, targets="all")
    with pytest.raises(loop.StoppedError):
        train_here(parted, stop_at=3)
    train_here(parted)
    assert same_tensors(whole.output, parted.output)


def test_less_memory_gives_the_same_loss(base: Path, pictures: Path, tmp_path: Path) -> None:
    """Of the second step, too, which the first one's gradients led to; later on Adam makes much of
    the last bit.
    """
    losses = [
        train_here(
            spec_for(
                "flux2",
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
    spec = spec_for(
        "flux2", base, pictures, tmp_path, (Prompt(text=PROMPT),), precision="bf16", max_steps=2
    )
    train_here(spec)
    assert finite(load_file(spec.output))


@pytest.fixture(scope="module")
def spec(base: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> RunSpec:
    return spec_for("flux2", base, pictures, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def ours(spec: RunSpec) -> Model:
    return loaded(spec)


@pytest.fixture(scope="module")
def theirs(base: Path) -> Any:
    pipeline = Flux2KleinPipeline.from_pretrained(base)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@torch.no_grad()
def test_samples_are_what_diffusers_draws(spec: RunSpec, ours: Model, theirs: Any) -> None:
    """With the pairs switched off; the same noise, steps and guidance."""
    pairs = lora.inject(ours, flux2.TRAITS, spec.params)
    prompt = Prompt(text=PROMPT, seed=3, width=WIDE[0], height=WIDE[1])
    both = samples.encode((prompt,), flux2, ours)
    noise = samples._noise(prompt, flux2, ours, spec.params)
    unscaled = theirs(
        prompt=PROMPT,
        latents=noise,
        width=WIDE[0],
        height=WIDE[1],
        num_inference_steps=flux2.TRAITS.sample_steps,
        guidance_scale=flux2.TRAITS.guidance,
        output_type="latent",
    ).images
    with lora.switched_off(pairs):
        noise = samples._noise(prompt, flux2, ours, spec.params)
        latents = samples._latents(
            noise, (both[0], both[1]), flux2, ours, spec.params, flux2.TRAITS.sample_steps
        )
    lora.remove(pairs)
    wanted = theirs.vae.decode(unscaled, return_dict=False)[0]
    assert torch.allclose(flux2.decode(ours, latents), wanted, atol=1e-4)
    mean, deviation = flux2._spread(ours)
    found = functional.pixel_shuffle(latents * deviation + mean, 2)
    assert torch.allclose(found, unscaled, atol=1e-4)
    assert not torch.allclose(latents, noise, atol=0.1)


@torch.no_grad()
def test_captions_are_read_as_diffusers_reads_them(ours: Model, theirs: Any) -> None:
    texts = [PROMPT, "", "a very long caption, " * 60]
    contexts, _ = theirs.encode_prompt(texts)
    for one, context in zip(flux2.encode_prompts(ours, texts), contexts, strict=True):
        assert torch.allclose(one["context"], context, atol=1e-5)


@torch.no_grad()
def test_pictures_become_the_latents_that_diffusers_makes(ours: Model, theirs: Any) -> None:
    draw = torch.Generator()
    pixels = torch.rand((2, 3, 64, 96), generator=draw.manual_seed(1)) * 2 - 1
    found = flux2.encode_pictures(ours, pixels, draw)
    assert found.shape == (2, 128, 4, 6)
    assert torch.allclose(found, theirs._encode_vae_image(pixels, draw), atol=1e-5)


@torch.no_grad()
def test_a_batch_is_answered_as_each_alone(ours: Model) -> None:
    conditions = flux2.encode_prompts(ours, [PROMPT, "a person"])
    noisy = torch.randn((2, 128, 4, 6), generator=torch.Generator().manual_seed(1))
    times = torch.tensor([0.2, 0.9])
    both = flux2.predict(ours, noisy, times, conditions)
    each = [
        flux2.predict(ours, noisy[n, None], times[n, None], conditions[n : n + 1]) for n in (0, 1)
    ]
    assert torch.allclose(both, torch.cat(each), atol=1e-5)


@pytest.mark.parametrize("tokens", [16, 256, 1024, 4096, 4300, 5000])
@pytest.mark.parametrize("steps", [4, 10, 28, 50, 200])
def test_courses_are_shifted_as_diffusers_shifts_them(ours: Model, tokens: int, steps: int) -> None:
    scheduler = tiny_flux._scheduler()
    mu = pipeline_flux2_klein.compute_empirical_mu(tokens, steps)
    scheduler.set_timesteps(sigmas=torch.linspace(1, 1 / steps, steps).tolist(), mu=mu)
    assert torch.allclose(ours.aim.course(steps, tokens), scheduler.sigmas, atol=1e-5)


def test_times_are_drawn_with_the_shift_that_the_scheduler_names(ours: Model) -> None:
    """4096 tokens: e**1.15."""
    assert isinstance(ours.aim, objective.Flow)
    plain = torch.randn(9, generator=torch.Generator().manual_seed(1)).sigmoid()
    odds = torch.e**1.15 * plain / (1 - plain)
    found = ours.aim.draw(9, 4096, torch.Generator().manual_seed(1))
    assert torch.allclose(found, odds / (1 + odds))


@pytest.mark.parametrize("part", ["text_encoder", "tokenizer", "vae", "transformer", "scheduler"])
def test_a_base_without_a_part_says_so(
    base: Path, pictures: Path, tmp_path: Path, part: str
) -> None:
    (tmp_path / "base").mkdir()
    for one in base.iterdir():
        if one.name != part:
            (tmp_path / "base" / one.name).symlink_to(one)
    with pytest.raises(BaseError, match=f"base has no {part}"):
        loaded(spec_for("flux2", tmp_path / "base", pictures, tmp_path))


def test_a_distilled_base_is_refused(pictures: Path, tmp_path: Path) -> None:
    distilled = tiny_flux.make_flux2(tmp_path / "klein", is_distilled=True)
    with pytest.raises(BaseError, match="klein is distilled to a few steps"):
        train_here(spec_for("flux2", distilled, pictures, tmp_path))
