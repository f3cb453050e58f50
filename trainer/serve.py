"""A trainer that stays: ``python -m trainer --serve SECONDS``.

Each line of its standard input is the path of a run's file. What a run says comes as always; after
it comes ``Ended`` with what would have been the exit code. Libraries and the base model stay from
run to run. After so many seconds without work it ends by itself, and gives all of it back.
"""

import os
import queue
import sys
import threading
from pathlib import Path

from trainer import job
from trainer.run import EXIT_RESUMABLE, Ended, Phase, Progress, RunSpec
from trainer.shelf import Shelf
from trainer.stop import Stop


def serve(say: job.Say, stop: Stop, idle_s: float) -> int:
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(lines,), daemon=True).start()
    shelf = Shelf()
    while True:
        try:
            line = lines.get(timeout=idle_s)
        except queue.Empty:
            return 0
        stop.wanted, stop.busy = False, True
        code = _one(Path(line), say, stop, shelf)
        stop.busy = False
        say(Ended(code=code))


def _one(path: Path, say: job.Say, stop: Stop, shelf: Shelf) -> int:
    spec = RunSpec.from_json(path.read_text(encoding="utf-8"))
    say(Progress(phase=Phase.LOADING, total=spec.params.max_steps))
    code = job.run(spec, say, lambda: stop.wanted, shelf)
    if code not in (0, EXIT_RESUMABLE):
        # Whatever went wrong may have left its mark on what is loaded.
        shelf.clear()
    return code


def _listen(lines: "queue.Queue[str]") -> None:
    """The end of the input is the end of whoever gave it: nobody waits for what is being done."""
    for line in sys.stdin:
        lines.put(line.rstrip("\n"))
    os._exit(0)
