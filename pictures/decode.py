"""Bytes become an upright picture in sRGB without metadata, no larger than what is needed.

Runs in a child process with limits (`pictures.cell`): decoders are written in C, and bytes are made
by strangers.
"""

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pi_heif
import simplejpeg
from PIL import AvifImagePlugin, ExifTags, Image, ImageCms, ImageFile, UnidentifiedImageError

from pictures.limits import Limits

# MPO is what many phones call their JPEGs; its opener is JPEG's own.
OPENERS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "HEIF")
JPEGS = frozenset({"JPEG", "MPO"})
MOVING = frozenset({"GIF", "PNG", "WEBP"})
CODED = frozenset({"AVIF", "HEIF", "TIFF"})
GAP = 3  # what is larger than this many times what is needed is first reduced by whole pixels
STRIP_BYTES = 16_000_000
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = frozenset({5, 6, 7, 8})
# All that decoders were seen to raise, or may, on bytes that somebody made up.
BROKEN = (
    *(OSError, ValueError, SyntaxError, RuntimeError, EOFError, LookupError, ArithmeticError),
    *(struct.error, TypeError, AttributeError, Image.DecompressionBombError, ImageCms.PyCMSError),
)


class RefusedError(Exception):
    """The upload cannot be used; ``code`` is a text key of `photo.*`."""

    def __init__(self, code: str, **args: int) -> None:
        super().__init__(code)
        self.code = code
        self.args_of_text: dict[str, int] = args


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A header that was read and found bearable. ``size`` is upright, in pixels."""

    data: bytes
    image: ImageFile.ImageFile
    size: tuple[int, int]
    turn: Image.Transpose | None
    animated: bool


def prepare_decoders() -> None:
    """Load every decoder now: afterwards no file can be opened any more."""
    pi_heif.register_heif_opener(thumbnails=False)
    Image.init()
    Image.MAX_IMAGE_PIXELS = None  # our own limits are tighter, and know the format
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # a cell is one core's


def open_header(data: bytes, limits: Limits) -> Opened:
    """Read what the header says, and refuse what is not a photo or too much of one."""
    if len(data) > limits.file_bytes:
        most = limits.file_bytes // 1_000_000
        raise RefusedError("photo.big", size=len(data) // 1_000_000, limit=most)
    with _as_refusals():
        image = Image.open(io.BytesIO(data), formats=OPENERS)
        width, height = image.size
        if width * height > _most_pixels(image, limits):
            raise RefusedError("photo.pixels")
        if min(width, height) < limits.smallest:
            raise RefusedError("photo.tiny", width=width, height=height)
        if max(width, height) > limits.aspect * min(width, height):
            raise RefusedError("photo.long", width=width, height=height)
        orientation = _orientation(image)
        size = (height, width) if orientation in SIDEWAYS else (width, height)
        animated = image.format in MOVING and bool(getattr(image, "is_animated", False))
    return Opened(data=data, image=image, size=size, turn=TURNS.get(orientation), animated=animated)


def load(opened: Opened, cover: tuple[int, int], limits: Limits) -> Image.Image:
    """RGB, not yet turned upright, reduced as far as it still covers ``cover`` (upright)."""
    with _as_refusals():
        header = opened.image
        profile = header.info.get("icc_profile")
        if opened.turn is not None and opened.size != header.size:
            cover = (cover[1], cover[0])
        image = _scaled_jpeg(opened, cover) or _loaded(header, cover)
        factor = min(image.width // (GAP * cover[0]), image.height // (GAP * cover[1]))
        small = _rgb(image, max(1, factor), limits.ground, _colours(profile, image.mode))
        small.info = {}
        if small is not header:
            header.close()  # and with it what may be 256 MB
        return small


def _loaded(image: ImageFile.ImageFile, cover: tuple[int, int]) -> Image.Image:
    image.draft("RGB", cover)
    image.load()
    return image


def _scaled_jpeg(opened: Opened, cover: tuple[int, int]) -> Image.Image | None:
    """A JPEG decodes at any eighth of its size, where Pillow knows halves only. None: not this way.

    What this decoder warns of may be harmless; then Pillow has the last word.
    """
    image = opened.image
    if image.format not in JPEGS or image.mode != "RGB":
        return None
    try:
        pixels = simplejpeg.decode_jpeg(opened.data, "RGB", min_width=cover[0], min_height=cover[1])
    except ValueError:
        return None
    height, width, _ = pixels.shape
    scaled = Image.frombuffer("RGB", (width, height), pixels, "raw", "RGB", 0, 1)
    scaled.info = dict(image.info)
    return scaled


def upright(image: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    return image if turn is None else image.transpose(turn)


@contextmanager
def _as_refusals() -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            # A broken EXIF block is no reason to refuse a picture.
            warnings.simplefilter("ignore")
            yield
    except UnidentifiedImageError as error:
        raise RefusedError("photo.type") from error
    except MemoryError as error:
        raise RefusedError("photo.pixels") from error
    except BROKEN as error:
        raise RefusedError("photo.broken") from error


def _most_pixels(image: ImageFile.ImageFile, limits: Limits) -> int:
    if image.format in JPEGS:
        progressive = bool(image.info.get("progressive") or image.info.get("progression"))
        return limits.progressive_pixels if progressive else limits.jpeg_pixels
    if image.format == "WEBP":
        return limits.webp_pixels
    return limits.coded_pixels if image.format in CODED else limits.pixels


def _orientation(image: Image.Image) -> int:
    if image.format == "TIFF":
        return 1  # Pillow has turned it, or will
    try:
        # Not the format's own way: PNG's loads the picture, and its errors would be lost here.
        return int(Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1))
    except (*BROKEN, MemoryError):
        return 1


Colours = ImageCms.ImageCmsTransform | None


def _colours(profile: bytes | None, mode: str) -> Colours:
    """From the picture's own colours to sRGB; None where it is sRGB, or says nothing usable."""
    if not profile or mode not in ("RGB", "RGBA", "RGBX", "CMYK"):
        return None
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(own).lower():
            return None
        source = "CMYK" if mode == "CMYK" else "RGB"
        return ImageCms.buildTransform(own, ImageCms.createProfile("sRGB"), source, "RGB")
    except (*BROKEN, MemoryError):
        return None


def _rgb(image: Image.Image, factor: int, ground: int, colours: Colours) -> Image.Image:
    """Strip by strip where the picture is large: each copy of it may have 256 MB."""
    plain = image.mode == "RGB" and colours is None and "transparency" not in image.info
    if plain:
        return image.reduce(factor) if factor > 1 else image
    out = Image.new("RGB", (-(-image.width // factor), -(-image.height // factor)))
    rows = max(1, STRIP_BYTES // (4 * image.width * factor)) * factor
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        strip.info = dict(image.info)
        flat = _flat(strip, ground, colours)
        out.paste(flat.reduce(factor) if factor > 1 else flat, (0, top // factor))
    return out


def _flat(image: Image.Image, ground: int, colours: Colours) -> Image.Image:
    """One strip in plain RGB."""
    if image.mode.startswith("I"):
        # 16 bits a channel, which Pillow would clip instead of scale.
        image = image.convert("I").point(lambda value: value / 257).convert("L")
    elif image.mode == "F":
        low, high = image.getextrema()
        if not isinstance(high, float) or not isinstance(low, float) or high - low > 1e9:
            raise ValueError("no picture")
        image = image.point(lambda value: value * (255 if high <= 1 else 1)).convert("L")
    if image.mode in ("P", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode == "RGBA":
        under = Image.new("RGB", image.size, (ground, ground, ground))
        under.paste(image, mask=image)
        image = under
    if colours is not None and image.mode in ("RGB", "CMYK"):
        image = colours.apply(image) if image.mode == "CMYK" else _in_place(image, colours)
    return image if image.mode == "RGB" else image.convert("RGB")


def _in_place(image: Image.Image, colours: ImageCms.ImageCmsTransform) -> Image.Image:
    colours.apply_in_place(image)
    return image
