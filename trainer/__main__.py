"""``python -m trainer run.json``: a run's file in, JSON lines out, an exit code at the end."""

import os
import signal
import sys
import traceback
from pathlib import Path

from trainer.run import (
    EXIT_FAILED,
    EXIT_RESUMABLE,
    Failed,
    Message,
    Phase,
    Progress,
    RunSpec,
    to_line,
)


class Stop:
    """Set by SIGTERM, looked at after each step."""

    def __init__(self) -> None:
        self.wanted = False
        signal.signal(signal.SIGTERM, self._want)

    def _want(self, *_: object) -> None:
        self.wanted = True


def main(path: Path) -> int:
    spec = RunSpec.from_json(path.read_text(encoding="utf-8"))
    stop = Stop()
    # Standard output is ours alone: whatever a library prints goes where logs go.
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    def say(message: Message) -> None:
        lines.write(to_line(message) + "\n")

    say(Progress(phase=Phase.LOADING, total=spec.params.max_steps))
    # Nothing is fetched while training: what a run needs lies on this machine.
    for name in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ.setdefault(name, "1")
    spec.work.mkdir(parents=True, exist_ok=True)
    from trainer import failures, loop

    try:
        failures.make_base(spec)
        say(loop.train(spec, say, lambda: stop.wanted))
    except loop.StoppedError:
        return EXIT_RESUMABLE
    except Exception as error:  # noqa: BLE001  the process ends here, and says why
        traceback.print_exc()
        code = failures.code_of(error)
        say(Failed(code=code, detail=f"{type(error).__name__}: {error}"[:500]))
        return EXIT_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
