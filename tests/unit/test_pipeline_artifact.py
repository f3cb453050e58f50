"""Which files pass the check, and odd folders: bfloat16, no links, half a copy."""

import errno
import fcntl
import hashlib
import json
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import artifact
from tests.stand_in_trainer import lora

NAME = "lora_unet_mid_block_attentions_0_proj_in"
Numbers = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def halves(numbers: Numbers) -> bytes:
    """As bfloat16: the upper half of a float32."""
    upper: bytes = (numbers.astype(np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
    return upper


def brain_lora(up: Numbers) -> bytes:
    """A file whose tensors are bfloat16, which numpy cannot write."""
    down = np.random.default_rng(0).normal(size=(4, 8))
    header: dict[str, Any] = {}
    data = b""
    for part, numbers in zip(artifact.KOHYA, (down, up, np.array(4.0)), strict=True):
        raw = halves(numbers)
        place = [len(data), len(data) + len(raw)]
        header[NAME + part] = {"dtype": "BF16", "shape": numbers.shape, "data_offsets": place}
        data += raw
    digest = hashlib.sha256(data).hexdigest()
    header["__metadata__"] = {"modelspec.trigger_phrase": "mochix", "sshs_model_hash": digest}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def test_a_file_in_bfloat16_is_read_right(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(brain_lora(np.ones((8, 4))))
    assert artifact.check(tmp_path / "x", "mochix").modules == 1


@pytest.mark.parametrize(("value", "said"), [(0.0, "changes nothing"), (np.nan, "not finite")])
def test_a_bad_file_in_bfloat16_is_refused(tmp_path: Path, value: float, said: str) -> None:
    (tmp_path / "x").write_bytes(brain_lora(np.full((8, 4), value)))
    with pytest.raises(artifact.BadArtifactError, match=said):
        artifact.check(tmp_path / "x", "mochix")


@pytest.mark.parametrize("header", [b"[]", b'{"__metadata__":[1]}', b'{"__metadata__":7}'])
def test_a_header_that_is_no_table_is_refused(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "x").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(artifact.BadArtifactError):
        artifact.check(tmp_path / "x", "mochix")


@pytest.fixture
def loras(tmp_path: Path) -> Path:
    (tmp_path / "x").write_bytes(lora("mochix"))
    folder = tmp_path / "loras"
    folder.mkdir()
    return folder


def refuse(*_: object, **__: object) -> None:
    raise PermissionError(errno.EPERM, "not here")


def test_a_folder_without_hard_links_gets_whole_files_too(
    tmp_path: Path, loras: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", refuse)
    (loras / "m.safetensors").write_bytes(b"theirs")
    assert artifact.copy_beside(tmp_path / "x", loras, "m") == "m_2.safetensors"
    assert (loras / "m.safetensors").read_bytes() == b"theirs"
    assert (loras / "m_2.safetensors").read_bytes() == (tmp_path / "x").read_bytes()
    assert len(list(loras.iterdir())) == 2


def test_a_folder_without_modes_gets_the_file_too(
    tmp_path: Path, loras: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fchmod", refuse)
    assert artifact.copy_beside(tmp_path / "x", loras, "m") == "m.safetensors"


def test_other_programs_can_read_the_copy(
    tmp_path: Path, loras: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mask = os.umask(0o077)
    try:
        for link in (os.link, refuse):
            monkeypatch.setattr(os, "link", link)
            name = artifact.copy_beside(tmp_path / "x", loras, link.__name__)
            assert (loras / name).stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(mask)


def test_half_a_copy_goes_unless_somebody_still_writes_it(loras: Path) -> None:
    left, written, theirs = (loras / name for name in (".lorabot-a.tmp", ".lorabot-b.tmp", "c.tmp"))
    for path in (left, written, theirs):
        path.write_bytes(b"half")
    with written.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        artifact.sweep(loras)
    assert sorted(loras.iterdir()) == [written, theirs]


def test_a_folder_that_is_gone_needs_no_sweeping(tmp_path: Path) -> None:
    artifact.sweep(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "broken",
    [
        {"zero": True},
        {"nan": True},
        {"missing": True},
        {"hash": True},
        {"name": "transformer.blocks.0"},
    ],
    ids=str,
)
def test_a_file_that_is_not_a_lora_is_refused(tmp_path: Path, broken: dict[str, object]) -> None:
    (tmp_path / "x").write_bytes(lora("mochix", broken=broken))
    with pytest.raises(artifact.BadArtifactError):
        artifact.check(tmp_path / "x", "mochix")


@pytest.mark.parametrize(
    "data", [b"", b"\xff" * 99, b"\x02" + b"\0" * 7 + b"[]", b"\x08" + b"\0" * 7 + b"nonsense"]
)
def test_a_lying_header_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(artifact.BadArtifactError):
        artifact.check(tmp_path / "x", "mochix")


def test_a_good_file_passes_and_another_trigger_does_not(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(lora("mochix"))
    assert artifact.check(tmp_path / "x", "mochix").modules == 1
    with pytest.raises(artifact.BadArtifactError):
        artifact.check(tmp_path / "x", "other")


def test_a_copy_takes_the_next_free_name_and_finds_itself_again(tmp_path: Path) -> None:
    folder = tmp_path / "loras"
    folder.mkdir()
    (folder / "m.safetensors").write_bytes(b"theirs")
    (tmp_path / "x").write_bytes(lora("a"))
    assert artifact.copy_beside(tmp_path / "x", folder, "m") == "m_2.safetensors"
    assert artifact.copy_beside(tmp_path / "x", folder, "m") == "m_2.safetensors"
    assert sorted(path.name for path in folder.iterdir()) == ["m.safetensors", "m_2.safetensors"]
