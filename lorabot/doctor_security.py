"""What a trainer can reach: the network, and other people's files."""

import asyncio
from pathlib import Path

from lorabot.finding import Finding, Health
from pipeline import confined, grants
from storage import bases, landlock
from storage.settings import Settings


async def trainer_network(settings: Settings) -> Finding:
    """Whether what is trained can reach out: base models and libraries are other people's code."""
    if settings.trainer_network:
        said, fix = "the trainer may use it (TRAINER_NETWORK)", "unset it if nothing needs it"
        return Finding("network", Health.WARN, said, fix)
    if await asyncio.to_thread(confined.is_possible):
        return Finding("network", Health.OK, "the trainer has none")
    fix = "allow user namespaces, or cut the worker's container off; libraries are told to stay off"
    said = "this system cannot take it from the trainer"
    if landlock.version() >= landlock.TCP_SINCE:
        said = "the trainer has no TCP, but may ask for names; this system cannot take all of it"
    return Finding("network", Health.WARN, said, fix)


async def trainer_files(settings: Settings) -> Finding:
    """Whether it could read the database, `.env`, and what belongs to others."""
    if settings.trainer_files:
        said = "the trainer may open whatever the worker may (TRAINER_FILES)"
        return Finding("files", Health.WARN, said, "unset it; TRAINER_READS grants single folders")
    folder = await asyncio.to_thread(_exposed, settings)
    if folder is not None:
        said = f"DATA_DIR lies in {folder}, which trainers may read"
        return Finding("files", Health.WARN, said, "move it, or the base model that lies there")
    if known := landlock.version():
        return Finding("files", Health.OK, f"the trainer has its own alone (Landlock {known})")
    fix = "a kernel with Landlock (Linux 5.13), or a container that allows it; or a user of its own"
    return Finding("files", Health.WARN, "this system cannot keep the trainer to its own", fix)


def _exposed(settings: Settings) -> Path | None:
    try:
        known = bases.load(settings.data_dir, settings.bases_file)
    except bases.BasesFileError:
        return None  # the line of the bases says it
    return grants.exposed(settings, known.values())
