"""The base model that stays loaded between two runs of one process."""

import gc
import os
from pathlib import Path

import torch

from trainer import loop
from trainer.families.family import Model
from trainer.run import RunSpec

SHARE = 0.35  # of a device's memory: a base that takes more is loaded part by part, for each run


class Shelf:
    """Holds one base at most: another one, or other numbers of the same, takes its place."""

    def __init__(self) -> None:
        self._key: tuple[object, ...] = ()
        self._model: Model | None = None

    def __call__(self, spec: RunSpec) -> Model | None:
        """The base that ``spec`` wants, loaded or to be loaded and kept; None: it is too large."""
        params = spec.params
        settings = (params.family, params.precision, params.prediction, spec.device)
        key = (spec.base, _state(spec.base), *settings)
        if key != self._key:
            self.clear()
            model = loop.new_model(spec)
            if _bytes(spec.base) <= SHARE * _memory(model.device):
                self._key, self._model = key, model
        return self._model

    def clear(self) -> None:
        self._key, self._model = (), None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _files(base: Path) -> list[Path]:
    return [base] if base.is_file() else sorted(base.rglob("*.safetensors"))


def _bytes(base: Path) -> int:
    return sum(path.stat().st_size for path in _files(base))


def _state(base: Path) -> tuple[tuple[str, int, int], ...]:
    """Another one as soon as a file of it was changed."""
    stats = [(path, path.stat()) for path in _files(base)]
    return tuple((str(path), one.st_size, one.st_mtime_ns) for path, one in stats)


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
