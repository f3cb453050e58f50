"""Networks that an operator adds: what is taken, what is refused, what is known of them."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from pipeline import packs
from pipeline.packs import PackError

NETWORK = b"a network"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "det.onnx").write_bytes(NETWORK)
    (folder / "rec.onnx").write_bytes(b"another")
    (folder / "readme.txt").write_text("not needed")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "models" / "faces"


def test_a_folder_is_taken_with_its_licence(source: Path, home: Path) -> None:
    packs.add(source, home, name="mine", licence="MIT")
    pack = packs.checked(home)
    assert pack is not None
    assert (pack.name, pack.licence) == ("mine", "MIT")
    assert pack.files["det.onnx"] == hashlib.sha256(NETWORK).hexdigest()
    assert not (home / "readme.txt").exists()


def test_a_zip_is_taken_and_nothing_lands_elsewhere(tmp_path: Path, home: Path) -> None:
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as archive:
        archive.writestr("../../../evil.onnx", NETWORK)
        archive.writestr("buffalo/det.onnx", NETWORK)
        archive.writestr("buffalo/run.py", "import os")
    packs.add(tmp_path / "pack.zip", home, licence="MIT")
    assert sorted(path.name for path in home.iterdir()) == ["det.onnx", "evil.onnx", "pack.json"]
    assert not list(tmp_path.glob("*.onnx"))


def test_a_licence_must_be_said(source: Path, home: Path) -> None:
    with pytest.raises(PackError, match="licence"):
        packs.add(source, home)
    assert packs.read(home) is None


def test_known_files_bring_their_licence(
    source: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {hashlib.sha256(NETWORK).hexdigest(): ("buffalo_l", "non-commercial")}
    monkeypatch.setattr(packs, "KNOWN", known)
    pack = packs.add(source, home)
    assert (pack.name, pack.licence) == ("buffalo_l", "non-commercial")


def test_a_changed_file_is_refused(source: Path, home: Path) -> None:
    packs.add(source, home, licence="MIT")
    (home / "det.onnx").write_bytes(b"something else")
    with pytest.raises(PackError, match="sha256"):
        packs.checked(home)


def test_a_file_that_was_put_beside_is_refused(source: Path, home: Path) -> None:
    packs.add(source, home, licence="MIT")
    (home / "0.onnx").write_bytes(b"loaded first")
    with pytest.raises(PackError, match="does not belong"):
        packs.checked(home)


def test_a_lost_file_is_told(source: Path, home: Path) -> None:
    packs.add(source, home, licence="MIT")
    (home / "rec.onnx").unlink()
    with pytest.raises(PackError, match="missing"):
        packs.checked(home)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"name": 1}'])
def test_a_spoilt_list_is_told(source: Path, home: Path, text: str) -> None:
    packs.add(source, home, licence="MIT")
    (home / "pack.json").write_text(text)
    with pytest.raises(PackError, match="not usable"):
        packs.read(home)


def test_a_list_that_names_files_elsewhere_is_refused(source: Path, home: Path) -> None:
    packs.add(source, home, licence="MIT")
    digest = hashlib.sha256(NETWORK).hexdigest()
    told = {"name": "x", "licence": "x", "files": {"../../source/det.onnx": digest}}
    (home / "pack.json").write_text(json.dumps(told))
    with pytest.raises(PackError):
        packs.checked(home)


def test_a_new_pack_takes_the_old_ones_place(source: Path, home: Path) -> None:
    packs.add(source, home, licence="MIT")
    (source / "rec.onnx").unlink()
    packs.add(source, home, licence="MIT")
    assert not (home / "rec.onnx").exists()
    assert packs.checked(home) is not None


@pytest.mark.parametrize("name", ["nowhere", "source/readme.txt"])
def test_what_is_no_pack_is_refused_and_the_old_one_stays(
    tmp_path: Path, source: Path, home: Path, name: str
) -> None:
    packs.add(source, home, licence="MIT")
    with pytest.raises(PackError):
        packs.add(tmp_path / name, home, licence="MIT")
    assert packs.checked(home) is not None
