"""FLUX.1-dev: what is trained is what other programs draw with."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import FluxPipeline
from safetensors.torch import load_file
from torch import Tensor

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
from trainer import loop, lora, samples, step
from trainer.families import flux
from trainer.families.family import BaseError, Model
from trainer.run import Prompt, RunSpec

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("one_thread")]
WIDE = (96, 64)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_flux.make_flux(tmp_path_factory.mktemp("bases") / "flux")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset_of(tmp_path_factory.mktemp("dataset"), ((64, 64), WIDE))


def diffusers_names(targets: str) -> set[str]:
    """What ComfyUI and Forge look for, of two double and two single blocks."""
    attention = ["to_q", "to_k", "to_v", "to_out.0"]
    attention += ["add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"]
    double = [f"attn.{one}" for one in attention]
    single = [f"attn.{one}" for one in attention[:3]]
    if targets == "all":
        double += [f"{ff}.net.{end}" for ff in ("ff", "ff_context") for end in ("0.proj", "2")]
        single += ["proj_mlp", "proj_out"]
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
    spec = spec_for("flux", base, pictures, tmp_path, targets=targets)
    finished = train_here(spec)
    assert finished.loss is not None
    assert finished.loss < 100
    tensors = load_file(spec.output)
    assert finite(tensors)
    assert {key.rpartition(".lora_")[0] for key in tensors} == diffusers_names(targets)

    theirs = FluxPipeline.from_pretrained(base)
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
    answer: Tensor = transformer(
        torch.randn((1, 16, 64), generator=draw),
        encoder_hidden_states=torch.randn((1, 8, tiny_flux.WIDTH), generator=draw),
        pooled_projections=torch.randn((1, tiny_flux.WIDTH), generator=draw),
        timestep=torch.tensor([0.7]),
        guidance=torch.tensor([3.5]),
        img_ids=torch.cartesian_prod(torch.arange(1), torch.arange(4), torch.arange(4)),
        txt_ids=torch.zeros((8, 3)),
        return_dict=False,
    )[0]
    return answer


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    base: Path, pictures: Path, tmp_path: Path
) -> None:
    whole = spec_for("flux", base, pictures, tmp_path / "whole", batch_size=2, targets="all")
    train_here(whole)
    parted = spec_for("flux", base, pictures, tmp_path / "parted", batch_size=2, targets="all")
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
                "flux",
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
        "flux", base, pictures, tmp_path, (Prompt(text=PROMPT),), precision="bf16", max_steps=2
    )
    train_here(spec)
    assert finite(load_file(spec.output))


@pytest.fixture(scope="module")
def spec(base: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> RunSpec:
    return spec_for("flux", base, pictures, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def ours(spec: RunSpec) -> Model:
    return loaded(spec)


@pytest.fixture(scope="module")
def theirs(base: Path) -> Any:
    pipeline = FluxPipeline.from_pretrained(base)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@torch.no_grad()
def test_samples_are_what_diffusers_draws(spec: RunSpec, ours: Model, theirs: Any) -> None:
    """With the pairs switched off; the same noise, steps and guidance."""
    pairs = lora.inject(ours, flux.TRAITS, spec.params)
    prompt = Prompt(text=PROMPT, seed=3, width=WIDE[0], height=WIDE[1])
    both = samples.encode((prompt,), flux, ours)
    noise = samples._noise(prompt, flux, ours, spec.params)
    packed = theirs._pack_latents(noise, *noise.shape)
    wanted = theirs(
        prompt=PROMPT,
        latents=packed,
        width=WIDE[0],
        height=WIDE[1],
        num_inference_steps=flux.TRAITS.sample_steps,
        guidance_scale=flux.TRAITS.guidance,
        output_type="latent",
    ).images
    with lora.switched_off(pairs), samples._guided(ours, flux.TRAITS.guidance):
        noise = samples._noise(prompt, flux, ours, spec.params)
        latents = samples._latents(
            noise, (both[0], both[1]), flux, ours, spec.params, flux.TRAITS.sample_steps
        )
    lora.remove(pairs)
    found = theirs._pack_latents(latents, *latents.shape)
    assert torch.allclose(found, wanted, atol=1e-4)
    assert not torch.allclose(found, packed, atol=0.1)
    assert torch.allclose(flux.decode(ours, latents), decoded(theirs, wanted), atol=1e-4)


def decoded(theirs: Any, packed: Tensor) -> Tensor:
    whole = theirs._unpack_latents(packed, WIDE[1], WIDE[0], 8)
    config = theirs.vae.config
    pixels: Tensor = theirs.vae.decode(
        whole / config.scaling_factor + config.shift_factor, return_dict=False
    )[0]
    return pixels


@torch.no_grad()
def test_captions_are_read_as_diffusers_reads_them(ours: Model, theirs: Any) -> None:
    texts = [PROMPT, "", "a very long caption, " * 60]
    contexts, pooled, _ = theirs.encode_prompt(texts, None, num_images_per_prompt=1)
    for one, context, whole in zip(flux.encode_prompts(ours, texts), contexts, pooled, strict=True):
        assert torch.allclose(one["context"], context, atol=1e-5)
        assert torch.allclose(one["pooled"], whole, atol=1e-5)


@torch.no_grad()
def test_pictures_become_the_latents_that_diffusers_makes(ours: Model, theirs: Any) -> None:
    pixels = torch.rand((2, 3, 64, 96), generator=torch.Generator().manual_seed(1)) * 2 - 1
    found = flux.encode_pictures(ours, pixels, torch.Generator().manual_seed(4))
    drawn = theirs.vae.encode(pixels).latent_dist.sample(torch.Generator().manual_seed(4))
    config = theirs.vae.config
    assert torch.allclose(found, (drawn - config.shift_factor) * config.scaling_factor, atol=1e-5)


@torch.no_grad()
def test_the_denoiser_is_told_its_guidance(ours: Model) -> None:
    """1 while it learns; samples tell it another and leave that behind."""
    (condition,) = flux.encode_prompts(ours, [PROMPT])
    noisy = torch.randn((1, 16, 8, 8), generator=torch.Generator().manual_seed(1))
    plain = flux.predict(ours, noisy, torch.tensor([0.5]), [condition])
    with samples._guided(ours, 3.5):
        guided = flux.predict(ours, noisy, torch.tensor([0.5]), [condition])
    assert not torch.allclose(plain, guided, atol=1e-4)
    assert ours.guidance == 1.0


@torch.no_grad()
def test_a_batch_is_answered_as_each_alone(ours: Model) -> None:
    conditions = flux.encode_prompts(ours, [PROMPT, "a person"])
    noisy = torch.randn((2, 16, 8, 12), generator=torch.Generator().manual_seed(1))
    times = torch.tensor([0.2, 0.9])
    both = flux.predict(ours, noisy, times, conditions)
    each = [
        flux.predict(ours, noisy[n, None], times[n, None], conditions[n : n + 1]) for n in (0, 1)
    ]
    assert torch.allclose(both, torch.cat(each), atol=1e-5)


@pytest.mark.parametrize(
    "part", ["text_encoder", "text_encoder_2", "tokenizer_2", "vae", "transformer", "scheduler"]
)
def test_a_base_without_a_part_says_so(
    base: Path, pictures: Path, tmp_path: Path, part: str
) -> None:
    (tmp_path / "base").mkdir()
    for one in base.iterdir():
        if one.name != part:
            (tmp_path / "base" / one.name).symlink_to(one)
    with pytest.raises(BaseError, match=f"base has no {part}"):
        loaded(spec_for("flux", tmp_path / "base", pictures, tmp_path))


def test_a_base_of_another_family_says_so(pictures: Path, tmp_path: Path) -> None:
    other = tiny_flux.make_flux2(tmp_path / "klein")
    with pytest.raises(BaseError, match="its text_encoder is Qwen3ForCausalLM, not CLIPTextModel"):
        loaded(spec_for("flux", other, pictures, tmp_path))


def test_what_was_loaded_is_given_back_before_the_transformer_comes(
    spec: RunSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    load = flux.load_denoiser

    def watched(model: Model) -> None:
        seen.append((dict(model.encoders), model.vae))
        load(model)

    monkeypatch.setattr(flux, "load_denoiser", watched)
    train_here(replace(spec, output=tmp_path / "a.safetensors", work=tmp_path / "run"))
    assert seen == [({}, None)]


@torch.no_grad()
def test_times_are_shifted_with_the_size_of_the_picture(ours: Model) -> None:
    draw = [ours.aim.draw(4000, side**2, step.generator(0, 0)).mean() for side in (64, 128)]
    assert 0.5 < draw[0] < draw[1] < 0.8
