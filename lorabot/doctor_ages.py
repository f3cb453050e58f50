"""The operator's least age as `lorabot doctor` sees it: is there a network that estimates ages?"""

import asyncio

from lorabot.finding import Finding, Health
from pictures.limits import DEFAULT
from pipeline import packs
from pipeline.eyes import BlindError, Eyes, config_of
from storage.settings import Settings

FIX = "lorabot models faces --from FOLDER with a network for ages (genderage), or unset MIN_AGE"


async def ages(settings: Settings) -> Finding:
    """Without estimates nobody is let through unseen: each set waits for an admin."""
    if not settings.min_age:
        return Finding("ages", Health.OK, "not asked for (no MIN_AGE)")
    try:
        pack = await asyncio.to_thread(packs.checked, packs.home(settings.data_dir, packs.FACES))
    except packs.PackError:
        return _blind("the face networks are broken")
    if pack is None:
        return _blind("no face networks")
    try:
        eyes = await tried(settings)
    except (BlindError, RuntimeError):
        return _blind(f"{pack.name} cannot be loaded")
    if not eyes.has_ages:
        return _blind(f"{pack.name} has no network for ages")
    act = "is refused" if settings.min_age_action == "refuse" else "waits for an admin"
    said = f"{pack.name} estimates them; a set with a face below {settings.min_age} {act}"
    return Finding("ages", Health.OK, said)


async def tried(settings: Settings) -> Eyes:
    """The networks for faces as a worker loads them, after one look at nothing. Raises BlindError
    or RuntimeError.
    """
    eyes = Eyes(config_of(settings, DEFAULT.face_score))
    try:
        await eyes.see((64, 64), bytes(64 * 64 * 3))
    finally:
        await eyes.close()
    return eyes


def _blind(why: str) -> Finding:
    return Finding("ages", Health.WARN, f"{why}: with MIN_AGE each set waits for an admin", FIX)
