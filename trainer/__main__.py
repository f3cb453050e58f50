"""``python -m trainer run.json``: a run's file in, JSON lines out, an exit code at the end."""

import os
import signal
import sys
from pathlib import Path

from trainer.run import Message, Phase, Progress, RunSpec, to_line

# Imported by the libraries if they are there, and never used by a training: half a second.
UNUSED = ("peft", "scipy", "sklearn")


class Stop:
    """Set by SIGTERM, looked at after each step."""

    def __init__(self) -> None:
        self.wanted = False
        signal.signal(signal.SIGTERM, self._want)

    def _want(self, *_: object) -> None:
        self.wanted = True


def prepare() -> None:
    """Before the first heavy import. Nothing is fetched while training: what a run needs lies on
    this machine.
    """
    for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ.setdefault(name, "1")
    for name in UNUSED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # "cannot be imported"


def main(path: Path) -> int:
    spec = RunSpec.from_json(path.read_text(encoding="utf-8"))
    stop = Stop()
    # Standard output is ours alone: whatever a library prints goes where logs go.
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    # Of several processes of one run, one speaks.
    speaks = os.environ.get("RANK", "0") == "0"

    def say(message: Message) -> None:
        if speaks:
            lines.write(to_line(message) + "\n")

    say(Progress(phase=Phase.LOADING, total=spec.params.max_steps))
    prepare()
    from trainer import job

    return job.run(spec, say, lambda: stop.wanted)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
