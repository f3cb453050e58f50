"""What a hostile upload is, and the pictures that all of them start from."""

import io
import random
import zlib
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw

SIZE = (192, 256)
PIECE = 1 << 20
ADLER = 65521


@dataclass(frozen=True, slots=True)
class Case:
    """``opens``: True is odd but good, False must be refused, None is either, unharmed."""

    name: str
    data: bytes
    opens: bool | None


def drawn(dice: random.Random, size: tuple[int, int] = SIZE, mode: str = "RGB") -> Image.Image:
    """Soft colours, hard edges and grain: something in each band for every codec."""
    soft = Image.frombytes("RGB", (6, 8), dice.randbytes(6 * 8 * 3))
    image = soft.resize(size, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(8):
        x, y = dice.randrange(size[0]), dice.randrange(size[1])
        fill = (dice.randrange(256), dice.randrange(256), dice.randrange(256))
        draw.rectangle((x, y, x + size[0] // 5, y + size[1] // 7), fill=fill)
        draw.ellipse((y, x, y + size[0] // 6, x + size[0] // 6), fill=fill[::-1])
    grain = Image.frombytes("L", (96, 128), dice.randbytes(96 * 128)).resize(size)
    image = Image.blend(image, grain.convert("RGB"), 0.1)
    return image if mode == "RGB" else image.convert(mode)


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def zeros(count: int) -> bytes:
    """A zlib stream of so many zeros, without making them: deflated blocks can be repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(bytes(PIECE)) + packer.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    last = packer.compress(bytes(count % PIECE)) + packer.flush(zlib.Z_FINISH)
    check = (count % ADLER) << 16 | 1
    return b"\x78\xda" + piece * (count // PIECE) + last + check.to_bytes(4, "big")
