"""What a run is made of, as folders and files that its trainer may read (`pipeline.reach`)."""

import compileall
import logging
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import trainer
from pipeline.reach import Reach, pythons_of, rules
from storage import landlock
from storage.bases import Base
from storage.settings import Settings
from trainer.run import Extra

log = logging.getLogger(__name__)

HOME = "trainer"  # in the data folder: what trainers keep from run to run
STALE_S = 86_400.0  # what a trainer that was killed has left
# A base of one file: what may lie beside it, and nothing else of that folder.
BESIDE = (
    *("transformer", "unet", "vae", "scheduler", "model_index.json"),
    *("text_encoder", "text_encoder_2", "text_encoder_3"),
    *("tokenizer", "tokenizer_2", "tokenizer_3", "training_adapter.safetensors"),
)
BLOBS = "blobs"  # of one model in that cache, and of no other
VENVS = ("venv", ".venv")  # of a checkout


def of_bases(settings: Settings, bases: Iterable[Base]) -> Reach | None:
    """For runs of these base models. None: no limits, as the operator or the kernel has it."""
    if settings.trainer_files or not landlock.version():
        return None
    read = dict.fromkeys(path for base in bases for path in _base(base))
    own = [path.expanduser().absolute() for path in settings.trainer_reads]
    return Reach(kept=settings.data_dir / HOME, read=(*read, *own))


def of_worker(settings: Settings, bases: Iterable[Base]) -> Reach | None:
    """For a trainer that stays: what any of its runs needs. Where the kernel cannot do it, the log
    has one line.
    """
    if not settings.trainer_files and not landlock.version():
        log.warning("this kernel cannot keep the trainer to its own files (Landlock); see doctor")
    reach = of_bases(settings, bases)
    return None if reach is None else reach.writing(settings.data_dir / "work")


def exposed(settings: Settings, bases: Iterable[Base]) -> Path | None:
    """A folder that trainers may read and that holds all of our data; None, as it should be."""
    reach = of_bases(settings, bases)
    if reach is None:
        return None
    granted = (path.resolve() for path, _ in rules(reach, os.environ))
    data = settings.data_dir.resolve()
    return next((path for path in granted if data.is_relative_to(path)), None)


def with_extra(reach: Reach, extra: Mapping[str, Extra]) -> Reach:
    """And sd-scripts: its checkout, the Python of it, and the files that its options name."""
    named = {
        name: Path(one).expanduser()
        for name, one in extra.items()
        if isinstance(one, str) and Path(one).expanduser().is_absolute()
    }
    folder, python = named.get("sd_scripts_dir"), named.get("sd_scripts_python")
    pythons = [folder / home / "bin" / "python" for home in VENVS] if folder else []
    pythons += [python] if python else []
    return reach.running(*(part for one in pythons for part in pythons_of(one))).reading(
        *(target for path in named.values() for target in _with_targets(path))
    )


def make_ready(reach: Reach) -> None:
    """Its folders; our package in one of them, compiled: it could not keep that itself."""
    for folder in (reach.modules, reach.cache, reach.tmp):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _sweep(reach.tmp)
    package = Path(trainer.__file__).resolve().parent
    link = reach.modules / package.name
    if not link.exists():
        with tempfile.TemporaryDirectory(dir=reach.kept) as beside:
            making = Path(beside, package.name)
            making.symlink_to(package)
            making.replace(link)
    compileall.compile_dir(package, quiet=2)


def _sweep(folder: Path) -> None:
    before = time.time() - STALE_S
    for path in folder.rglob("*"):
        with suppress(OSError):
            if path.is_file() and path.stat().st_mtime < before:
                path.unlink()


def _base(base: Base) -> Iterator[Path]:
    path = base.path.absolute()
    yield from _with_targets(path)
    if path.is_file():
        beside = path.with_suffix("")
        parts = [beside] if beside.is_dir() else [path.parent / name for name in BESIDE]
        for part in parts:
            yield from _with_targets(part)


def _with_targets(path: Path) -> Iterator[Path]:
    """And what links in it lead to, as they do in the cache of Hugging Face's hub."""
    yield path
    if path.is_dir():
        for folder, _, names in os.walk(path):
            for name in names:
                one = Path(folder, name)
                if one.is_symlink():
                    target = one.resolve()
                    yield target.parent if target.parent.name == BLOBS else target
