"""Bytes become an upright RGB picture, or a reason why not."""

import io
import warnings
from dataclasses import replace

from PIL import Image, ImageOps

from pipeline.sample import Sample
from storage.job import Rejection
from trainer.params import TrainParams

# MPO is what many phones call their JPEGs; its opener is JPEG's own.
OPENERS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
MAX_PIXELS = 64_000_000
SMALLEST = 64  # pixels; below this nothing can be seen
GROUND = (255, 255, 255)  # what shows through where a picture is transparent
BROKEN = (OSError, ValueError, SyntaxError, Image.DecompressionBombError, MemoryError)


def apply(sample: Sample, params: TrainParams) -> Sample:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = decode(sample.data, params.resolution)
    except (*BROKEN, Image.DecompressionBombWarning):
        return _reject(sample, "photo.broken")
    width, height = image.size
    if min(width, height) < max(SMALLEST, params.resolution // 2):
        return _reject(sample, "photo.small", width=width, height=height)
    return replace(sample, image=image, data=b"")


def decode(data: bytes, resolution: int) -> Image.Image:
    """Upright RGB. A JPEG is decoded at a reduced scale that still covers ``resolution``."""
    with warnings.catch_warnings():
        # A broken EXIF block is no reason to refuse a picture.
        warnings.simplefilter("ignore", UserWarning)
        with Image.open(io.BytesIO(data), formats=OPENERS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise ValueError("too many pixels")
            opened.draft("RGB", (resolution, resolution))
            upright = ImageOps.exif_transpose(opened)
            return _rgb(upright)


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16 bits a channel, which Pillow would clip instead of scale.
        image = image.point(lambda value: value / 257).convert("L")
    if image.mode == "P" or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (*GROUND, 255))
        image = Image.alpha_composite(ground, image)
    return image.convert("RGB")


def _reject(sample: Sample, code: str, **args: int) -> Sample:
    rejection = Rejection(number=sample.photo.number, code=code, args=args)
    return replace(sample, image=None, data=b"", rejection=rejection)
