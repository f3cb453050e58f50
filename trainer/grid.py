"""The pictures that a run has drawn: where they lie, and the grid that holds them all. No torch."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from trainer.run import SAMPLES

GAP = 8  # pixels between the pictures of a grid
GROUND = (24, 24, 27)
GRID_SIDE = 1024  # a cell is shrunk to half of it at most


def write(work: Path, step: int, pictures: Sequence[Image.Image]) -> Path:
    """Each picture and the grid of all; the grid's path, written last and whole."""
    folder = work / SAMPLES
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures, start=1):
        _save(picture, folder / f"{step:06}-{number}.png")
    path = folder / f"{step:06}.png"
    _save(whole_of(pictures), path)
    return path


def _save(picture: Image.Image, path: Path) -> None:
    making = path.with_suffix(".tmp")
    picture.save(making, format="PNG")
    making.rename(path)


def read(work: Path, step: int) -> list[Path]:
    """The pictures drawn after a step, in the order of their prompts."""
    found = (work / SAMPLES).glob(f"{step:06}-*.png")
    return sorted(found, key=lambda path: int(path.stem.partition("-")[2]))


def whole_of(pictures: Sequence[Image.Image]) -> Image.Image:
    """Two beside each other (one stays one), in cells of the largest picture's size."""
    across = min(2, len(pictures))
    down = -(-len(pictures) // across)
    width = max(one.width for one in pictures)
    height = max(one.height for one in pictures)
    share = min(1.0, GRID_SIDE / 2 / max(width, height))
    cell = round(width * share), round(height * share)
    whole = Image.new("RGB", (across * (cell[0] + GAP) - GAP, down * (cell[1] + GAP) - GAP), GROUND)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, across)
        small = picture.copy()
        small.thumbnail(cell, Image.Resampling.LANCZOS)
        place = column * (cell[0] + GAP), row * (cell[1] + GAP)
        whole.paste(small, place)
    return whole
