"""``python -m tests.hostile.unzip SEED``: every ZIP of that seed in a process with little memory.

One line of JSON for each; a ZIP that ends the process has no line, and no line comes after it.
"""

import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from pictures.archive import ZipRefusedError, photos_in_zip
from tests.hostile.archives import ZipCase, cases, photo

MEMORY = 1 << 30  # beside what the program and the ZIPs take
HANG_S = 240.0


@dataclass(frozen=True, slots=True)
class Unzipped:
    """``said`` is the code of the refusal, "" or the name of an exception that got out."""

    name: str
    wanted: str | None
    said: str
    has_photo: bool
    inside_bytes: int
    seconds: float
    peak_bytes: int  # beside what was there before

    @property
    def wrong(self) -> bool:
        if self.wanted is None:
            return not (self.said == "" or self.said.startswith("zip."))
        return self.said != self.wanted or (self.wanted == "" and not self.has_photo)


def unzipped(seed: int) -> list[Unzipped]:
    """What a child process found; the last one is the ZIP that it died of, if it did."""
    command = [sys.executable, "-m", "tests.hostile.unzip", str(seed)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as child:
        try:
            out, _ = child.communicate(timeout=HANG_S)
        except subprocess.TimeoutExpired:
            child.kill()
            out, _ = child.communicate()
    found = [Unzipped(**json.loads(line)) for line in out.splitlines()]
    if child.returncode != 0:
        names = [case.name for case in cases(seed)]
        found.append(Unzipped(names[len(found)], None, "died", False, 0, HANG_S, 0))
    return found


def _try(case: ZipCase, good: bytes) -> Unzipped:
    said, found, inside = "", False, 0
    before = _reset_peak()
    began = time.perf_counter()
    try:
        for one in photos_in_zip(case.data):
            inside += len(one)
            found = found or one == good
    except ZipRefusedError as error:
        said = error.code
    except Exception as error:  # noqa: BLE001  this is what the trial is for
        said = type(error).__name__
    seconds = time.perf_counter() - began
    peak = max(0, _status("VmHWM:") - before)
    return Unzipped(case.name, case.code, said, found, inside, round(seconds, 3), peak)


def _reset_peak() -> int:
    """Linux forgets the peak when asked to (proc(5), clear_refs)."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS:")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0


def main() -> None:
    seed = int(sys.argv[1])
    made, good = list(cases(seed)), photo(seed)
    most = _status("VmSize:") + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    for case in made:
        sys.stdout.write(json.dumps(asdict(_try(case, good))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
