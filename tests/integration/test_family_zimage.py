"""Z-Image: what is trained is what other programs draw with."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import ZImagePipeline
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
from trainer.families import zimage
from trainer.families.family import BaseError, Condition, Model
from trainer.run import Prompt, RunSpec

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("one_thread")]
WIDE = (96, 64)


@pytest.fixture(scope="module")
def turbo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen.make_zimage(tmp_path_factory.mktemp("bases") / "turbo")


@pytest.fixture(scope="module")
def undistilled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_qwen.make_zimage(tmp_path_factory.mktemp("bases") / "base", shift=6.0)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset_of(tmp_path_factory.mktemp("dataset"), ((64, 64), WIDE))


@pytest.fixture(scope="module")
def spec(turbo: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> RunSpec:
    return spec_for("zimage", turbo, pictures, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def ours(spec: RunSpec) -> Model:
    return loaded(spec)


@pytest.fixture(scope="module")
def theirs(turbo: Path) -> Any:
    return pipeline_of(turbo)


def pipeline_of(base: Path) -> Any:
    pipeline = ZImagePipeline.from_pretrained(base)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def diffusers_names(targets: str) -> set[str]:
    """What ComfyUI looks for, too: of two blocks and of one in each refiner."""
    inner = ["attention.to_q", "attention.to_k", "attention.to_v", "attention.to_out.0"]
    if targets == "all":
        inner += ["feed_forward.w1", "feed_forward.w2", "feed_forward.w3"]
    blocks = ("layers.0", "layers.1", "noise_refiner.0", "context_refiner.0")
    return {f"transformer.{block}.{one}" for block in blocks for one in inner}


@pytest.mark.parametrize("targets", [pytest.param("attention", marks=pytest.mark.long), "all"])
def test_the_file_does_in_diffusers_what_it_did_in_training(
    turbo: Path, pictures: Path, tmp_path: Path, targets: str
) -> None:
    spec = spec_for("zimage", turbo, pictures, tmp_path, targets=targets)
    finished = train_here(spec)
    assert finished.loss is not None
    assert finished.loss < 100
    tensors = load_file(spec.output)
    assert finite(tensors)
    assert {key.rpartition(".lora_")[0] for key in tensors} == diffusers_names(targets)

    pipeline = pipeline_of(turbo)
    before = tiny_qwen.zimage_answer(pipeline.transformer)
    pipeline.load_lora_weights(str(spec.output.parent), weight_name=spec.output.name)
    taken = {name for name, _ in pipeline.transformer.named_parameters() if ".lora_" in name}
    assert len(taken) == len(tensors)
    found = tiny_qwen.zimage_answer(pipeline.transformer)
    assert torch.allclose(found, tiny_qwen.zimage_answer(with_file(spec).denoiser), atol=1e-5)
    assert not torch.allclose(found, before, atol=1e-3)


def test_the_file_says_what_it_is_for(turbo: Path, pictures: Path, tmp_path: Path) -> None:
    spec = spec_for("zimage", turbo, pictures, tmp_path, max_steps=1)
    train_here(spec)
    with safe_open(spec.output, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["ss_base_model_version"] == "z_image"
    assert metadata["modelspec.architecture"] == "z-image/lora"


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    turbo: Path, pictures: Path, tmp_path: Path
) -> None:
    whole = spec_for("zimage", turbo, pictures, tmp_path / "whole", batch_size=2, targets="all")
    train_here(whole)
    parted = spec_for("zimage", turbo, pictures, tmp_path / "parted", batch_size=2, targets="all")
    with pytest.raises(loop.StoppedError):
        train_here(parted, stop_at=3)
    train_here(parted)
    assert same_tensors(whole.output, parted.output)


def test_less_memory_gives_the_same_loss(adapted: Path, pictures: Path, tmp_path: Path) -> None:
    losses = [
        train_here(
            spec_for(
                "zimage",
                adapted,
                pictures,
                tmp_path / str(frugal),
                gradient_checkpointing=frugal,
                max_steps=2,
            )
        ).loss
        for frugal in (False, True)
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_bfloat16_trains(adapted: Path, pictures: Path, tmp_path: Path) -> None:
    prompts = (Prompt(text=PROMPT),)
    spec = spec_for(
        "zimage", adapted, pictures, tmp_path, prompts, precision="bf16", max_steps=2, targets="all"
    )
    train_here(spec)
    assert finite(load_file(spec.output))


def test_half_precision_is_refused(turbo: Path, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(BaseError, match="too large for half precision"):
        train_here(spec_for("zimage", turbo, pictures, tmp_path, precision="fp16"))


def drawn(spec: RunSpec, ours: Model) -> tuple[Tensor, Tensor]:
    """The noise and what became of it, with the pairs switched off."""
    prompt = Prompt(text=PROMPT, seed=3, width=WIDE[0], height=WIDE[1])
    pairs = lora.inject(ours, zimage.TRAITS, spec.params)
    both = samples.encode((prompt,), zimage, ours)
    with lora.switched_off(pairs), samples._guided(ours, zimage.TRAITS.guidance):
        noise = samples._noise(prompt, zimage, ours, spec.params)
        latents = samples._latents(
            noise, (both[0], both[1]), zimage, ours, spec.params, zimage.TRAITS.sample_steps
        )
    lora.remove(pairs)
    return samples._noise(prompt, zimage, ours, spec.params), latents


@torch.no_grad()
def test_turbo_is_drawn_as_diffusers_draws_it(spec: RunSpec, ours: Model, theirs: Any) -> None:
    """In nine steps without guidance."""
    noise, latents = drawn(spec, ours)
    size = {"width": WIDE[0], "height": WIDE[1]}
    wanted = theirs(
        PROMPT,
        **size,
        latents=noise,
        num_inference_steps=9,
        guidance_scale=0.0,
        output_type="pt",
    ).images
    found = zimage.decode(ours, latents) / 2 + 0.5
    assert torch.allclose(found.clamp(0, 1), wanted, atol=1e-4)
    assert not torch.allclose(latents, noise, atol=0.1)


@torch.no_grad()
def test_the_base_is_drawn_as_diffusers_draws_it(
    undistilled: Path, pictures: Path, tmp_path: Path
) -> None:
    """In more steps and guided. What diffusers adds is one more in everybody else's counting."""
    spec = spec_for("zimage", undistilled, pictures, tmp_path)
    noise, latents = drawn(spec, loaded(spec))
    wanted = pipeline_of(undistilled)(
        PROMPT,
        width=WIDE[0],
        height=WIDE[1],
        latents=noise,
        num_inference_steps=28,
        guidance_scale=4.0,
        output_type="latent",
    ).images
    assert torch.allclose(latents, wanted, atol=1e-4)


@torch.no_grad()
def test_captions_are_read_as_diffusers_reads_them(ours: Model, theirs: Any) -> None:
    texts = [PROMPT, "", "a very long caption, " * 60]
    contexts, _ = theirs.encode_prompt(list(texts), do_classifier_free_guidance=False)
    for one, context in zip(zimage.encode_prompts(ours, texts), contexts, strict=True):
        assert torch.allclose(one["context"], context, atol=1e-5)


@torch.no_grad()
def test_pictures_become_latents_and_come_back(ours: Model, theirs: Any) -> None:
    pixels = torch.rand((2, 3, 64, 96), generator=torch.Generator().manual_seed(1)) * 2 - 1
    found = zimage.encode_pictures(ours, pixels, torch.Generator().manual_seed(2))
    seen = theirs.vae.encode(pixels).latent_dist.sample(torch.Generator().manual_seed(2))
    assert torch.allclose(found, (seen - 0.1159) * 0.3611, atol=1e-5)
    assert torch.allclose(zimage.decode(ours, found), theirs.vae.decode(seen).sample, atol=1e-4)


@torch.no_grad()
def test_a_batch_is_answered_as_each_alone(ours: Model) -> None:
    """With captions of different lengths."""
    conditions = zimage.encode_prompts(ours, ["a person", "a person in the snow, " * 3])
    noisy = torch.randn((2, 16, 8, 12), generator=torch.Generator().manual_seed(1))
    times = torch.tensor([0.2, 0.9])
    both = zimage.predict(ours, noisy, times, conditions)
    each = [
        zimage.predict(ours, noisy[n, None], times[n, None], conditions[n : n + 1]) for n in (0, 1)
    ]
    assert torch.allclose(both, torch.cat(each), atol=1e-5)
    assert not torch.allclose(both, zimage.predict(ours, noisy, times, conditions[::-1]), atol=1e-4)


ADAPTED = ("layers.0.attention.to_q", "layers.1.feed_forward.w2", "noise_refiner.0.attention.to_k")


@pytest.fixture(scope="module")
def adapted(turbo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a training adapter as ai-toolkit writes it."""
    return with_adapter(turbo, tmp_path_factory.mktemp("adapted") / "turbo")


def with_adapter(turbo: Path, folder: Path, *, kohya: bool = False) -> Path:
    shutil.copytree(turbo, folder)
    layers = dict(tiny_qwen.zimage_transformer().named_modules())
    draw = torch.Generator().manual_seed(4)
    tensors: dict[str, Tensor] = {}
    for path in ADAPTED:
        out, inner = layers[path].weight.shape
        down, up = (torch.randn(one, generator=draw) / 4 for one in ((2, inner), (out, 2)))
        if kohya:
            name = f"lora_unet_{path.replace('.', '_')}"
            tensors |= {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
            tensors[f"{name}.alpha"] = torch.tensor(1.0)
        else:
            name = f"diffusion_model.{path}"
            tensors |= {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up / 2}
    save_file(tensors, folder / zimage.ADAPTER)
    return folder


def asked(model: Model) -> tuple[Tensor, tuple[Tensor, list[Condition]]]:
    noisy = torch.randn((1, 16, 8, 8), generator=torch.Generator().manual_seed(1))
    return noisy, (torch.tensor([0.5]), zimage.encode_prompts(model, [PROMPT]))


@torch.no_grad()
@pytest.mark.parametrize("kohya", [False, True])
def test_the_training_adapter_learns_with_the_model_and_does_not_draw(
    turbo: Path, ours: Model, pictures: Path, tmp_path: Path, kohya: bool
) -> None:
    base = with_adapter(turbo, tmp_path / "turbo", kohya=kohya)
    model = loaded(spec_for("zimage", base, pictures, tmp_path))
    noisy, rest = asked(ours)
    plain = zimage.predict(ours, noisy, *rest)
    learning = zimage.predict(model, noisy, *rest)
    with samples._guided(model, zimage.TRAITS.guidance):
        drawing = zimage.predict(model, noisy, *rest)
    assert torch.allclose(drawing, plain, atol=1e-6)
    merged = pipeline_of(turbo)
    merged.load_lora_weights(str(base), weight_name=zimage.ADAPTER)
    wanted = -merged.transformer([noisy[0, :, None]], 1 - rest[0], [rest[1][0]["context"]])[0][0]
    assert torch.allclose(learning[0], wanted[:, 0], atol=1e-5)
    assert not torch.allclose(learning, plain, atol=1e-2)


def test_the_training_adapter_is_not_in_the_file(
    adapted: Path, pictures: Path, tmp_path: Path
) -> None:
    """But the pairs have learned beside it."""
    with_it = spec_for("zimage", adapted, pictures, tmp_path / "with", max_steps=2)
    without = spec_for("zimage", tmp_path / "plain", pictures, tmp_path / "without", max_steps=2)
    shutil.copytree(adapted, without.base, ignore=shutil.ignore_patterns(zimage.ADAPTER))
    train_here(with_it)
    train_here(without)
    names = load_file(with_it.output).keys()
    assert {key.rpartition(".lora_")[0] for key in names} == diffusers_names("all")
    assert not same_tensors(with_it.output, without.output)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("x.lora_A.weight", "x.lora_B.weight"), "does not fit turbo: x"),
        (("x.lokr_w1", "x.lokr_w2"), "is not a LoRA of pairs"),
        (("diffusion_model.x.lora_A.weight", "diffusion_model.y"), "no layout that is known"),
    ],
)
def test_an_adapter_of_something_else_says_so(
    turbo: Path, pictures: Path, tmp_path: Path, names: tuple[str, str], says: str
) -> None:
    base = with_adapter(turbo, tmp_path / "turbo")
    save_file({name: torch.ones(2, 2) for name in names}, base / zimage.ADAPTER)
    with pytest.raises(BaseError, match=rf"training_adapter\.safetensors .*{says}"):
        loaded(spec_for("zimage", base, pictures, tmp_path))
