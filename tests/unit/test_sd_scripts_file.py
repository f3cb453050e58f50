"""sd-scripts' file is looked at, and freed of what is the people's."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from pipeline import artifact
from trainer.backends.sd_scripts_file import LoraFileError, deliver

FACTS = {"modelspec.trigger_phrase": "mochix"}
UNET, TEXT = "lora_unet_mid_block_attentions_0_proj_in", "lora_te1_text_model_encoder_layers_11_fc1"
Tensors = dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]


def pair(name: str, up: float = 1.0) -> Tensors:
    dice = np.random.default_rng(1)
    return {
        f"{name}.lora_down.weight": dice.normal(size=(4, 8)).astype(np.float16),
        f"{name}.lora_up.weight": (dice.normal(size=(8, 4)) * up).astype(np.float16),
        f"{name}.alpha": np.array(2.0, np.float16),
    }


def made(tmp_path: Path, tensors: Tensors) -> Path:
    path = tmp_path / "lora.safetensors"
    secrets = {"ss_tag_frequency": '{"pictures": {"anna on the beach": 1}}', "ss_steps": "20"}
    save_file(tensors, path, secrets | {"ss_dataset_dirs": "{}", "sshs_legacy_hash": "0"})
    return path


def test_the_file_is_one_that_is_published(tmp_path: Path) -> None:
    source, target = made(tmp_path, pair(UNET)), tmp_path / "out" / "mochi.safetensors"
    assert deliver(source, target, FACTS) == 1
    assert artifact.check(target, "mochix").modules == 1
    for name, tensor in load_file(source).items():
        assert (load_file(target)[name] == tensor).all()


def test_captions_and_folders_are_gone(tmp_path: Path) -> None:
    target = tmp_path / "mochi.safetensors"
    deliver(made(tmp_path, pair(UNET)), target, FACTS)
    assert b"anna" not in target.read_bytes()
    with safe_open(target, framework="np") as file:
        told = file.metadata()
    assert told.keys() == {"ss_steps", "sshs_model_hash", *FACTS}


def test_what_was_not_reached_of_a_text_encoder_goes(tmp_path: Path) -> None:
    target = tmp_path / "mochi.safetensors"
    assert deliver(made(tmp_path, pair(UNET) | pair(TEXT, up=0.0)), target, FACTS) == 1
    assert artifact.check(target, "mochix").modules == 1


def test_the_hash_is_that_of_the_tensors(tmp_path: Path) -> None:
    target = tmp_path / "mochi.safetensors"
    deliver(made(tmp_path, pair(UNET) | pair(TEXT)), target, FACTS)
    data = target.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    with safe_open(target, framework="np") as file:
        assert file.metadata()["sshs_model_hash"] == hashlib.sha256(data[start:]).hexdigest()


def test_bfloat16_is_read(tmp_path: Path) -> None:
    path = tmp_path / "lora.safetensors"
    save_file(pair(UNET), path)
    data = bytearray(path.read_bytes())
    length = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + length].replace(b'"F16"', b'"BF16"')
    while len(header) % 8:
        header += b" "
    path.write_bytes(len(header).to_bytes(8, "little") + header + data[8 + length :])
    assert deliver(path, tmp_path / "out.safetensors", FACTS) == 1


def nan(tensors: Tensors) -> Tensors:
    up = tensors[f"{UNET}.lora_up.weight"].copy()
    up[0, 0] = np.nan
    return tensors | {f"{UNET}.lora_up.weight": up}


BROKEN: dict[str, tuple[Callable[[Tensors], Tensors], str]] = {
    "not finite": (nan, "is not finite"),
    "untrained": (lambda _: pair(UNET, up=0.0), "changes nothing"),
    "half": (lambda all_: {k: v for k, v in all_.items() if "up" not in k}, "no pair"),
    "misfit": (
        lambda all_: all_ | {f"{UNET}.lora_up.weight": np.ones((8, 5), np.float16)},
        "shapes that do not fit",
    ),
    "another kind": (
        lambda all_: all_ | {f"{UNET}.alpha": np.array(1, np.int64)},
        "of the kind I64",
    ),
    "nothing": (lambda _: {}, "no LoRA"),
    "no alpha": (
        lambda all_: all_ | {f"{UNET}.alpha": np.array(0.0, np.float16)},
        "changes nothing",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_file_that_is_broken_gets_no_name(tmp_path: Path, how: str) -> None:
    change, said = BROKEN[how]
    target = tmp_path / "out.safetensors"
    with pytest.raises(LoraFileError, match=said):
        deliver(made(tmp_path, change(pair(UNET))), target, FACTS)
    assert not target.exists()


@pytest.mark.parametrize("kept", [0, 4, 8, 100, -40, -1])
def test_a_file_that_is_cut_off_is_called_so(tmp_path: Path, kept: int) -> None:
    path, target = made(tmp_path, pair(UNET)), tmp_path / "out.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    said = f"is cut off after {len(whole[:kept])} of "
    # How much there was to be is known once the header is there.
    said += f"{len(whole)} bytes" if kept < 0 else ""
    with pytest.raises(LoraFileError, match=f"^{said}"):
        deliver(path, target, FACTS)
    assert not target.exists()


def test_a_tensor_that_is_too_short_for_its_shape_is_noticed(tmp_path: Path) -> None:
    path = made(tmp_path, pair(UNET))
    path.write_bytes(path.read_bytes().replace(b"[4,8]", b"[4,9]"))
    with pytest.raises(LoraFileError, match=r"^cannot be read: .*shape"):
        deliver(path, tmp_path / "out.safetensors", FACTS)


@pytest.mark.parametrize("header", [b"[]", b"{", json.dumps({"a": 1}).encode()])
def test_a_header_that_is_no_table_gets_no_name(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "lora.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(LoraFileError):
        deliver(path, tmp_path / "out.safetensors", FACTS)
