"""Set up and start, in one command, with nothing but Python: ``python3 run.py``.

Makes `.venv` in this folder, installs lorabot into it, and hands the rest of the command line to
`lorabot` (`up` when there is none). ``run.py test`` and ``run.py lint`` install what developers
need and run the checks. A second start skips what is done.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "lorabot-setup"
CONSTRAINTS = ROOT / "constraints.txt"
EXTRAS = {
    "run": "discord,postgres,redis,telegram,train",
    "dev": "dev,discord,postgres,redis,s3,telegram,train",
}
# Its own requirements name another onnxruntime and another OpenCV, which would overwrite ours.
FACES = "insightface==2.1"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

CUDA_REFUSED = """\
This machine has no NVIDIA GPU, but your package index offers only the CUDA build of torch here,
several gigabytes that would be of no use, so nothing was installed. Take the CPU build instead:
the install selector on pytorch.org names its index (choose "CPU"). Then start again with
    PIP_EXTRA_INDEX_URL=<that address> python3 run.py
"""


def has_nvidia_gpu() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def brings_cuda(report: str) -> bool:
    """Whether pip's dry-run report would install NVIDIA's runtime beside torch."""
    names = [item["metadata"]["name"].lower() for item in json.loads(report)["install"]]
    return any(name.startswith("nvidia-") for name in names)


def stamp_for(extras: str) -> str:
    """What the set-up depends on: while it is the same, there is nothing to install."""
    parts = (ROOT / "pyproject.toml").read_bytes() + CONSTRAINTS.read_bytes()
    return f"{hashlib.sha256(parts).hexdigest()} {sys.version_info[:2]} {extras}"


def is_set_up(extras: str) -> bool:
    """A developer's set-up serves for running too."""
    wanted = {stamp_for(extras), stamp_for(EXTRAS["dev"])}
    return PYTHON.exists() and STAMP.exists() and STAMP.read_text() in wanted


def make_venv() -> list[str]:
    """The environment and the pip command for it; some systems' venv comes without pip."""
    if not PYTHON.exists():
        try:
            venv.create(VENV, with_pip=True)
        except (subprocess.CalledProcessError, SystemExit):
            venv.create(VENV, with_pip=False, clear=True)
    probe = [str(PYTHON), "-m", "pip", "--version"]
    if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
        return [str(PYTHON), "-m", "pip"]
    return [sys.executable, "-m", "pip", "--python", str(PYTHON)]


def refuse_cuda(pip: list[str]) -> None:
    """Without an NVIDIA GPU, never download the CUDA build: look first, install afterwards."""
    if has_nvidia_gpu() or not sys.platform.startswith("linux"):
        return
    dry = ["install", "--quiet", "--dry-run", "--report", "-", "--constraint", str(CONSTRAINTS)]
    found = subprocess.run([*pip, *dry, "torch"], stdout=subprocess.PIPE, text=True, check=False)
    if found.returncode != 0:
        sys.exit("torch could not be looked up; what pip says stands above.")
    if brings_cuda(found.stdout):
        sys.exit(CUDA_REFUSED)


def set_up(extras: str) -> None:
    if is_set_up(extras):
        return
    print("Setting up .venv (once; about a minute with a fast connection) ...", flush=True)
    pip = make_venv()
    os.environ.setdefault("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    refuse_cuda(pip)
    # One of the two: both write into the same folder.
    runtime = "faces-gpu" if has_nvidia_gpu() else "faces-cpu"
    quiet = ["install", "--quiet", "--constraint", str(CONSTRAINTS)]
    if extras == EXTRAS["dev"]:
        # Twenty thousand modules, of which the tests load a part. A user's first start waits less.
        quiet.append("--no-compile")
    for wanted in (["-e", f"{ROOT}[{extras},{runtime}]"], ["--no-deps", FACES]):
        if subprocess.run([*pip, *quiet, *wanted], check=False).returncode == 0:
            continue
        sys.exit("The set-up stopped; what pip says stands above. It can be started again.")
    STAMP.write_text(stamp_for(extras))


def tests(arguments: list[str]) -> list[str]:
    if not any(shutil.which(name) for name in BROWSERS):
        print("No Chromium found: the browser tests are skipped. (Debian: apt install chromium)")
    # Many tests wait for something; two at a time fill each other's pauses. What a file shares
    # stays in one process; the files that take longest come first, as they stand.
    several = ["-n", "2", "--dist", "loadfile", "--no-loadscope-reorder"] if not arguments else []
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    return [str(PYTHON), "-m", "pytest", *several, *arguments]


def checks() -> list[list[str]]:
    """The longest first."""
    tool = [str(PYTHON), "-m"]
    return [
        [*tool, "mypy"],
        [*tool, "ruff", "format", "--check", "."],
        [*tool, "ruff", "check", "."],
        [str(PYTHON.with_name("lint-imports"))],
        [*tool, "checks.secret_scan"],
        [*tool, "checks.advisories"],
    ]


def at_once(commands: list[list[str]]) -> int:
    """As many as there are cores. What each says stands together; the worst exit code."""

    def said(command: list[str]) -> int:
        one = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        sys.stdout.buffer.write(one.stdout)
        sys.stdout.buffer.flush()
        return abs(one.returncode)

    with ThreadPoolExecutor(os.cpu_count()) as cores:
        return max(cores.map(said, commands))


def main() -> None:
    if sys.version_info < (3, 11):
        sys.exit("lorabot needs Python 3.11 or newer; this is " + sys.version.split()[0])
    arguments = sys.argv[1:] or ["up"]
    if arguments[0] in ("test", "lint"):
        set_up(EXTRAS["dev"])
        if arguments[0] == "lint":
            sys.exit(at_once(checks()))
        sys.exit(subprocess.run(tests(arguments[1:]), cwd=ROOT, check=False).returncode)
    set_up(EXTRAS["run"])
    # The service takes this process's place, so that Ctrl+C and signals reach it directly.
    os.execv(PYTHON, [str(PYTHON), "-m", "lorabot", *arguments])


if __name__ == "__main__":
    main()
