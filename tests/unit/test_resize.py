"""A smaller twin: as near as its rank allows, of the right size, and still a LoRA."""

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
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


def delta(path: Path, name: str, ends: tuple[str, str] = resize.KOHYA) -> Array:
    tensors = load_file(path)
    down, up = (tensors[name + end].astype(np.float64) for end in ends)
    alpha = tensors.get(f"{name}.alpha", np.array(len(down))).item()
    product: Array = up.reshape(len(up), -1) @ down.reshape(len(down), -1)
    scaled: Array = product * (alpha / len(down))
    return scaled


@pytest.mark.parametrize("inner", [(24,), (24, 1, 1), (8, 3, 3)])
@pytest.mark.parametrize(("kind", "error"), [(np.float32, 1e-6), (np.float16, 2e-3)])
def test_where_the_rank_allows_nothing_is_lost(
    tmp_path: Path, inner: tuple[int, ...], kind: Any, error: float
) -> None:
    source = write(tmp_path / "a.safetensors", {NAMES[0]: factors(8, 3, inner)}, kind=kind)
    made = resize.resize(source, tmp_path / "b.safetensors", 3)
    assert made.error < error  # in half precision the true rank is not quite 3 any more
    halves = load_file(tmp_path / "b.safetensors")
    assert halves[f"{NAMES[0]}.lora_down.weight"].shape == (3, *inner)
    assert halves[f"{NAMES[0]}.lora_up.weight"].shape == (20, 3, *(1 for _ in inner[1:]))
    assert {str(one.dtype) for one in halves.values()} == {"float16"}
    before, after = delta(source, NAMES[0]), delta(tmp_path / "b.safetensors", NAMES[0])
    assert np.abs(before - after).max() < 2e-3 * np.abs(before).max()


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


def facts(path: Path) -> dict[str, str]:
    with safe_open(path, framework="np") as file:
        said: dict[str, str] = file.metadata()
    return said


@pytest.mark.parametrize("modules", [1, 120])
@pytest.mark.parametrize("spare", [-1, 0, 1])
def test_the_largest_rank_that_fits_is_found(tmp_path: Path, modules: int, spare: int) -> None:
    pairs = {f"lora_unet_{place}": factors(12, 12, (50,)) for place in range(modules)}
    source = write(tmp_path / "a.safetensors", pairs)
    for rank in (1, 7, 10):  # from 9 to 10 the numbers in the header get longer
        whole = resize.resize(source, tmp_path / "c.safetensors", rank).file_bytes
        made = resize.fit(source, tmp_path / "b.safetensors", whole + spare)
        if rank == 1 and spare < 0:
            assert made is None
            assert not (tmp_path / "b.safetensors").exists()
            continue
        assert made is not None
        assert made.rank == (rank if spare >= 0 else rank - 1)
        assert made.file_bytes == (tmp_path / "b.safetensors").stat().st_size <= whole + spare


def test_a_file_that_is_small_enough_keeps_its_rank(tmp_path: Path) -> None:
    source = write(tmp_path / "a.safetensors", {NAMES[0]: factors(8, 8)}, alpha=2.0)
    made = resize.fit(source, tmp_path / "b.safetensors", 50_000_000)
    assert made is not None
    assert (made.rank, made.error) == (8, 0.0)
    assert facts(tmp_path / "b.safetensors")["ss_network_alpha"] == "2"


@pytest.mark.parametrize("kind", [np.float16, np.float32])
@pytest.mark.parametrize("rank", [4, 64])
def test_a_module_that_is_low_already_stays_as_it_is(tmp_path: Path, kind: Any, rank: int) -> None:
    source = write(tmp_path / "a.safetensors", {NAMES[0]: factors(4, 4)}, alpha=1.0, kind=kind)
    made = resize.resize(source, tmp_path / "b.safetensors", rank)
    before, after = load_file(source), load_file(tmp_path / "b.safetensors")
    assert all(np.array_equal(before[name].astype(np.float16), after[name]) for name in before)
    assert (made.rank, made.error) == (4, 0.0)
    assert facts(tmp_path / "b.safetensors")["ss_network_dim"] == "4"


@pytest.mark.parametrize("alpha", [0.3, 16.0, -2.0])
@pytest.mark.parametrize("rank", [3, 8])
def test_the_scale_is_right_whatever_alpha_is(tmp_path: Path, alpha: float, rank: int) -> None:
    source = write(tmp_path / "a.safetensors", {NAMES[0]: factors(8, 3)}, alpha=alpha)
    resize.resize(source, tmp_path / "b.safetensors", rank)
    before, after = delta(source, NAMES[0]), delta(tmp_path / "b.safetensors", NAMES[0])
    assert np.linalg.norm(before - after) < 1e-3 * np.linalg.norm(before)


def test_a_narrow_module_has_no_rank_above_its_sides(tmp_path: Path) -> None:
    source = write(tmp_path / "a.safetensors", {NAMES[0]: factors(16, 16, (3,))})
    made = resize.resize(source, tmp_path / "b.safetensors", 8)
    assert (made.rank, made.error < 1e-9) == (3, True)
    artifact.check(tmp_path / "b.safetensors", "mochix")


def test_peft_with_alpha_gets_the_scale_into_up(tmp_path: Path) -> None:
    name, (down, up) = "transformer.blocks.0.attn.to_q", factors(8, 3)
    tensors = {name + end: one for end, one in zip(resize.PEFT, (down, up), strict=True)}
    alpha = {f"{name}.alpha": np.array(2, np.int64)}
    halves = {key: one.astype(np.float32) for key, one in tensors.items()}
    source = tmp_path / "a.safetensors"
    source.write_bytes(save(halves | alpha, {"modelspec.trigger_phrase": "mochix"}))
    for rank in (4, 8):
        resize.resize(source, tmp_path / "b.safetensors", rank)
        artifact.check(tmp_path / "b.safetensors", "mochix")
        found = delta(tmp_path / "b.safetensors", name, resize.PEFT)
        assert np.linalg.norm(found - up @ down / 4) < 1e-3 * np.linalg.norm(up @ down / 4)


def test_hashes_of_the_file_that_was_are_not_copied(tmp_path: Path) -> None:
    name, (down, up) = NAMES[0], factors(4, 4)
    tensors = {name + end: one for end, one in zip(resize.KOHYA, (down, up), strict=True)}
    source, told = tmp_path / "a.safetensors", {"sshs_legacy_hash": "0", "ss_seed": "7 \u00e9"}
    source.write_bytes(save({key: one.astype(np.float32) for key, one in tensors.items()}, told))
    resize.resize(source, tmp_path / "b.safetensors", 2)
    said = facts(tmp_path / "b.safetensors")
    assert "sshs_legacy_hash" not in said
    assert said["ss_seed"] == told["ss_seed"]


def test_peft_names_and_bfloat16_are_read(tmp_path: Path) -> None:
    down, up = factors(8, 3)
    name, ends = "transformer.blocks.0.attn.to_q", resize.PEFT
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


def raw(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def said(**changed: object) -> dict[str, object]:
    return {"dtype": "F16", "shape": [1, 1], "data_offsets": [0, 2]} | changed


HALF = {"a.lora_up.weight": said(data_offsets=[2, 4])}


@pytest.mark.parametrize(
    "data",
    [
        raw(b"[" * 200_000),
        raw([]),
        raw({"__metadata__": {"a": 1}}),
        raw({"__metadata__": {"a": "\ud800"}}),
        raw({"__metadata__": [1]}),
        raw({}),
        raw({"a.lora_down.weight": 7}),
        *(
            raw({"a.lora_down.weight": said(**changed)} | HALF, bytes(4))
            for changed in (
                {"dtype": "F8_E4M3"},
                {"dtype": ["F16"]},
                {"dtype": "I64", "shape": [], "data_offsets": [0, 8]},
                {"shape": [-1, -1]},
                {"shape": [True, 1]},
                {"shape": [10**4000] * 8},
                {"shape": [1] * 64},
                {"shape": "11"},
                {"shape": [1], "data_offsets": [0, 2]},
                {"data_offsets": [2, 4]},
                {"data_offsets": [-2, 0]},
                {"data_offsets": [0, 2, 4]},
                {"shape": [2, 1], "data_offsets": [0, 4]},
                {"shape": [0, 1], "data_offsets": [0, 0]},
            )
        ),
        raw({"a.lora_down.weight": said()} | HALF, bytes(5)),
        raw({"a.lora_down.weight": said()} | HALF, bytes(3)),
        save({f"a{end}": np.ones((3, 3), np.float64) for end in resize.KOHYA}),
        save({f"a{end}": np.ones((3000, 3000), np.float16) for end in resize.KOHYA}),
        save({f"a{end}": np.ones((2, 2, 3, 3), np.float16) for end in resize.KOHYA}),
        *(
            save(
                {f"a{end}": np.ones((2, 2), np.float16) for end in resize.KOHYA}
                | {"a.alpha": np.array(alpha, np.float32)}
            )
            for alpha in (np.nan, np.inf, [1, 2])
        ),
        save({f"a{end}": np.full((2, 2), 1e30, np.float32) for end in resize.KOHYA}),
        save({f"a{end}": np.full((2, 2), 1e-30, np.float32) for end in resize.KOHYA}),
    ],
)
@pytest.mark.parametrize("rank", [1, 2])
def test_a_hostile_file_is_refused_and_leaves_nothing(
    tmp_path: Path, data: bytes, rank: int
) -> None:
    source = tmp_path / "a.safetensors"
    source.write_bytes(data)
    with pytest.raises(ResizeError):
        resize.resize(source, tmp_path / "b.safetensors", rank)
    with pytest.raises(ResizeError):
        resize.fit(source, tmp_path / "b.safetensors", 10**9)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.parametrize("broken", ["os.fsync", "pathlib.Path.rename"])
def test_a_failed_write_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    source = write(tmp_path / "a.safetensors", {NAMES[0]: factors(8, 8)})
    (tmp_path / "b.safetensors").write_bytes(b"before")

    def refuse(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(broken, refuse)
    with pytest.raises(OSError, match="no space"):
        resize.resize(source, tmp_path / "b.safetensors", 2)
    assert (tmp_path / "b.safetensors").read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_rank_below_1_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "a.safetensors", {NAMES[0]: factors(8, 8)})
    with pytest.raises(ResizeError, match="below 1"):
        resize.resize(source, tmp_path / "b.safetensors", 0)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (["--rank", "2"], "rank 2, 0.0 MB, "),
        (["--max-mb", "50"], "rank 8, 0.0 MB, 0.00% of the change is lost (most in lora_unet_"),
        (["--max-mb", "0.0001"], "not even rank 1"),
        (["--max-mb", "nan"], "NaN"),
        (["--max-mb", "inf"], "infinity"),
        (["--rank", "0"], "below 1"),
    ],
)
def test_the_command_says_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    asked: list[str],
    answer: str,
) -> None:
    source = write(tmp_path / "a.safetensors", {NAMES[0]: factors(8, 8)})
    monkeypatch.setattr(sys, "argv", ["resize", str(source), str(tmp_path / "b"), *asked])
    try:
        resize.main()
    except SystemExit as ended:
        assert answer in str(ended.code)  # noqa: PT017  the other way prints
        assert not (tmp_path / "b").exists()
    else:
        printed = capsys.readouterr().out
        assert answer in printed
        assert printed.count("\n") == 1
