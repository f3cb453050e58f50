"""Our own training loop, started as ``python -m trainer run.json``."""

import sys
from pathlib import Path

from trainer.run import Message, RunSpec, from_line


def command(spec: RunSpec, workdir: Path) -> list[str]:
    """Write the run's file into ``workdir`` and return what starts the run."""
    path = workdir / "run.json"
    path.write_text(spec.to_json(), encoding="utf-8")
    return [sys.executable, "-m", "trainer", str(path)]


def parse(line: str) -> Message | None:
    return from_line(line)
