"""A base with random weights in a data folder, under the demo's name: as quick as can be."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from bench import random_base

LIST = """
[demo]
title = "Demo"
family = "sd15"
path = "{path}"
resolution = 64
rank = 4
learning_rate = 1e-3
steps = {steps}
"""


@cache
def made() -> Path:
    """The folder, written once in a process; nobody changes it."""
    above = Path(tempfile.mkdtemp(prefix="tiny-base-"))
    atexit.register(shutil.rmtree, above, ignore_errors=True)
    random_base.make(above / "base")
    return above / "base"


def lay(data: Path, steps: int = 150) -> None:
    """Its own list of bases for a service; a file that is there already stays."""
    path = data / "bases.toml"
    if not path.exists():
        data.mkdir(parents=True, exist_ok=True)
        path.write_text(LIST.format(path=made(), steps=steps))
