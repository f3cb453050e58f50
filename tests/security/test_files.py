"""Hostile files where the operator's models and the trainer's results are expected."""

import json
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline import artifact
from tests.families import dataset_of, spec_for
from tests.stand_in_trainer import lora
from trainer import base_files
from trainer.backends import sd_scripts_file, sd_scripts_options
from trainer.backends.sd_scripts_options import OptionError
from trainer.run import Failed, Failure, from_line

ROOT = Path(artifact.__file__).parents[1]


class Evil:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.mark),)


def packed(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def told(tensors: object, data: bytes = bytes(64)) -> bytes:
    return packed(json.dumps(tensors).encode(), data)


def one(**changes: object) -> dict[str, object]:
    return {"dtype": "F16", "shape": [4, 8], "data_offsets": [0, 64]} | changes


HEADERS = {
    "empty": b"",
    "seven bytes": b"\1" * 7,
    "a length of the whole memory": packed(b"{}", length=2**63),
    "a length beyond the file": packed(b"{}", length=1000),
    "a negative length": b"\xff" * 8 + b"{}",
    "not JSON": packed(b"{]"),
    "not UTF-8": packed(b'{"\xff": 1}'),
    "a list": packed(b"[]"),
    "a word": packed(b'"x"'),
    "a depth": packed(b"[" * 100_000),
    "a depth of tables": packed(b'{"a":' * 100_000),
    "a number without end": packed(b'{"a": ' + b"9" * 10_000 + b"}"),
    "no shape": told({"a": {"dtype": "F16", "data_offsets": [0, 64]}}),
    "an unknown kind": told({"a": one(dtype="PICKLE")}),
    "a negative shape": told({"a": one(shape=[-4, -8])}),
    "a shape that overflows": told({"a": one(shape=[2**40, 2**40])}),
    "a shape of words": told({"a": one(shape=["4", "8"])}),
    "offsets beyond the file": told({"a": one(data_offsets=[0, 6400])}),
    "offsets turned around": told({"a": one(data_offsets=[64, 0])}),
    "negative offsets": told({"a": one(data_offsets=[-64, 0])}),
    "one over another": told({"a": one(), "b": one()}),
    "a hole": told({"a": one(shape=[4], data_offsets=[56, 64])}),
    "more data than it tells": told({"a": one()}, bytes(640)),
    "the same name twice": packed(
        b'{"a":{"dtype":"F16","shape":[4,8],"data_offsets":[0,64]},'
        b'"a":{"dtype":"F16","shape":[32],"data_offsets":[0,64]}}',
        bytes(64),
    ),
    "metadata that are no words": told({"__metadata__": {"a": [1]}, "x": one()}),
    "metadata that are no table": told({"__metadata__": [], "x": one()}),
    "a pickle": pickle.dumps({"state_dict": 1}),
    "a zip": b"PK\x03\x04" + bytes(100),
}


@pytest.mark.parametrize("what", HEADERS)
def test_a_file_with_a_hostile_header_is_no_result(tmp_path: Path, what: str) -> None:
    path = tmp_path / "mochi.safetensors"
    path.write_bytes(HEADERS[what])
    with pytest.raises(artifact.BadArtifactError):
        artifact.check(path, "mochix")
    with pytest.raises(sd_scripts_file.LoraFileError):
        sd_scripts_file.deliver(path, tmp_path / "out.safetensors", {})
    assert not (tmp_path / "out.safetensors").exists()


def test_a_true_result_with_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "mochi.safetensors"
    good = lora("mochix")
    path.write_bytes(good)
    artifact.check(path, "mochix")
    dice = np.random.default_rng(7)
    for at in dice.integers(0, len(good), 60):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :])
        try:
            artifact.check(path, "mochix")
        except artifact.BadArtifactError:
            continue
        # All that may change unseen is what nobody reads: a name's spelling in the metadata.
        assert at < 8 + int.from_bytes(good[:8], "little")


# --- base models ---------------------------------------------------------------------------------


def trials(bases: list[Path], tmp_path: Path) -> list[Failed]:
    """Our real trainer on each of these bases; how each run failed."""
    pictures = dataset_of(tmp_path / "pictures", ((64, 64),))
    runs = []
    for number, base in enumerate(bases):
        spec = spec_for("sd15", base, pictures, tmp_path / f"run-{number}", max_steps=1)
        runs.append(tmp_path / f"run-{number}.json")
        runs[-1].write_text(spec.to_json())
    failed: list[Failed] = []
    with subprocess.Popen(
        [sys.executable, "-m", "trainer", "--serve", "60"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("".join(f"{run}\n" for run in runs))
        process.stdin.flush()
        for line in process.stdout:
            said = from_line(line)
            failed += [said] if isinstance(said, Failed) else []
            if len(failed) == len(bases):
                break
        process.kill()
    return failed


def evil_folder(base: Path, mark: Path) -> None:
    """Each part in every format that can run code, and lists that lead to it."""
    payload = pickle.dumps(Evil(mark))
    (base / "model_index.json").parent.mkdir(parents=True)
    (base / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    demo = ROOT / "trainer" / "demo"
    for part, stem in (("unet", "diffusion_pytorch_model"), ("text_encoder", "pytorch_model")):
        folder = base / part
        folder.mkdir()
        (folder / "config.json").write_text((demo / part / "config.json").read_text())
        for suffix in base_files.CODE:
            (folder / f"{stem}{suffix}").write_bytes(payload)
            (folder / f"model{suffix}").write_bytes(payload)


def test_no_format_that_can_run_code_is_read(tmp_path: Path) -> None:
    """The trainer itself, before a folder full of pickles, one of them alone, and one that is
    called .safetensors: it fails each time, and nothing of them ran.
    """
    mark, folder = tmp_path / "owned", tmp_path / "base"
    pickle.loads(pickle.dumps(Evil(tmp_path / "trial")))
    assert (tmp_path / "trial").exists(), "the payload itself works"
    evil_folder(folder, mark)
    old, renamed = tmp_path / "model.ckpt", tmp_path / "model.safetensors"
    for path in (old, renamed):
        path.write_bytes(pickle.dumps(Evil(mark)))
    failed = trials([folder, old, renamed], tmp_path)
    assert {one.code for one in failed} == {Failure.BASE}
    assert not mark.exists()


def test_a_list_of_parts_leads_to_no_pickle_and_out_of_no_folder(tmp_path: Path) -> None:
    base = tmp_path / "base"
    evil_folder(base, tmp_path / "owned")
    listed = base / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    for name in (
        *("model.bin", "model.safetensors.pt", "../x.safetensors", "/etc/x.safetensors"),
        *("", "..", "http://example/x.bin"),
    ):
        listed.write_text(json.dumps({"weight_map": {"a": "a.safetensors", "b": name}}))
        assert "only .safetensors" in base_files.why_not(base), name
    for text in ("[" * 100_000, "{", '{"weight_map": 1}', "[]"):
        listed.write_text(text)
        assert "cannot be read" in base_files.why_not(base)
    listed.write_text(json.dumps({"weight_map": {"a": "a.safetensors"}}))
    assert base_files.why_not(base) == ""


@pytest.mark.parametrize(
    ("option", "value"),
    [("vae", "x.pt"), ("network_weights", "a/b.CKPT"), ("vae", "x.bin "), ("vae", "ok.pth")],
)
def test_sd_scripts_is_given_no_file_that_can_run_code(option: str, value: str) -> None:
    with pytest.raises(OptionError, match="can run code"):
        sd_scripts_options._check_own("sd15", option, value)


def test_nothing_of_ours_unpickles() -> None:
    """No call in the program's own code leads to a pickle, or to code from a model's folder."""
    banned = (
        *("pickle.load", "torch.load(", "trust_remote_code=True", "weights_only=False"),
        *("joblib", "dill", "marshal.load", "shelve.open", "yaml.load(", "allow_pickle=True"),
        *("shell=True", "os.system(", " eval(", " exec("),
    )
    found = []
    for package in ("bot", "lorabot", "pictures", "pipeline", "storage", "trainer"):
        for path in (ROOT / package).rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            found += [(path.name, word) for word in banned if word in text]
    assert not found
