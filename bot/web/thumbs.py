"""Small pictures for the dialogue: re-encoded, so nothing of the original's metadata is left."""

import io
from pathlib import Path

from PIL import Image, ImageOps

SIDE = 160


def make(path: Path) -> bytes | None:
    """A JPEG of at most 160 pixels, or None if this is not a picture we can open."""
    try:
        with Image.open(path) as picture:
            picture.draft("RGB", (SIDE * 2, SIDE * 2))
            picture.thumbnail((SIDE * 2, SIDE * 2))
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    upright.thumbnail((SIDE, SIDE))
    clean = Image.new("RGB", upright.size)
    clean.paste(upright)
    out = io.BytesIO()
    clean.save(out, "JPEG", quality=82)
    return out.getvalue()
