"""Our own training loop, started as ``python -m trainer run.json``."""

import sys
from pathlib import Path

from trainer.run import Message, RunSpec, from_line


def command(spec: RunSpec, workdir: Path) -> list[str]:
    """Write the run's file into ``workdir`` and return what starts the run. One that is to use
    several devices is started once for each; accelerate brings those together.
    """
    path = workdir / "run.json"
    path.write_text(spec.to_json(), encoding="utf-8")
    if spec.devices == 1:
        return [sys.executable, "-m", "trainer", str(path)]
    each = ["--standalone", "--nproc_per_node", str(spec.devices)]
    return [sys.executable, "-m", "torch.distributed.run", *each, "-m", "trainer", str(path)]


def resident(idle_s: float) -> list[str]:
    """What starts a trainer that takes the paths of such files on its standard input."""
    return [sys.executable, "-m", "trainer", "--serve", str(idle_s)]


def parse(line: str) -> Message | None:
    return from_line(line)
