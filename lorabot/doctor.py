"""What this machine has, what is wrong, and the fix: one finding a line."""

import asyncio
import importlib.metadata
import importlib.util
import json
import shutil
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict
from urllib.parse import urlsplit

import typer

from lorabot import checkout, fits
from lorabot.doctor_ages import ages, tried
from lorabot.doctor_networks import PROBE_S, access, discord, public_address, telegram
from lorabot.doctor_security import trainer_files, trainer_network
from lorabot.doctor_storage import (
    data_folder,
    database,
    lora_folder,
    redis,
    secret_files,
    store,
    workers,
)
from lorabot.doctor_webhook import webhook
from lorabot.finding import Finding, Health
from pipeline import packs
from pipeline.eyes import BlindError
from storage import bases
from storage.settings import Settings

RUNTIMES = ("onnxruntime", "onnxruntime-gpu")
PATIENCE_S = 60.0  # of one check: the face pack is loaded for its line
Check = Callable[[Settings], Coroutine[None, None, Finding]]
EXIT = {Health.OK: 0, Health.WARN: 1, Health.FAIL: 2}


async def trainer(_: Settings) -> Finding:
    missing = [
        name for name in ("torch", "diffusers", "peft") if importlib.util.find_spec(name) is None
    ]
    if missing:
        fix = "on the GPU host install lorabot[train]; a machine for the bot alone needs none"
        return Finding("trainer", Health.WARN, f"no {', '.join(missing)}", fix)
    return Finding("trainer", Health.OK, "torch, diffusers and peft are installed")


async def faces(settings: Settings) -> Finding:
    """The pack, its licence, and what it really runs on: onnxruntime falls back without a word."""
    fix = "lorabot models faces (read its licence); without it nobody checks who is on the photos"
    try:
        pack = await asyncio.to_thread(packs.checked, packs.home(settings.data_dir, packs.FACES))
    except packs.PackError as error:
        return Finding("faces", Health.FAIL, str(error), "add the pack again: lorabot models faces")
    if pack is None:
        return Finding("faces", Health.WARN, "no face networks", fix)
    said = f"{pack.name} ({pack.licence})"
    try:
        eyes = await tried(settings)
    except (BlindError, RuntimeError) as error:
        return Finding("faces", Health.FAIL, f"{said}: {error}", "python3 run.py sets it up")
    runs = ", ".join(eyes.providers)
    if shutil.which("nvidia-smi") and "CUDA" not in runs:
        fix = "the CUDA libraries do not fit onnxruntime-gpu; on the CPU it works, slower"
        return Finding("faces", Health.WARN, f"{said} on {runs}", fix)
    return Finding("faces", Health.OK, f"{said} on {runs}")


async def onnxruntime(_: Settings) -> Finding:
    """Both builds write into one folder: whichever came last is half of each."""
    found = [name for name in RUNTIMES if _is_installed(name)]
    if not found:
        fix = "only needed where photos are looked at: python3 run.py sets it up"
        return Finding("onnxruntime", Health.WARN, "not installed", fix)
    if len(found) > 1:
        fix = f"pip uninstall {' '.join(found)}, then install one of them"
        return Finding("onnxruntime", Health.FAIL, f"{' and '.join(found)} are installed", fix)
    if _is_installed("opencv-python") and _is_installed("opencv-python-headless"):
        fix = "pip uninstall opencv-python opencv-python-headless; python3 run.py"
        return Finding("onnxruntime", Health.FAIL, "two builds of OpenCV are installed", fix)
    return Finding("onnxruntime", Health.OK, found[0])


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


async def words(settings: Settings) -> Finding:
    if settings.vision_url:
        said = f"pictures are sent to {urlsplit(settings.vision_url).hostname}"
        return Finding("captions", Health.WARN, said, "say so to your people, or unset VISION_URL")
    try:
        pack = await asyncio.to_thread(packs.checked, packs.home(settings.data_dir, packs.TAGGER))
    except packs.PackError as error:
        return Finding("captions", Health.FAIL, str(error), "add it again: lorabot models tagger")
    if pack is None:
        fix = "lorabot models tagger --from FOLDER gives every picture words of its own"
        return Finding("captions", Health.WARN, "trigger and class word only", fix)
    return Finding("captions", Health.OK, f"{pack.name} ({pack.licence})")


async def gpu(settings: Settings) -> Finding:
    """Ask the driver, not torch: importing torch takes seconds and a gigabyte."""
    if shutil.which("nvidia-smi") is None:
        fix = "the demo base trains on the CPU; real ones want an NVIDIA GPU"
        return Finding("gpu", Health.WARN, "no NVIDIA driver", fix)
    query = ("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
    child = await asyncio.create_subprocess_exec(*query, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(4 * PROBE_S):
        out, _err = await child.communicate()
    if child.returncode != 0:
        return Finding("gpu", Health.FAIL, "nvidia-smi fails", "reinstall the NVIDIA driver")
    cards = out.decode().strip().splitlines()
    return Finding("gpu", Health.OK, "; ".join(fits.described(card, settings) for card in cards))


async def base_models(settings: Settings) -> Finding:
    try:
        known = bases.load(settings.data_dir, settings.bases_file)
    except bases.BasesFileError as error:
        return Finding("bases", Health.FAIL, str(error), "correct the file; see docs/bases.md")
    gone = [base.id for base in known.values() if not base.installed]
    if gone:
        return Finding("bases", Health.WARN, f"not there: {', '.join(gone)}", "correct their path")
    if len(known) == 1:
        fix = "list your checkpoints in bases.toml; see docs/bases.md"
        return Finding("bases", Health.WARN, "only the demo", fix)
    return Finding("bases", Health.OK, ", ".join(known))


async def sd_scripts(settings: Settings) -> Finding:
    well, said, fix = await checkout.examined(settings)
    return Finding("sd-scripts", Health.OK if well else Health.FAIL, said, fix)


CHECKS: tuple[Check, ...] = (
    data_folder,
    secret_files,
    database,
    store,
    redis,
    workers,
    trainer,
    gpu,
    onnxruntime,
    faces,
    ages,
    words,
    base_models,
    sd_scripts,
    lora_folder,
    telegram,
    webhook,
    discord,
    access,
    trainer_network,
    trainer_files,
    public_address,
)


async def examine(
    settings: Settings, checks: Sequence[Check] = CHECKS, *, patience_s: float = PATIENCE_S
) -> list[Finding]:
    """All at once, because most of them wait; in their order."""
    examined = (_examined(check, settings, patience_s) for check in checks)
    return list(await asyncio.gather(*examined))


async def _examined(check: Check, settings: Settings, patience_s: float) -> Finding:
    """A check that fails or hangs is a finding, too: the others are told all the same."""
    what = check.__name__.replace("_", " ")
    try:
        async with asyncio.timeout(patience_s):
            return await check(settings)
    except TimeoutError:
        return Finding(what, Health.FAIL, "no answer", "it hangs; look there first")
    except Exception as error:  # noqa: BLE001  whatever it is, it is what the operator must see
        return Finding(what, Health.FAIL, type(error).__name__, "please report this")


def report(findings: list[Finding], *, as_json: bool) -> int:
    """Print the findings; the exit code is the worst of them."""
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for one in findings:
            arrow = f"  -> {one.fix}" if one.fix else ""
            typer.echo(f"{one.health:<5} {one.what:<12} {one.said}{arrow}")
    return max(EXIT[finding.health] for finding in findings)
