"""A smaller twin: as near as its rank allows, of the right size, and still a LoRA."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from pipeline import artifact
from trainer import resize
from trainer.resize import ResizeError

Array = np.ndarray[Any, np.dtype[Any]]
DICE = np.random.default_rng(7)
NAMES = ("lora_unet_mid_block_a_to_q", "lora_unet_mid_block_b_conv", "lora_te_text_model_c")


def factors(rank: int, true_rank: int, inner: tuple[int, ...] = (24,)) -> tuple[Array, Array]:
    """``down`` and ``up`` of ``rank`` whose product has only ``true_rank``."""
    mix = DICE.normal(size=(true_rank, rank))
    down = DICE.normal(size=(rank, *inner)) * 0.1
    up = DICE.normal(size=(20, true_rank)) @ mix * 0.1
    return down, up.reshape(20, rank, *(1 for _ in inner[1:]))


def write(
    path: Path, modules: dict[str, tuple[Array, Array]], alpha: float = 4.0, kind: Any = np.float32
) -> Path:
    tensors = {}
    for name, (down, up) in modules.items():
        tensors[f"{name}.lora_down.weight"] = down.astype(kind)
        tensors[f"{name}.lora_up.weight"] = up.astype(kind)
        tensors[f"{name}.alpha"] = np.array(alpha, dtype=kind)
    plain = save(tensors)
    begin = 8 + int.from_bytes(plain[:8], "little")
    metadata = {
        "modelspec.trigger_phrase": "mochix",
        "sshs_model_hash": hashlib.sha256(plain[begin:]).hexdigest(),
    }
    path.write_bytes(save(tensors, metadata))
    return path


def delta(path: Path, name: str, ends: tuple[str, str] = resize.LAYOUTS[0]) -> Array:
    tensors = load_file(path)
    down, up = (tensors[name + end].astype(np.float64) for end in ends)
    alpha = tensors.get(f"{name}.alpha", np.array(len(down))).item()
    product: Array = up.reshape(len(up), -1) @ down.reshape(len(down), -1)
    scaled: Array = product * (alpha / len(down))
    return scaled


@pytest.mark.parametrize("inner", [(24,), (24, 1, 1), (8, 3, 3)])
@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_where_the_rank_allows_nothing_is_lost(
    tmp_path: Path, inner: tuple[int, ...], kind: Any
) -> None:
    source = write(tmp_path / "a.safetensors", {NAMES[0]: factors(8, 3, inner)}, kind=np.float32)
    made = resize.resize(source, tmp_path / "b.safetensors", 3)
    assert made.error < 1e-6
    before, after = delta(source, NAMES[0]), delta(tmp_path / "b.safetensors", NAMES[0])
    assert np.abs(before - after).max() < 2e-3 * np.abs(before).max()
    assert np.dtype(kind).itemsize >= 2


def test_what_is_lost_is_what_eckart_and_young_say(tmp_path: Path) -> None:
    modules = {name: factors(8, 8) for name in NAMES}
    source = write(tmp_path / "a.safetensors", modules, alpha=2.0)
    made = resize.resize(source, tmp_path / "b.safetensors", 4)
    lost = whole = 0.0
    shares = {}
    for name in NAMES:
        values = np.linalg.svd(delta(source, name), compute_uv=False)
        lost += float((values[4:] ** 2).sum())
        whole += float((values**2).sum())
        shares[name] = float(np.sqrt((values[4:] ** 2).sum() / (values**2).sum()))
        found = np.linalg.norm(delta(source, name) - delta(tmp_path / "b.safetensors", name))
        assert found == pytest.approx(np.sqrt((values[4:] ** 2).sum()), rel=1e-2)
    assert made.error == pytest.approx(np.sqrt(lost / whole), rel=1e-6)
    assert made.worst[0] == max(shares, key=lambda name: shares[name])
    assert made.worst[1] == pytest.approx(max(shares.values()))


def test_the_twin_passes_the_check_and_says_its_rank(tmp_path: Path) -> None:
    source = write(tmp_path / "a.safetensors", {name: factors(8, 8) for name in NAMES})
    target = tmp_path / "b.safetensors"
    made = resize.resize(source, target, 2)
    checked = artifact.check(target, "mochix")
    assert (checked.modules, checked.file_bytes) == (3, made.file_bytes)
    header = json.loads(
        target.read_bytes()[8:][: int.from_bytes(target.read_bytes()[:8], "little")]
    )
    assert header["__metadata__"]["ss_network_dim"] == "2"
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_modules_of_a_lower_rank_keep_it(tmp_path: Path) -> None:
    source = write(tmp_path / "a.safetensors", {NAMES[0]: factors(2, 2), NAMES[1]: factors(16, 16)})
    resize.resize(source, tmp_path / "b.safetensors", 8)
    tensors = load_file(tmp_path / "b.safetensors")
    assert [len(tensors[f"{name}.lora_down.weight"]) for name in NAMES[:2]] == [2, 8]


def test_the_largest_rank_that_fits_is_found(tmp_path: Path) -> None:
    source = write(tmp_path / "a.safetensors", {name: factors(16, 16, (200,)) for name in NAMES})
    for most in (3000, 5000, 9000, 15000):
        made = resize.fit(source, tmp_path / "b.safetensors", most)
        assert made is not None
        assert made.file_bytes <= most
        if made.rank < 16:
            more = resize.resize(source, tmp_path / "c.safetensors", made.rank + 1)
            assert more.file_bytes > most - 128  # digits of sizes and hashes are not counted
    assert resize.fit(source, tmp_path / "d.safetensors", 100) is None
    assert not (tmp_path / "d.safetensors").exists()


def test_peft_names_and_bfloat16_are_read(tmp_path: Path) -> None:
    down, up = factors(8, 3)
    name, ends = "transformer.blocks.0.attn.to_q", resize.LAYOUTS[1]
    halves = {
        end: (one.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
        for end, one in zip(ends, (down, up), strict=True)
    }
    raw = save({name + end: one for end, one in halves.items()})
    length = int.from_bytes(raw[:8], "little")
    header = raw[8 : 8 + length].replace(b'"U16"', b'"BF16"')
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + raw[8 + length :])
    made = resize.resize(path, tmp_path / "b.safetensors", 4)
    assert 0 < made.error < 0.02  # bfloat16 is coarse: the true rank is not quite 3 any more
    found = delta(tmp_path / "b.safetensors", name, ends)
    assert np.linalg.norm(found - up @ down) < 0.02 * np.linalg.norm(up @ down)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "header"),
        (b"\xff" * 64, "header"),
        ((20).to_bytes(8, "little") + b"x" * 40, "JSON"),
        (save({"some.weight": np.zeros((2, 2), np.float32)}), "no LoRA"),
        (save({"a.lora_down.weight": np.ones((2, 2), np.float32)}), "second half"),
        (
            save(
                {
                    "a.lora_down.weight": np.full((2, 2), np.nan, np.float32),
                    "a.lora_up.weight": np.ones((2, 2), np.float32),
                }
            ),
            "not finite",
        ),
    ],
)
def test_what_is_no_lora_is_refused_and_leaves_nothing(
    tmp_path: Path, data: bytes, said: str
) -> None:
    source = tmp_path / "a.safetensors"
    source.write_bytes(data)
    with pytest.raises(ResizeError, match=said):
        resize.resize(source, tmp_path / "b.safetensors", 2)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]
