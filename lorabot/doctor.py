"""What this machine has, what is wrong, and the fix: one finding a line."""

import asyncio
import importlib.metadata
import importlib.util
import json
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from urllib.parse import urlsplit

import typer

from lorabot import checkout, fits
from lorabot.doctor_networks import PROBE_S, discord, telegram
from lorabot.finding import Finding, Health
from pictures.limits import DEFAULT
from pipeline import packs
from pipeline.eyes import BlindError, Eyes, config_of
from storage import bases, redis_server
from storage.database import Database
from storage.settings import Settings

LOW_DISK_BYTES = 5_000_000_000
RUNTIMES = ("onnxruntime", "onnxruntime-gpu")


EXIT = {Health.OK: 0, Health.WARN: 1, Health.FAIL: 2}


async def data_folder(settings: Settings) -> Finding:
    free = shutil.disk_usage(settings.data_dir).free
    said = f"{settings.data_dir}, {free / 1e9:.0f} GB free"
    if not os.access(settings.data_dir, os.W_OK):
        return Finding("data", Health.FAIL, said, "make DATA_DIR writable for this user")
    if free < LOW_DISK_BYTES:
        return Finding("data", Health.WARN, said, "free some space, or move DATA_DIR")
    return Finding("data", Health.OK, said)


async def database(settings: Settings) -> Finding:
    began = time.perf_counter()
    try:
        opened = await Database.open(settings.database)
        async with opened.write():
            pass
        await opened.close()
    except Exception as error:  # noqa: BLE001  whatever it is, it is what the operator must see
        fix = "check DATABASE_URL, or the rights of DATA_DIR"
        return Finding("database", Health.FAIL, type(error).__name__, fix)
    milliseconds = (time.perf_counter() - began) * 1000
    return Finding("database", Health.OK, f"opens and can be written ({milliseconds:.0f} ms)")


async def redis(settings: Settings) -> Finding:
    if settings.redis_url is None:
        if binary := redis_server.find_binary():
            return Finding("redis", Health.OK, f"built in ({binary.name})")
        fix = "jobs start a second or two later; REDIS_URL or valkey-server would help"
        return Finding("redis", Health.WARN, "none", fix)
    from redis.asyncio import Redis
    from redis.exceptions import RedisError

    client = Redis.from_url(settings.redis_url.get_secret_value(), socket_timeout=PROBE_S)
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        return Finding("redis", Health.FAIL, type(error).__name__, "check REDIS_URL")
    finally:
        await client.aclose()
    return Finding("redis", Health.OK, "answers")


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
    eyes = Eyes(config_of(settings, DEFAULT.face_score))
    try:
        await eyes.see((64, 64), bytes(64 * 64 * 3))
    except (BlindError, RuntimeError) as error:
        return Finding("faces", Health.FAIL, f"{said}: {error}", "python3 run.py sets it up")
    finally:
        await eyes.close()
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
    out, _err = await asyncio.wait_for(child.communicate(), 4 * PROBE_S)
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


async def lora_folder(settings: Settings) -> Finding:
    folder = settings.lora_dir
    if folder is None:
        fix = "set LORA_DIR to your image generator's LoRA folder"
        return Finding("lora folder", Health.WARN, "not set", fix)
    if not (folder.is_dir() and os.access(folder, os.W_OK)):
        fix = "create it, or make it writable for this user"
        return Finding("lora folder", Health.FAIL, f"{folder} cannot be written", fix)
    return Finding("lora folder", Health.OK, str(folder))


async def access(settings: Settings) -> Finding:
    if settings.telegram_bot_token is None and settings.discord_bot_token is None:
        return Finding("access", Health.OK, "the local page and the terminal")
    if settings.access == "open" and not settings.max_jobs_per_day:
        fix = "set ACCESS=invite, or MAX_JOBS_PER_DAY; see docs/admin.md"
        said = "whoever finds the bot may train, without limits"
        return Finding("access", Health.WARN, said, fix)
    return Finding("access", Health.OK, settings.access)


async def public_address(settings: Settings) -> Finding:
    if settings.public_url:
        return Finding("public url", Health.OK, settings.public_url)
    if settings.telegram_bot_token is None and settings.discord_bot_token is None:
        return Finding("public url", Health.OK, "not needed for the local web chat")
    fix = "set PUBLIC_URL: files too large for a chat (Telegram 50, Discord 10 MB) become links"
    return Finding("public url", Health.WARN, "not set", fix)


CHECKS: tuple[Callable[[Settings], Awaitable[Finding]], ...] = (
    data_folder,
    database,
    redis,
    trainer,
    gpu,
    onnxruntime,
    faces,
    words,
    base_models,
    sd_scripts,
    lora_folder,
    telegram,
    discord,
    access,
    public_address,
)


async def examine(settings: Settings) -> list[Finding]:
    return [await check(settings) for check in CHECKS]


def report(findings: list[Finding], *, as_json: bool) -> int:
    """Print the findings; the exit code is the worst of them."""
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        for one in findings:
            arrow = f"  -> {one.fix}" if one.fix else ""
            typer.echo(f"{one.health:<5} {one.what:<12} {one.said}{arrow}")
    return max(EXIT[finding.health] for finding in findings)
