"""Pictures that the operator will not have, however they are saved."""

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from bot.blocklist import Blocklist
from pictures import look
from pictures.look import Look
from pictures.sandbox import Cells
from tests.drawn import photos


@pytest.fixture
async def cells_look(cells: Cells) -> Look:
    looked = await cells.look(photos(1)[0])
    assert isinstance(looked, Look)
    return looked


def resaved(data: bytes, side: int, quality: int) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(data)) as image:
        image.convert("RGB").resize((side, side)).save(out, "JPEG", quality=quality)
    return out.getvalue()


async def test_by_content_and_by_looks(cells: Cells, cells_look: Look, tmp_path: Path) -> None:
    path = tmp_path / "blocklist.txt"
    blocklist = Blocklist(path)
    data = photos(1)[0]
    key = look.key_of(data)
    assert not blocklist.blocks(key, cells_look)
    path.write_text(f"# a comment\n{key.upper()} found in May\n")
    assert blocklist.blocks(key, cells_look)
    smaller = await cells.look(resaved(data, 300, 60))
    assert isinstance(smaller, Look)
    assert not blocklist.blocks("0" * 64, smaller)
    path.write_text(f"{cells_look.hashes[0]:016x}\n")
    os.utime(path, ns=(1, 1))
    assert blocklist.blocks("0" * 64, smaller)
    other = await cells.look(photos(2)[1])
    assert isinstance(other, Look)
    assert not blocklist.blocks("0" * 64, other)
    path.unlink()
    assert not blocklist.blocks(key, smaller)


async def test_a_list_that_cannot_be_read_lets_nothing_in(cells_look: Look, tmp_path: Path) -> None:
    folder = tmp_path / "blocklist.txt"
    folder.mkdir()
    with pytest.raises(OSError, match="directory"):
        Blocklist(folder).blocks("0" * 64, cells_look)
