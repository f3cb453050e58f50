"""One ``.safetensors`` is the same base model as the folder that it was made from."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from accelerate import init_empty_weights
from diffusers.loaders.single_file_utils import infer_diffusers_model_type
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench import random_base
from tests import ldm, tiny_sdxl
from tests.families import PROMPT, finite, loaded, spec_for, train_here
from trainer import architectures, single_file
from trainer.families import family_of
from trainer.families.family import BaseError, Model
from trainer.single_file import Piece

pytestmark = pytest.mark.timeout(180)
AVERAGES = {"model_ema.decay": torch.tensor(0.9), "model_ema.diffusion_modelx": torch.ones(3)}
MARKS = {"v_pred": torch.tensor([]), "ztsnr": torch.tensor([])}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    folder = tmp_path_factory.mktemp("bases")
    random_base.make(folder / "sd15")
    tiny_sdxl.make(folder / "sdxl")
    return {"sd15": folder / "sd15", "sdxl": folder / "sdxl"}


@pytest.fixture(scope="module")
def files(folders: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("files")
    return {
        name: ldm.write(folder, place / f"{name}.v1.safetensors", AVERAGES)
        for name, folder in folders.items()
    }


@torch.no_grad()
def answers(model: Model, family: str) -> list[Tensor]:
    """All that its networks answer, in training and in samples. Copied, weights lie as if they had
    been made here; as they lie in a file, kernels may add them up in another order.
    """
    for network in (model.denoiser, model.vae, *model.encoders.values()):
        for weight in network.parameters():
            weight.data = weight.data.clone()
    draw, module = torch.Generator().manual_seed(1), family_of(family)
    (condition,) = module.encode_prompts(model, [PROMPT])
    pixels = torch.rand((1, 3, 64, 96), generator=draw) * 2 - 1
    latents = module.encode_pictures(model, pixels, draw)
    noise = torch.randn(latents.shape, generator=draw)
    noisy = model.aim.noisy(latents, noise, torch.tensor([500]))
    answer = module.predict(model, noisy, torch.tensor([500]), [condition])
    return [*condition.values(), latents, noisy, answer, module.decode(model, latents)]


@pytest.mark.parametrize("family", ["sd15", "sdxl"])
def test_the_file_answers_as_its_folder_does(
    folders: Mapping[str, Path],
    files: Mapping[str, Path],
    pictures: Path,
    tmp_path: Path,
    family: str,
) -> None:
    parted = loaded(spec_for(family, folders[family], pictures, tmp_path))
    whole = loaded(spec_for(family, files[family], pictures, tmp_path))
    for one, other in zip(answers(parted, family), answers(whole, family), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("family", ["sd15", "sdxl"])
def test_a_run_begins_with_the_file(
    files: Mapping[str, Path], pictures: Path, tmp_path: Path, family: str
) -> None:
    spec = spec_for(family, files[family], pictures, tmp_path, max_steps=2, text_encoder_lr=1e-3)
    train_here(spec)
    assert finite(load_file(spec.output))


REAL = (
    (architectures.SD15_TEXT, ldm.clip, 196, 123_060_480),
    (architectures.SD15_VAE, ldm.vae, 248, 83_653_863),
    (architectures.SD15_UNET, ldm.unet, 686, 859_520_964),
    (architectures.SDXL_TEXT, ldm.clip, 196, 123_060_480),
    (architectures.SDXL_TEXT_2, ldm.open_clip, 517, 694_659_840),
    (architectures.SDXL_VAE, ldm.vae, 248, 83_653_863),
    (architectures.SDXL_UNET, ldm.unet, 1680, 2_567_463_684),
)


def test_the_real_models_are_read_without_a_folder_beside() -> None:
    """In their own sizes, but without a single weight."""
    for piece, renamed, tensors, weights in REAL:
        with init_empty_weights():
            network = piece.build(dict(piece.config))
        assert sum(one.numel() for one in network.parameters()) == weights
        state = {name: one.to("meta") for name, one in renamed(network.state_dict()).items()}
        converted = piece.convert(
            {piece.prefix + name: one for name, one in state.items()}, network
        )
        assert len(converted) == tensors
        network.load_state_dict(converted, assign=True)


def test_other_programs_know_the_layout() -> None:
    names: dict[str, Tensor] = {}
    for piece, renamed, _, _ in REAL[3:]:
        with init_empty_weights():
            network = piece.build(dict(piece.config))
        names |= {piece.prefix + name: one for name, one in renamed(network.state_dict()).items()}
    assert infer_diffusers_model_type(names) == "xl_base"


@pytest.mark.parametrize("aside", [True, False])
def test_a_mark_in_the_file_makes_it_predict_v(
    folders: Mapping[str, Path], tmp_path: Path, aside: bool
) -> None:
    path = ldm.write(folders["sdxl"], tmp_path / "noob.safetensors", MARKS, aside=aside)
    found = single_file.scheduler(path)
    assert found.config.prediction_type == "v_prediction"
    assert found.alphas_cumprod[-1] == 0


def test_without_a_mark_it_predicts_the_noise(files: Mapping[str, Path], tmp_path: Path) -> None:
    folder = single_file.scheduler(files["sdxl"])
    (tmp_path / "alone.safetensors").symlink_to(files["sdxl"])
    alone = single_file.scheduler(tmp_path / "alone.safetensors")
    assert alone.config.prediction_type == "epsilon"
    assert torch.equal(alone.alphas_cumprod, folder.alphas_cumprod)


def test_its_metadata_may_say_v(tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    save_file({"one": torch.ones(1)}, path, {"modelspec.prediction_type": "v"})
    assert single_file.scheduler(path).config.prediction_type == "v_prediction"


def test_an_edm_schedule_is_refused(tmp_path: Path) -> None:
    save_file({"edm_mean": torch.ones(1)}, tmp_path / "playground.safetensors")
    with pytest.raises(BaseError, match="EDM"):
        single_file.scheduler(tmp_path / "playground.safetensors")


def refused(path: Path, piece: Piece = architectures.SD15_UNET) -> str:
    with pytest.raises(BaseError) as caught:
        single_file.load(path, piece, torch.float32)
    return str(caught.value)


def test_a_checkpoint_that_can_hold_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.ckpt"
    path.write_bytes(pickle.dumps({}))
    assert "only .safetensors" in refused(path)
    assert "is no .safetensors" in refused(path.rename(tmp_path / "renamed.safetensors"))


def test_half_a_file_is_refused(files: Mapping[str, Path], tmp_path: Path) -> None:
    half = tmp_path / "half.safetensors"
    half.write_bytes(files["sd15"].read_bytes()[:100_000])
    assert "not all of one" in refused(half)


def test_a_file_of_another_family_is_refused(files: Mapping[str, Path]) -> None:
    assert "another family" in refused(files["sd15"], architectures.SDXL_TEXT)
    assert "another family" in refused(files["sdxl"], architectures.SD15_TEXT)


def test_a_network_of_another_shape_is_refused(files: Mapping[str, Path], tmp_path: Path) -> None:
    (tmp_path / "alone.safetensors").symlink_to(files["sd15"])
    assert "not of the architecture" in refused(tmp_path / "alone.safetensors")


def test_a_network_with_a_hole_is_refused(files: Mapping[str, Path], tmp_path: Path) -> None:
    tensors = load_file(files["sd15"])
    del tensors["model.diffusion_model.out.2.weight"]
    path = tmp_path / "sd15.v1.safetensors"
    save_file(tensors, path)
    path.with_suffix("").symlink_to(files["sd15"].with_suffix(""))
    assert "conv_out.weight" in refused(path)


def test_a_missing_tokenizer_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_file, "CLIP", "nobody/has-this")
    with pytest.raises(BaseError, match=r"put vocab\.json.* into .*/alone/tokenizer"):
        single_file.tokenizer(tmp_path / "alone.safetensors", "tokenizer_2")


def test_an_empty_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BaseError, match=r"no vocab\.json"):
        single_file.read_tokenizer(tmp_path)


def test_tokenizers_come_from_the_cache_of_the_hub(
    folders: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = str(folders["sd15"] / "tokenizer" / "vocab.json")
    monkeypatch.setattr(single_file, "try_to_load_from_cache", lambda *_: cached)
    first = single_file.tokenizer(tmp_path / "alone.safetensors", "tokenizer")
    second = single_file.tokenizer(tmp_path / "alone.safetensors", "tokenizer_2")
    assert first.pad_token_id == first.eos_token_id
    assert second.pad_token == "!"
