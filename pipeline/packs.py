"""Networks that the operator fetched: a folder with its files' sha256 and its licence.

Nothing is ever downloaded while a job runs, and a file that changed is not loaded.
"""

import hashlib
import json
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from storage.blob_store import file_digest

PACK = "pack.json"
FACES, TAGGER = "faces", "tagger"
SUFFIXES = frozenset({".onnx", ".csv", ".json"})
MOST_BYTES = 2_000_000_000

BUFFALO_L = "buffalo_l"
BUFFALO_L_URL = "https://github.com/deepinsight/insightface/releases/download/v0.7/buffalo_l.zip"
BUFFALO_L_SHA256 = "80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f"
BUFFALO_L_LICENCE = "InsightFace model packs: non-commercial research purposes only"
# Known files say by themselves what they are and what is allowed, wherever they come from.
KNOWN: Mapping[str, tuple[str, str]] = {
    "5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91": (
        BUFFALO_L,
        BUFFALO_L_LICENCE,
    ),
    "4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43": (
        BUFFALO_L,
        BUFFALO_L_LICENCE,
    ),
}


class PackError(Exception):
    """The pack cannot be used; the message is for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """``files`` are sha256 by name."""

    folder: Path
    name: str
    licence: str
    files: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Names the content: another one sees other things."""
        return hashlib.sha256(repr(sorted(self.files.items())).encode()).hexdigest()[:16]


def home(data_dir: Path, kind: str) -> Path:
    return data_dir / "models" / kind


def read(folder: Path) -> Pack | None:
    """What the pack says of itself, unchecked; None where there is none."""
    try:
        raw = json.loads((folder / PACK).read_text(encoding="utf-8"))
        return Pack(
            folder=folder, name=raw["name"], licence=raw["licence"], files=dict(raw["files"])
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PackError(f"{folder / PACK} is not usable ({error})") from error


def checked(folder: Path) -> Pack | None:
    """The pack, every file with the sha256 that it was added with."""
    pack = read(folder)
    if pack is None:
        return None
    for name, wanted in pack.files.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise PackError(f"{path} is missing")
        if file_digest(path).hex() != wanted:
            raise PackError(f"{path} is not the file that was added: its sha256 is another")
    others = {path.name for path in folder.glob("*.onnx")} - pack.files.keys()
    if others:
        raise PackError(f"{folder / min(others)} does not belong to the pack")
    return pack


def add(source: Path, target: Path, *, name: str = "", licence: str = "") -> Pack:
    """Take a folder or a ZIP of networks into ``target``, in place of what was there."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    making = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        _gather(source, making)
        files = {path.name: file_digest(path).hex() for path in sorted(making.iterdir())}
        if not any(name_.endswith(".onnx") for name_ in files):
            raise PackError(f"there is no .onnx file in {source}")
        known = next((KNOWN[one] for one in files.values() if one in KNOWN), ("", ""))
        pack = Pack(
            folder=target,
            name=name or known[0] or source.stem,
            licence=licence or known[1],
            files=files,
        )
        if not pack.licence:
            raise PackError("say under which licence these networks are, with --licence")
        told = {key: value for key, value in asdict(pack).items() if key != "folder"}
        (making / PACK).write_text(json.dumps(told, indent=1), encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        making.rename(target)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return pack


def _gather(source: Path, target: Path) -> None:
    """Only networks and their lists; names without their folders, so nothing lands elsewhere."""
    if source.is_dir():
        for path in sorted(source.iterdir()):
            if path.is_file() and path.suffix in SUFFIXES and path.name != PACK:
                shutil.copyfile(path, target / path.name)
        return
    try:
        with zipfile.ZipFile(source) as archive:
            left = MOST_BYTES
            for entry in archive.infolist():
                name = Path(entry.filename).name
                if entry.is_dir() or Path(name).suffix not in SUFFIXES or name == PACK:
                    continue
                left -= entry.file_size
                if left < 0:
                    raise PackError(f"{source} is too large when unpacked")
                with archive.open(entry) as packed, (target / name).open("wb") as file:
                    shutil.copyfileobj(packed, file, 1 << 20)
    except (OSError, zipfile.BadZipFile, RuntimeError) as error:
        raise PackError(f"{source} is no folder and no ZIP of networks ({error})") from error
