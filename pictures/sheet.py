"""A contact sheet: all photos of a set, numbered, with a red frame where one is out."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

TILE = 220  # pixels
GAP = 8
FRAME = 7
GROUND, INK, PAPER = (24, 24, 27), (255, 255, 255), (39, 39, 42)
OUT, ASK, GOOD = (220, 38, 38), (245, 158, 11), (63, 63, 70)
COLUMNS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """``jpeg`` is one that we made ourselves; empty where there is nothing to show."""

    number: int
    jpeg: bytes
    used: bool
    doubtful: bool = False


def sheet(tiles: Sequence[Tile]) -> bytes:
    """A JPEG of five tiles a row."""
    columns = max(1, min(COLUMNS, len(tiles)))
    rows = max(1, -(-len(tiles) // columns))
    step = TILE + GAP
    picture = Image.new("RGB", (columns * step + GAP, rows * step + GAP), GROUND)
    pen = ImageDraw.Draw(picture)
    for at, tile in enumerate(tiles):
        _paint(picture, pen, tile, GAP + at % columns * step, GAP + at // columns * step)
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=82)
    return out.getvalue()


def _paint(picture: Image.Image, pen: ImageDraw.ImageDraw, tile: Tile, left: int, top: int) -> None:
    area = (left, top, left + TILE - 1, top + TILE - 1)
    pen.rectangle(area, fill=PAPER)
    if tile.jpeg:
        with Image.open(io.BytesIO(tile.jpeg), formats=("JPEG",)) as shown:
            shown.thumbnail((TILE - 2 * FRAME, TILE - 2 * FRAME))
            across, down = (TILE - shown.width) // 2, (TILE - shown.height) // 2
            picture.paste(shown, (left + across, top + down))
    colour = OUT if not tile.used else ASK if tile.doubtful else GOOD
    pen.rectangle(area, outline=colour, width=FRAME if colour != GOOD else 2)
    label = str(tile.number)
    pen.rectangle((left, top, left + 16 + 13 * len(label), top + 30), fill=colour)
    pen.text((left + 8, top + 3), label, fill=INK, font_size=22)
