"""A trainer that only sleeps, goes on from its checkpoint, and leaves a tiny valid LoRA.

``Sleeper`` is what the worker takes as its backend; run as a program it is the process.
It imports nothing but the protocol, so that a hundred of them cost little.
"""

import fcntl
import hashlib
import json
import os
import signal
import struct
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from trainer.run import (
    EXIT_RESUMABLE,
    Finished,
    Message,
    Phase,
    Progress,
    RunSpec,
    from_line,
    to_line,
)

STEP_S = 0.1
MODULE = "lora_unet_mid_block_attentions_0_proj_in"
SHAPES = {"alpha": (), "lora_down.weight": (2, 4), "lora_up.weight": (4, 2)}


@dataclass(frozen=True)
class Sleeper:
    """``journal`` is a file that all trainers write a line into when they begin."""

    seconds: float
    journal: Path

    def command(self, spec: RunSpec, workdir: Path) -> list[str]:
        path = workdir / "run.json"
        path.write_text(spec.to_json())
        own = (str(self.seconds), str(self.journal), str(path))
        return [sys.executable, "-m", "tests.torture.sleeper", *own]

    def parse(self, line: str) -> Message | None:
        return from_line(line)


def lora(trigger: str) -> bytes:
    """The smallest file that passes: one module in half precision, other numbers per trigger."""
    numbers = hashlib.sha256(trigger.encode()).digest()
    header: dict[str, object] = {}
    body = b""
    for part, shape in SHAPES.items():
        count = shape[0] * shape[1] if shape else 1
        some = [2.0] if not shape else [(1 + numbers[i] / 256) for i in range(count)]
        data = struct.pack(f"<{count}e", *some)
        place = [len(body), len(body) + len(data)]
        header[f"{MODULE}.{part}"] = {"dtype": "F16", "shape": list(shape), "data_offsets": place}
        body += data
    header["__metadata__"] = {
        "modelspec.trigger_phrase": trigger,
        "sshs_model_hash": hashlib.sha256(body).hexdigest(),
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def note(journal: Path, *words: object) -> None:
    """One line of the journal: whole or not at all."""
    line = " ".join(str(word) for word in (f"{time.time():.3f}", *words)) + "\n"
    handle = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(handle, line.encode())
    os.close(handle)


def alone(home: Path, journal: Path) -> int:
    """Hold the job's folder; a second trainer of the same job is noted, not refused."""
    handle = os.open(home / "alone.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        note(journal, "beside", home.name)
    return handle


def say(message: Message) -> None:
    print(to_line(message), flush=True)


def replace(path: Path, data: bytes) -> None:
    """Whole or not at all, as the real trainer writes its files."""
    half = path.with_name(f"{path.name}.{os.getpid()}")
    half.write_bytes(data)
    half.replace(path)


def main(seconds: float, journal: Path, path: Path) -> int:
    spec = RunSpec.from_json(path.read_text())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_RESUMABLE))
    handle = alone(path.parent, journal)
    spec.work.mkdir(parents=True, exist_ok=True)
    checkpoint = spec.work / "step"
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    note(journal, "trains", path.parent.name, done)
    total = max(1, round(seconds / STEP_S))
    for step in range(done + 1, total + 1):
        time.sleep(STEP_S)
        say(Progress(phase=Phase.TRAINING, step=step, total=total, loss=0.1))
        replace(checkpoint, str(step).encode())
    replace(spec.output, lora(spec.params.trigger))
    say(Finished(steps=total, loss=0.1))
    os.close(handle)
    return 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])))
