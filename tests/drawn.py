"""Photos for tests: drawn, different from each other, and small."""

import io
import random

from PIL import Image, ImageDraw


def photo(seed: int, size: tuple[int, int] = (320, 400), form: str = "PNG") -> bytes:
    """A figure before a background; the seed decides colours, place and pose."""
    dice = random.Random(seed)

    def colour() -> tuple[int, int, int]:
        return dice.randrange(256), dice.randrange(256), dice.randrange(256)

    image = Image.new("RGB", size, colour())
    draw = ImageDraw.Draw(image)
    width, height = size
    for _ in range(6):
        x, y = dice.randrange(width), dice.randrange(height)
        draw.rectangle((x, y, x + width // 5, y + height // 6), fill=colour())
    x, y, r = width // 2 + dice.randrange(-40, 40), height // 2, width // 6
    draw.ellipse((x - r, y - r, x + r, y + r), fill=colour())
    draw.line((x, y + r, x + dice.randrange(-60, 60), height), fill=colour(), width=12)
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()


def photos(count: int, first: int = 0) -> list[bytes]:
    return [photo(seed) for seed in range(first, first + count)]
