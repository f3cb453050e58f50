"""The loss's curve as it was told: a line of JSON for each reading, for charts and pages."""

import json
from contextlib import suppress
from pathlib import Path

NAME = "history.jsonl"


def append(work: Path, step: int, loss: float) -> None:
    with (work / NAME).open("a", encoding="ascii") as file:
        file.write(json.dumps({"step": step, "loss": round(loss, 6)}) + "\n")


def read(work: Path) -> list[tuple[int, float]]:
    """(step, mean loss since the reading before), by step. What a resumed run did again counts, and
    a line that a kill tore does not.
    """
    found: dict[int, float] = {}
    last = -1
    with suppress(FileNotFoundError):
        for line in (work / NAME).read_text(encoding="ascii").splitlines():
            with suppress(ValueError, KeyError, TypeError):
                raw = json.loads(line)
                step = int(raw["step"])
                if step <= last:
                    found = {one: loss for one, loss in found.items() if one < step}
                found[step], last = float(raw["loss"]), step
    return sorted(found.items())
