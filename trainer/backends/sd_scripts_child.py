"""The process of sd-scripts: what starts it, what it sees, and its end with all that it started."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from trainer.backends import sd_scripts_keeper
from trainer.backends.sd_scripts_options import SCRIPTS, OptionError
from trainer.run import RunSpec

LOOK_S = 0.2
LAST_WORDS_S = 2.0
CHUNK_BYTES = 16_000
HOMES = ("venv/bin/python", ".venv/bin/python", "venv/Scripts/python.exe")
# Of our own Python: another one would look there for its libraries.
NOT_ITS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSAFEPATH", "PYTHONSTARTUP", "VIRTUAL_ENV")
# What a run needs lies on this machine, and what it does stays there.
QUIET = {
    "PYTHONUNBUFFERED": "1",
    "PYTHONIOENCODING": "utf-8",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
CPU = {"ACCELERATE_USE_CPU": "true", "CUDA_VISIBLE_DEVICES": ""}
BF16_FROM = 8.0  # compute capability: Ampere


@dataclass(frozen=True, slots=True)
class Checkout:
    folder: Path
    python: Path


def checkout(spec: RunSpec) -> Checkout:
    """Where sd-scripts lies and what runs it. Raises OptionError with what is missing."""
    named = str(spec.extra.get("sd_scripts_dir", ""))
    if not named:
        raise OptionError("SD_SCRIPTS_DIR is not set: there is no checkout of sd-scripts")
    folder = Path(named).expanduser().absolute()
    script = folder / SCRIPTS[spec.params.family]
    if not script.is_file():
        raise OptionError(f"SD_SCRIPTS_DIR: there is no {script}")
    return Checkout(folder, python_of(folder, str(spec.extra.get("sd_scripts_python", ""))))


def python_of(folder: Path, named: str) -> Path:
    """The Python that has its libraries: the one that is named, or the checkout's own."""
    # Not resolved: a link into an environment is how that environment is entered.
    tried = [Path(named).expanduser()] if named else [folder / home for home in HOMES]
    for path in tried:
        if path.is_file() and os.access(path, os.X_OK):
            return path.absolute()
    raise OptionError(f"SD_SCRIPTS_PYTHON: there is no {tried[0]}")


def command(spec: RunSpec, place: Checkout, words: list[str]) -> list[str]:
    """Without accelerate's launcher, which takes seconds and leaves orphans."""
    return [str(place.python), str(place.folder / SCRIPTS[spec.params.family]), *words]


def environment(device: str, own: Mapping[str, str] = os.environ) -> dict[str, str]:
    kept = {name: value for name, value in own.items() if name not in NOT_ITS} | QUIET
    if device == "cpu":
        return kept | CPU
    number = device.partition(":")[2]
    if not number:
        return kept
    # Counted among those that we see ourselves.
    seen = [one for one in kept.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
    card = seen[int(number)] if int(number) < len(seen) else number
    return kept | {"CUDA_VISIBLE_DEVICES": card}


def precision(spec: RunSpec) -> str:
    """bf16 where every GPU has it, else half; without one fp32."""
    if spec.params.precision != "auto":
        return spec.params.precision
    found = [] if spec.device == "cpu" else _capabilities()
    if not found:
        return "fp32"
    return "bf16" if min(found) >= BF16_FROM else "fp16"


def _capabilities() -> list[float]:
    """Of the NVIDIA GPUs here; the driver is asked, because to load torch takes seconds."""
    query = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    with suppress(OSError, ValueError, subprocess.SubprocessError):
        said = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
        return [float(line) for line in said.stdout.split()]
    return []


def handed_on() -> tuple[int, ...]:
    """Open files that whoever started us wants to be held, like a device's lock."""
    try:
        numbers = [int(path.name) for path in Path("/proc/self/fd").iterdir()]
    except OSError:
        return ()
    held = []
    for number in numbers:
        with suppress(OSError):
            if number > 2 and os.get_inheritable(number):
                held.append(number)
    return tuple(held)


class Child:
    """It lives in a group of its own, which ends with this process, whatever ends that."""

    def __init__(self, argv: list[str], place: Path, device: str) -> None:
        keeper = [sys.executable, sd_scripts_keeper.__file__]
        self._process = subprocess.Popen(
            [*keeper, *argv],
            cwd=place,
            env=environment(device),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=handed_on(),
        )
        assert self._process.stdout is not None  # noqa: S101  it is a pipe
        self._out = self._process.stdout.fileno()

    def output(self) -> Iterator[bytes]:
        """What it says, in pieces; an empty one when there was nothing for a while."""
        until = None
        while until is None or time.monotonic() < until:
            if until is None and self._is_over():
                # Whatever it has left behind ends now; what it said is still in the pipe.
                self.end()
                until = time.monotonic() + LAST_WORDS_S
            if not select.select([self._out], [], [], LOOK_S)[0]:
                yield b""
                continue
            data = os.read(self._out, CHUNK_BYTES)
            if not data:
                # Its keeper's end is that of the output; what has let go of that ends now.
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
                self.end()
                return
            yield data

    def _is_over(self) -> bool:
        """Not waited for, so that its number stays the group's."""
        asked = os.WEXITED | os.WNOWAIT | os.WNOHANG
        return os.waitid(os.P_PID, self._process.pid, asked) is not None

    def end(self) -> None:
        """Nothing of the group is left."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> int:
        """Its exit code, after its end."""
        if self._process.returncode is None:
            self.end()
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        return code
