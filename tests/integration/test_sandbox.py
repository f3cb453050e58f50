"""Cells: real child processes that open strangers' pictures, and what happens when they cannot."""

import asyncio
import io
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from pictures.frame import Shape
from pictures.limits import DEFAULT
from pictures.look import Look, Refused
from pictures.order import Developed, View, Wanted
from pictures.sandbox import Cells
from tests.conftest import eventually
from tests.drawn import photo
from tests.hostile import bombs
from tests.hostile.heic import heic
from tests.patience import PATIENCE_S

ORIENTATION = 0x0112


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def child_of(cells: Cells) -> int:
    return cells._free[0].process.pid


async def seen(cells: Cells, data: bytes) -> Look:
    found = await cells.look(data)
    assert isinstance(found, Look), found
    return found


async def shown(cells: Cells, data: bytes, side: int = 256) -> Image.Image:
    done = await cells.view(data, View(side=side, raw=True))
    assert isinstance(done, Developed), done
    return Image.frombytes("RGB", done.view_size, done.view)


async def test_many_requests_are_answered_each_with_its_own_picture() -> None:
    sizes = [(200 + 10 * number, 300) for number in range(12)]
    async with Cells(2) as cells:
        looks = await asyncio.gather(*(seen(cells, photo(1, size)) for size in sizes))
    assert [(one.width, one.height) for one in looks] == sizes


async def test_a_killed_child_costs_one_picture(cells: Cells) -> None:
    await seen(cells, photo(1))
    os.kill(child_of(cells), signal.SIGKILL)
    assert await cells.look(photo(1)) == Refused("photo.broken", {})
    await seen(cells, photo(1))


async def test_a_picture_that_takes_too_long_is_refused_and_its_child_ended() -> None:
    cases = bombs.cases(random.Random(1))
    bomb = next(case.data for case in cases if "scans_for_ever" in case.name)
    async with Cells(1, replace(DEFAULT, seconds=1.0)) as cells:
        await seen(cells, photo(1))
        before = child_of(cells)
        assert await cells.look(bomb) == Refused("photo.slow", {})
        await seen(cells, photo(1))
        assert child_of(cells) != before


async def test_a_picture_that_takes_too_much_memory_is_refused_and_the_child_lives() -> None:
    async with Cells(1, replace(DEFAULT, memory_bytes=60_000_000)) as cells:
        await seen(cells, photo(1))
        before = child_of(cells)
        large = saved(Image.new("RGB", (6000, 5000)), "PNG")
        assert await cells.look(large) == Refused("photo.pixels", {})
        assert child_of(cells) == before


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
async def test_a_child_can_open_nothing_and_write_nothing(cells: Cells) -> None:
    await seen(cells, photo(1))
    limits = Path(f"/proc/{child_of(cells)}/limits").read_text()
    assert "Max open files            3                    3" in limits
    assert "Max file size             0                    0" in limits
    assert "Max core file size        0                    0" in limits
    # Beside the three of every process the memory that it shares with its parent.
    assert len(list(Path(f"/proc/{child_of(cells)}/fd").iterdir())) == 4
    await seen(cells, photo(2))


async def test_an_interrupted_request_does_not_answer_the_next_one(cells: Cells) -> None:
    large = saved(Image.effect_noise((3000, 3000), 40).convert("RGB"), "PNG", compress_level=1)
    asked = asyncio.create_task(cells.look(large))
    await asyncio.sleep(0)
    await eventually(lambda: _started(cells))
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert (await seen(cells, photo(1, (222, 333)))).width == 222


async def _started(cells: Cells) -> bool:
    return bool(cells._places._value == 0)


async def test_children_without_work_go(cells: Cells, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pictures.sandbox.IDLE_S", 0.05)
    await seen(cells, photo(1))
    pid = child_of(cells)
    await eventually(lambda: _gone(pid))
    await seen(cells, photo(1))


async def _gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="parents are followed on Linux")
def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(
        "import asyncio\n"
        "from pictures.sandbox import Cells\n"
        "from tests.drawn import photo\n"
        "async def main():\n"
        "    async with Cells(1) as cells:\n"
        "        await cells.look(photo(1))\n"
        "        print(cells._free[0].process.pid, flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    root = str(Path(__file__).parents[2])
    parent = subprocess.Popen(
        [sys.executable, str(program)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": root},
        text=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{child}").exists():
        assert time.monotonic() < deadline
    parent.stdout.close()


# --- what is opened, and how it looks ------------------------------------------------------------


CORNERS = Image.new("RGB", (320, 240), (200, 200, 200))
CORNERS.paste((220, 30, 30), (0, 0, 160, 120))
CORNERS.paste((30, 30, 220), (160, 120, 320, 240))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "MPO"])
async def test_every_format_is_opened(cells: Cells, form: str) -> None:
    image = await shown(cells, saved(CORNERS, form), 320)
    red, blue = image.getpixel((40, 30)), image.getpixel((280, 200))
    assert isinstance(red, tuple)
    assert isinstance(blue, tuple)
    assert red[0] > 150 > red[2]
    assert blue[2] > 150 > blue[0]


async def test_heic_is_opened(cells: Cells) -> None:
    found = await seen(cells, heic(CORNERS.resize((192, 256))))
    assert (found.width, found.height) == (192, 256)


UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
async def test_photos_come_upright(cells: Cells, form: str) -> None:
    for orientation in range(1, 9):
        turn = UPRIGHT.get(orientation)
        stored = CORNERS if turn is None else CORNERS.transpose(turn)
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        data = saved(stored, form, exif=exif)
        found = await seen(cells, data)
        assert (found.width, found.height) == CORNERS.size, orientation
        done = await cells.develop(data, Wanted(shape=Shape(resolution=256)))
        assert isinstance(done, Developed)
        cut = np.asarray(Image.open(io.BytesIO(done.png)))
        assert cut[20, 20, 0] > 150 > cut[20, 20, 2], orientation
        assert cut[-20, -20, 2] > 150 > cut[-20, -20, 0], orientation


async def test_animations_say_so_and_give_their_first_picture(cells: Cells) -> None:
    frames = [CORNERS, Image.new("RGB", CORNERS.size, (0, 255, 0))]
    for form in ("GIF", "PNG", "WEBP"):
        data = saved(frames[0], form, save_all=True, append_images=frames[1:], duration=100)
        assert (await seen(cells, data)).animated
        first = (await shown(cells, data, 320)).getpixel((40, 30))
        assert isinstance(first, tuple)
        assert first[0] > 150


async def test_wide_colours_become_srgb(cells: Cells) -> None:
    """In this profile red and blue have changed places."""
    swapped = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = swapped.find(b"rXYZ"), swapped.find(b"bXYZ")
    swapped[red : red + 4], swapped[blue : blue + 4] = b"bXYZ", b"rXYZ"
    text = swapped.find(b"s\x00R\x00G\x00B")
    if text > 0:
        swapped[text : text + 7] = b"o\x00t\x00h\x00e"
    data = saved(CORNERS, "PNG", icc_profile=bytes(swapped))
    pixel = (await shown(cells, data, 320)).getpixel((40, 30))
    assert isinstance(pixel, tuple)
    assert pixel[2] > pixel[0]


async def test_what_is_seen_through_gets_a_neutral_ground(cells: Cells) -> None:
    clear = Image.new("RGBA", (200, 200), (255, 0, 0, 0))
    pixel = (await shown(cells, saved(clear, "PNG"), 200)).getpixel((100, 100))
    assert pixel == (255, 255, 255)
