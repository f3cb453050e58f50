"""Bytes become an upright RGB picture, or a reason why not."""

import io
import struct
import warnings
from dataclasses import replace

from PIL import ExifTags, Image

from pipeline.sample import Sample
from storage.job import Rejection
from trainer.params import TrainParams

# MPO is what many phones call their JPEGs; its opener is JPEG's own.
OPENERS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")
MAX_PIXELS = 64_000_000
SMALLEST = 64  # pixels; below this nothing can be seen
GROUND = (255, 255, 255)  # what shows through where a picture is transparent
GAP = 3  # times the resolution: what is larger is first reduced by whole pixels, which is cheap
# All that decoders were seen to raise, or may, on bytes that somebody made up.
BROKEN = (
    *(OSError, ValueError, SyntaxError, RuntimeError, EOFError, LookupError, ArithmeticError),
    *(struct.error, MemoryError, Image.DecompressionBombError),
)
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


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
    """Upright RGB without metadata, reduced as far as it still covers ``resolution``."""
    with warnings.catch_warnings():
        # A broken EXIF block is no reason to refuse a picture.
        warnings.simplefilter("ignore", UserWarning)
        image: Image.Image = Image.open(io.BytesIO(data), formats=OPENERS)
        if image.width * image.height > MAX_PIXELS:
            raise ValueError("too many pixels")
        image.draft("RGB", (resolution, resolution))
        image.load()
        turn = _turn(image)
        # Large pictures are let go one by one: each may have 256 MB.
        image = _rgb(image)
        if (factor := min(image.size) // (GAP * resolution)) > 1:
            image = image.reduce(factor)
        if turn is not None:
            image = image.transpose(turn)
        image.info = {}
        return image


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (*BROKEN, TypeError):
        return None


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # 16 bits a channel, which Pillow would clip instead of scale.
        image = image.point(lambda value: value / 257).convert("L")
    if image.mode in ("P", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode == "RGBA":
        ground = Image.new("RGB", image.size, GROUND)
        ground.paste(image, mask=image)
        return ground
    return image if image.mode == "RGB" else image.convert("RGB")


def _reject(sample: Sample, code: str, **args: int) -> Sample:
    rejection = Rejection(number=sample.photo.number, code=code, args=args)
    return replace(sample, image=None, data=b"", rejection=rejection)
