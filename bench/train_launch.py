"""Runs a training script as it is and writes down when it does what: ``train_launch.py RECORD
(-m MODULE | SCRIPT) ARGUMENTS...``. It stands alone: peers run it in their own environments.

The record has a line per event: ``step T`` after each step of the optimizer, ``vae T`` with the
seconds of one encoding, ``rss KB`` at the end; times are the system's monotonic clock. With
``TINY_UNET`` in the environment (widths), sd-scripts gets a U-Net of
that shape instead of the one that is written into it.
"""

import atexit
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import runpy
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

Change = Callable[[Any], None]
RECORD = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def note(what: str, value: float) -> None:
    os.write(RECORD, f"{what} {value}\n".encode())


def peak() -> None:
    lines = Path("/proc/self/status").read_text().splitlines()
    note("rss", next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")))


def time_steps(module: Any) -> None:
    module.register_optimizer_step_post_hook(lambda *_: note("step", time.monotonic()))


def time_flat_steps(module: Any) -> None:
    """Ours is none of torch's own, and has no hook."""
    step = module.FlatAdamW.step

    def timed(*args: Any) -> None:
        step(*args)
        note("step", time.monotonic())

    module.FlatAdamW.step = timed


def time_vae(module: Any) -> None:
    encode = module.AutoencoderKL.encode

    def timed(*args: Any, **named: Any) -> Any:
        began = time.monotonic()
        try:
            return encode(*args, **named)
        finally:
            note("vae", time.monotonic() - began)

    module.AutoencoderKL.encode = timed


def shrink(module: Any) -> None:
    """The shape that sd-scripts has written into its U-Net."""
    if "TINY_UNET" in os.environ:
        widths = json.loads(os.environ["TINY_UNET"])
        module.BLOCK_OUT_CHANNELS = tuple(widths)
        module.TIMESTEP_INPUT_DIM, module.TIME_EMBED_DIM = widths[0], 4 * widths[0]


CHANGES: dict[str, Change] = {
    "torch.optim.optimizer": time_steps,
    "trainer.flat": time_flat_steps,
    "diffusers.models.autoencoders.autoencoder_kl": time_vae,
    "library.original_unet": shrink,
}


class Loader(importlib.abc.Loader):
    """Changes a module as soon as it is loaded, and imports nothing earlier than the script."""

    def __init__(self, loader: Any, change: Change) -> None:
        self.loader, self.change = loader, change

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        made: ModuleType | None = self.loader.create_module(spec)
        return made

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        self.change(module)


class Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in CHANGES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None:
            spec.loader = Loader(spec.loader, CHANGES[fullname])
        return spec


def hide(name: str) -> None:
    """From whoever asks what is installed: the stub of torchvision is there for the script alone,
    and transformers would use more of it than there is.
    """
    asked = importlib.util.find_spec

    def find_spec(wanted: str, package: str | None = None) -> Any:
        return None if wanted == name else asked(wanted, package)

    importlib.util.find_spec = find_spec


def leave_noted() -> None:
    """A process may end without what it registered for its end."""
    leave = os._exit

    def noted(code: int) -> None:
        peak()
        leave(code)

    os._exit = noted  # type: ignore[assignment]


def main() -> None:
    atexit.register(peak)
    leave_noted()
    hide("torchvision")
    sys.meta_path.insert(0, Finder())
    if sys.argv[2] == "-m":
        sys.path[0] = str(Path.cwd())
        sys.argv = sys.argv[3:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = sys.argv[2:]
        sys.path[0] = str(Path(sys.argv[0]).parent)
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
