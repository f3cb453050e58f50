"""Whether the operator's sd-scripts can be used: for `lorabot doctor`."""

import asyncio
from pathlib import Path

from pipeline import crew
from storage import bases
from storage.settings import Settings
from trainer.backends.sd_scripts_child import environment, python_of
from trainer.backends.sd_scripts_options import SCRIPTS, OptionError

PROBE_S = 20.0
# Looked for, not loaded: that would take its torch many seconds.
NEEDED = ("torch", "torchvision", "accelerate", "diffusers", "transformers", "safetensors", "cv2")
PROBE = (
    "import importlib.util as u, sys; "
    "print(sys.version.split()[0], *(n for n in sys.argv[1:] if u.find_spec(n) is None))"
)


async def examined(settings: Settings) -> tuple[bool, str, str]:
    """Whether it is well, what there is, and what to do."""
    users = _users(settings)
    folder = settings.sd_scripts_dir
    if folder is None:
        fix = "set SD_SCRIPTS_DIR to a checkout of sd-scripts; see docs/sd-scripts.md"
        return (False, f"{', '.join(users)} wants it", fix) if users else (True, "not used", "")
    folder = folder.expanduser().absolute()
    missing = [name for name in SCRIPTS.values() if not (folder / name).is_file()]
    if missing:
        return False, f"{folder} has no {missing[0]}", "correct SD_SCRIPTS_DIR"
    try:
        python = python_of(folder, str(settings.sd_scripts_python or ""))
        version, *absent = (await _probed(python, folder)).split()
    except (OptionError, OSError, ValueError, TimeoutError) as error:
        return False, str(error) or "its Python does not answer", "correct SD_SCRIPTS_PYTHON"
    if absent:
        fix = "install its requirements.txt and torchvision into that Python"
        return False, f"{python} has no {', '.join(absent)}", fix
    return True, f"{folder}, Python {version}" + (f", for {', '.join(users)}" if users else ""), ""


def _users(settings: Settings) -> list[str]:
    try:
        known = bases.load(settings.data_dir, settings.bases_file)
    except bases.BasesFileError:
        return []  # said elsewhere
    return [base.id for base in known.values() if base.backend == bases.SD_SCRIPTS]


async def _probed(python: Path, folder: Path) -> str:
    child = await asyncio.create_subprocess_exec(
        *(str(python), "-c", PROBE, *NEEDED),
        cwd=folder,
        env=environment("auto", crew.environment()),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(PROBE_S):
            out, _ = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
    if child.returncode:
        raise ValueError(f"{python} does not run")
    return out.decode()
