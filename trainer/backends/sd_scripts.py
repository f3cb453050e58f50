"""sd-scripts of a checkout that the operator has, as a trainer that looks like our own.

``python -m trainer.backends.sd_scripts run.json`` takes our file, runs sd-scripts' own training
script as a child, and speaks our messages. The run's ``extra`` says where: ``sd_scripts_dir``,
``sd_scripts_python``, and any of its options with their dashes.
"""

import os
import signal
import sys
from pathlib import Path

from trainer.run import Message, Phase, Progress, RunSpec, from_line, to_line


def command(spec: RunSpec, workdir: Path) -> list[str]:
    """Write the run's file into ``workdir`` and return what starts the run."""
    path = workdir / "run.json"
    path.write_text(spec.to_json(), encoding="utf-8")
    return [sys.executable, "-m", "trainer.backends.sd_scripts", str(path)]


def parse(line: str) -> Message | None:
    return from_line(line)


def main(arguments: list[str]) -> int:
    from trainer.backends import sd_scripts_run

    # Standard output is ours alone; what sd-scripts prints goes where logs go.
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    wanted = False

    def want(*_: object) -> None:
        nonlocal wanted
        wanted = True

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, want)

    def say(message: Message) -> None:
        lines.write(to_line(message) + "\n")

    spec = RunSpec.from_json(Path(arguments[0]).read_text(encoding="utf-8"))
    say(Progress(phase=Phase.LOADING, total=spec.params.max_steps))
    return sd_scripts_run.run(spec, say, lambda: wanted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
