"""What somebody asks of a run while it runs: files in a folder, which any program can make."""

from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from trainer.run import ASKED


class Wish(StrEnum):
    SAMPLE = "sample"
    SAVE = "save"
    FINISH = "finish"  # stop here, and keep what there is


def ask(work: Path, wish: Wish) -> None:
    folder = work / ASKED
    folder.mkdir(parents=True, exist_ok=True)
    (folder / wish).touch()


def taken(work: Path) -> set[Wish]:
    """What was asked since the last look; asking is forgotten with it."""
    wishes = set()
    for wish in Wish:
        with suppress(FileNotFoundError):
            (work / ASKED / wish).unlink()
            wishes.add(wish)
    return wishes
