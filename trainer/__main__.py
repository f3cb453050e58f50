"""``python -m trainer run.json``: a run's file in, JSON lines out, an exit code at the end.

``python -m trainer --serve SECONDS`` does one run after the other; see ``trainer.serve``.
``python -m trainer --estimate run.json`` says what it would take of a GPU; see
``trainer.estimate``.
"""

import os
import sys
from pathlib import Path

from trainer import quick_start
from trainer.run import Message, Phase, Progress, RunSpec, to_line
from trainer.stop import Stop

SERVE = "--serve"
ESTIMATE = "--estimate"


def prepare() -> None:
    """Before the first heavy import. Nothing is fetched while training: what a run needs lies on
    this machine.
    """
    for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ.setdefault(name, "1")
    quick_start.prepare()


def main(arguments: list[str]) -> int:
    # Standard output is ours alone: whatever a library prints goes where logs go.
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    # Of several processes of one run, one speaks.
    speaks = os.environ.get("RANK", "0") == "0"

    def say(message: Message) -> None:
        if speaks:
            lines.write(to_line(message) + "\n")

    if arguments[0] == SERVE:
        stop = Stop(busy=False)
        prepare()
        from trainer.serve import serve

        return serve(say, stop, float(arguments[1]))
    if arguments[0] == ESTIMATE:
        from trainer import estimate

        lines.write(estimate.as_json(_read(arguments[1])) + "\n")
        return 0
    spec = _read(arguments[0])
    stop = Stop(busy=True)
    say(Progress(phase=Phase.LOADING, total=spec.params.max_steps))
    prepare()
    from trainer import job

    return job.run(spec, say, lambda: stop.wanted)


def _read(path: str) -> RunSpec:
    return RunSpec.from_json(Path(path).read_text(encoding="utf-8"))


if __name__ == "__main__":
    code = main(sys.argv[1:])
    if "RANK" in os.environ:
        sys.exit(code)
    # What is left is to free memory piece by piece, which takes a second and helps nobody.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
