"""What sd-scripts finds in a run's folder, from ours."""

import io
import json
import tomllib
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from tests.jobs import PARAMS
from trainer.backends import sd_scripts_folder as folder
from trainer.backends.sd_scripts_folder import DatasetError
from trainer.run import RunSpec

ROTATED = 6  # an EXIF orientation: turn it to the right


def spec(tmp_path: Path, base: Path | None = None, **changes: Any) -> RunSpec:
    (tmp_path / "photos").mkdir(exist_ok=True)
    return RunSpec(
        params=replace(PARAMS, **changes),
        base=base or tmp_path / "base",
        dataset=tmp_path / "photos",
        output=tmp_path / "out.safetensors",
        work=tmp_path / "work",
    )


def add(one: RunSpec, name: str, caption: str = "mochix person", turn: int = 1) -> Path:
    path = one.dataset / name
    picture = Image.new("RGB", (96, 64), "red")
    exif = Image.Exif()
    exif[folder.ORIENTATION] = turn
    picture.save(path, exif=exif)
    path.with_suffix(".txt").write_text(caption, encoding="utf-8")
    return path


def staged(one: RunSpec, tmp_path: Path) -> tuple[Path, dict[str, Any]]:
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    folder.stage(one, home)
    config = tomllib.loads((home / "dataset.toml").read_text(encoding="utf-8"))
    return home / "pictures", config["datasets"][0]


def test_pictures_come_with_their_captions_under_other_names(tmp_path: Path) -> None:
    one = spec(tmp_path)
    add(one, "b_1_2_3_4_5.png", "two")
    add(one, "a.png", "one")
    home, _ = staged(one, tmp_path)
    assert sorted(path.name for path in home.iterdir()) == [
        *("0001.png", "0001.txt", "0002.png", "0002.txt")
    ]
    assert (home / "0001.txt").read_text() == "one\n"
    assert (home / "0002.png").read_bytes() == (one.dataset / "b_1_2_3_4_5.png").read_bytes()


def test_a_caption_of_many_lines_is_one_and_an_empty_one_is_no_error(tmp_path: Path) -> None:
    one = spec(tmp_path)
    add(one, "1.png", "a person\n\n  in the snow\n")
    add(one, "2.png", "")
    home, _ = staged(one, tmp_path)
    assert (home / "0001.txt").read_text() == "a person in the snow\n"
    assert (home / "0002.txt").read_text() == "\n"


def test_a_photo_that_lies_on_its_side_is_turned(tmp_path: Path) -> None:
    one = spec(tmp_path)
    add(one, "1.jpg", turn=ROTATED)
    home, _ = staged(one, tmp_path)
    with Image.open(home / "0001.png") as upright:
        assert upright.size == (64, 96)
        assert upright.getexif().get(folder.ORIENTATION, 1) == 1


def test_a_mask_becomes_the_alpha(tmp_path: Path) -> None:
    one = spec(tmp_path)
    path = add(one, "1.png")
    add(one, "2.png")
    mask = Image.new("L", (96, 64), 0)
    mask.paste(255, (0, 0, 48, 64))
    mask.save(path.with_suffix(folder.MASK))
    home, dataset = staged(one, tmp_path)
    assert dataset["subsets"][0]["alpha_mask"] is True
    with Image.open(home / "0001.png") as masked:
        assert masked.mode == "RGBA"
        alpha = np.asarray(masked)[..., 3]
        assert alpha[:, :48].min() == 255
        assert alpha[:, 48:].max() == 0
        assert masked.getpixel((90, 10)) == (255, 0, 0, 0)
    assert len(list(home.glob("*.png"))) == 2


def test_masks_are_left_out_where_they_are_not_wanted(tmp_path: Path) -> None:
    one = spec(tmp_path, masked=False)
    path = add(one, "1.png")
    Image.new("L", (96, 64), 9).save(path.with_suffix(folder.MASK))
    home, dataset = staged(one, tmp_path)
    assert dataset["subsets"][0]["alpha_mask"] is False
    assert [path.name for path in home.glob("*.png")] == ["0001.png"]


@pytest.mark.parametrize(("batch", "accumulation", "count"), [(1, 1, 3), (4, 2, 3), (2, 1, 7)])
def test_one_epoch_is_long_enough_for_all_steps(
    tmp_path: Path, batch: int, accumulation: int, count: int
) -> None:
    one = spec(tmp_path, max_steps=50, batch_size=batch, gradient_accumulation=accumulation)
    for number in range(count):
        add(one, f"{number}.png")
    _, dataset = staged(one, tmp_path)
    repeats = dataset["subsets"][0]["num_repeats"]
    assert repeats * count >= 50 * batch * accumulation > (repeats - 1) * count
    assert dataset["batch_size"] == batch


@pytest.mark.parametrize(
    ("family", "resolution", "grain", "least"),
    [("sd15", 512, 64, 256), ("sd15", 128, 64, 128), ("sdxl", 1024, 64, 256), ("sdxl", 96, 32, 96)],
)
def test_buckets_fit_the_resolution(
    tmp_path: Path, family: str, resolution: int, grain: int, least: int
) -> None:
    one = spec(tmp_path, family=family, resolution=resolution)
    add(one, "1.png")
    _, dataset = staged(one, tmp_path)
    assert dataset["bucket_reso_steps"] == grain
    assert dataset["min_bucket_reso"] == least <= resolution
    assert dataset["bucket_no_upscale"] is True


def test_each_resolution_has_all_pictures(tmp_path: Path) -> None:
    one = spec(tmp_path, resolution=512, resolutions=(256, 384), max_steps=60)
    add(one, "1.png")
    add(one, "2.png")
    folder.stage(one, tmp_path / "home")
    config = tomllib.loads((tmp_path / "home" / "dataset.toml").read_text())
    assert [each["resolution"] for each in config["datasets"]] == [512, 256, 384]
    assert [each["subsets"][0]["num_repeats"] for each in config["datasets"]] == [10, 10, 10]


def test_paths_with_odd_letters_are_told_right(tmp_path: Path) -> None:
    odd = tmp_path / 'a "b" \\ 画像 \U0001f600'
    odd.mkdir()
    one = spec(tmp_path)
    add(one, "1.png")
    home, dataset = staged(one, odd)
    assert dataset["subsets"][0]["image_dir"] == str(home)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    one = spec(tmp_path)
    (one.dataset / "1.txt").write_text("a caption alone")
    (one.dataset / "2.png").write_bytes(b"a picture without a caption")
    with pytest.raises(DatasetError, match="no 0001"):
        folder.stage(one, tmp_path / "home")


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n" + b"x" * 40])
def test_a_broken_picture_is_named(tmp_path: Path, data: bytes) -> None:
    one = spec(tmp_path)
    add(one, "7.png").write_bytes(data)
    with pytest.raises(DatasetError, match=r"7\.png"):
        folder.stage(one, tmp_path / "home")


def test_a_picture_below_a_bucket_is_named(tmp_path: Path) -> None:
    one = spec(tmp_path)
    add(one, "7.png")
    Image.new("RGB", (96, 40)).save(one.dataset / "7.png")
    with pytest.raises(DatasetError, match="96 x 40"):
        folder.stage(one, tmp_path / "home")


def test_a_bases_own_tokenizers_are_found(tmp_path: Path) -> None:
    base = tmp_path / "base"
    for part in ("tokenizer", "tokenizer_2"):
        (base / part).mkdir(parents=True)
    home = folder.tokenizers(spec(tmp_path, family="sdxl"), tmp_path / "home")
    assert home is not None
    assert (home / "openai_clip-vit-large-patch14").resolve() == base / "tokenizer"
    assert (home / "laion_CLIP-ViT-bigG-14-laion2B-39B-b160k").resolve() == base / "tokenizer_2"


def test_a_file_has_its_parts_beside_it(tmp_path: Path) -> None:
    one = spec(tmp_path, base=tmp_path / "model.safetensors")
    one.base.write_bytes(b"")
    assert folder.tokenizers(one, tmp_path / "home") is None
    (tmp_path / "model" / "tokenizer").mkdir(parents=True)
    assert folder.tokenizers(one, tmp_path / "home") is not None


def test_the_base_says_what_it_predicts(tmp_path: Path) -> None:
    one = spec(tmp_path)
    (one.base / "scheduler").mkdir(parents=True)
    said = one.base / "scheduler" / "scheduler_config.json"
    said.write_text(json.dumps({"prediction_type": "v_prediction"}))
    assert folder.is_v_prediction(one)
    said.write_text(json.dumps({"prediction_type": "epsilon"}))
    assert not folder.is_v_prediction(one)
    assert folder.is_v_prediction(
        replace(one, params=replace(one.params, prediction="v_prediction"))
    )


def test_a_file_may_say_it_by_a_tensor(tmp_path: Path) -> None:
    one = spec(tmp_path, base=tmp_path / "model.safetensors")
    save_file({"v_pred": np.zeros(0, np.float32)}, one.base)
    assert folder.is_v_prediction(one)
    save_file({"other": np.zeros(1, np.float32)}, one.base)
    assert not folder.is_v_prediction(one)


def test_only_safetensors_are_given_to_it(tmp_path: Path) -> None:
    one = spec(tmp_path)
    assert "neither" in folder.why_no_base(one)
    (one.base / "unet").mkdir(parents=True)
    (one.base / "model_index.json").write_text("{}")
    (one.base / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"a pickle")
    assert "no unet" in folder.why_no_base(one)
    for part in ("unet", "vae", "text_encoder"):
        (one.base / part).mkdir(exist_ok=True)
        (one.base / part / "model.safetensors").write_bytes(b"")
    assert folder.why_no_base(one) == ""
    old = tmp_path / "model.ckpt"
    old.write_bytes(b"")
    assert "is not a .safetensors" in folder.why_no_base(replace(one, base=old))


def state(out: Path, step: int) -> Path:
    """As accelerate leaves it."""
    home = out / f"lora-step{step:08}-state"
    home.mkdir(parents=True)
    save_file({"x": np.zeros(64, np.float32)}, home / "model.safetensors")
    for name in ("optimizer.bin", "scheduler.bin", "random_states_0.pkl"):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            archive.writestr("data", "x" * 100)
        (home / name).write_bytes(data.getvalue())
    return home


def test_the_latest_whole_state_comes_first(tmp_path: Path) -> None:
    for step in (4, 12, 8):
        state(tmp_path, step)
    (tmp_path / "lora-state").mkdir()
    assert [one.done for one in folder.states(tmp_path)] == [12, 8, 4]


@pytest.mark.parametrize("part", folder.PARTS)
@pytest.mark.parametrize("size", [None, 0, 50])
def test_a_state_that_is_torn_is_none(tmp_path: Path, part: str, size: int | None) -> None:
    state(tmp_path, 4)
    torn = state(tmp_path, 8) / part
    if size is None:
        torn.unlink()
    else:
        torn.write_bytes(torn.read_bytes()[:size])
    assert [one.done for one in folder.states(tmp_path)] == [4]


def test_another_run_has_another_digest(tmp_path: Path) -> None:
    one = spec(tmp_path)
    path = add(one, "1.png")
    first = folder.digest(one, ["--a"])
    assert first == folder.digest(one, ["--a"])
    assert first != folder.digest(one, ["--b"])
    path.with_suffix(".txt").write_text("other")
    assert first != folder.digest(one, ["--a"])
