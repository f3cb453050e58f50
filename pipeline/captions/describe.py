"""One sentence about each picture, where the operator has named a vision server."""

import asyncio
import io
import logging
from collections.abc import Awaitable, Callable

from PIL import Image

from pictures.captions import Described
from pipeline.captions.vision import Vision, VisionError
from storage.settings import Settings

log = logging.getLogger(__name__)

TIMEOUT_S = 60.0
TRIES = 3
INSTRUCTION = (
    "Describe this picture in one English sentence of at most 40 words, for training an image"
    " generator. Begin with what the main subject does. Say pose, expression, clothes,"
    " surroundings, light and how close the camera is. Do not name anybody, do not describe hair,"
    " eyes, skin, age or beauty, do not say that it is a picture."
)

Size = tuple[int, int]
Describe = Callable[[Size, bytes], Awaitable[Described | None]]


def describer(settings: Settings) -> Describe | None:
    """None while nothing is to leave this machine. Else: size and RGB bytes in, words out."""
    if not settings.vision_url:
        return None
    key = settings.vision_key.get_secret_value() if settings.vision_key else ""
    vision = Vision(
        url=settings.vision_url,
        key=key,
        models=settings.vision_models,
        timeout_s=TIMEOUT_S,
        tries=TRIES,
    )

    async def describe(size: Size, pixels: bytes) -> Described | None:
        try:
            return await vision.describe(await asyncio.to_thread(_jpeg, size, pixels), INSTRUCTION)
        except VisionError as error:
            # A caption without it is a shorter one, no reason to fail a job.
            log.warning("the vision server gave no caption: %s", error)
            return None

    return describe


def _jpeg(size: Size, pixels: bytes) -> bytes:
    out = io.BytesIO()
    Image.frombytes("RGB", size, pixels).save(out, "JPEG", quality=90)
    return out.getvalue()
