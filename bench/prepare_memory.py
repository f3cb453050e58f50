"""How much memory a cell takes above its imports, for each format at the most that is accepted.

``python -m bench.prepare_memory``. Each picture gets a cell of its own; VmHWM is the most that it
ever had. Prediction, written before: 300 MB for the progressive JPEG, which holds all coefficients,
and 260 MB for 64 megapixels of PNG at four bytes each; nothing above 400 MB, because the limit is
the cell's own.
"""

import asyncio
import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from PIL import Image

from bench.machine import write
from pictures.frame import Shape
from pictures.limits import DEFAULT
from pictures.look import Refused
from pictures.order import SIDE, View, Wanted
from pictures.sandbox import Cells

MOST_MB = 400
WANTED = {
    "look": Wanted(look=True, tile=220),
    "look, cut and view": Wanted(
        look=True, shape=Shape(resolution=1024), view=View(side=SIDE, raw=True), tile=220
    ),
}


def gradient(mode: str, megapixels: float) -> Image.Image:
    side = int((megapixels * 1e6) ** 0.5) // 16 * 16
    return Image.linear_gradient("L").convert(mode).resize((side, side))


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def png16(megapixels: float) -> bytes:
    """RGB with 16 bits a channel, which Pillow reads but does not write."""
    side = int((megapixels * 1e6) ** 0.5)
    packer = zlib.compressobj(1)
    line = b"\0" + bytes(range(0, 240, 2)) * (side * 6 // 120 + 1)
    line = line[: 1 + side * 6]
    body = b"".join(packer.compress(line) for _ in range(side)) + packer.flush()

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    head = struct.pack(">II5B", side, side, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def cases() -> Iterator[tuple[str, bytes]]:
    yield "JPEG 100 MP", saved(gradient("RGB", 99), "JPEG", quality=80)
    yield "JPEG 200 MP", saved(gradient("L", 199), "JPEG", quality=60)
    yield (
        "JPEG 100 MP progressive",
        saved(gradient("RGB", 99), "JPEG", quality=80, progressive=True),
    )
    yield "JPEG 40 MP CMYK", saved(gradient("RGB", 40).convert("CMYK"), "JPEG", quality=80)
    for mode in ("RGB", "RGBA", "L", "P", "1"):
        yield f"PNG 64 MP {mode}", saved(gradient(mode, 63), "PNG", compress_level=1)
    yield "PNG 64 MP 16 bit grey", saved(gradient("I;16", 63), "PNG", compress_level=1)
    yield "PNG 64 MP 16 bit RGB", png16(63)
    yield "GIF 64 MP", saved(gradient("P", 63), "GIF")
    yield "BMP 16 MP", saved(gradient("RGB", 16), "BMP")
    for compression in ("raw", "tiff_lzw", "tiff_deflate"):
        size = 12 if compression == "raw" else 40
        image = gradient("RGB", size)
        yield f"TIFF {size} MP {compression}", saved(image, "TIFF", compression=compression)
    yield (
        "TIFF 40 MP CMYK",
        saved(gradient("RGB", 40).convert("CMYK"), "TIFF", compression="tiff_lzw"),
    )
    yield "WebP 20 MP", saved(gradient("RGB", 19.5), "WEBP", quality=60, method=0)
    alpha = gradient("RGBA", 19.5)
    yield "WebP 20 MP lossless alpha", saved(alpha, "WEBP", lossless=True, method=0)
    yield "WebP 30 MP", saved(gradient("RGB", 30), "WEBP", quality=60, method=0)
    yield "AVIF 25 MP", saved(gradient("RGB", 25), "AVIF", quality=50, speed=10)
    yield "AVIF 40 MP", saved(gradient("RGB", 40), "AVIF", quality=50, speed=10)


def peak_kb(pid: int, name: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0])


async def measured(data: bytes, wanted: Wanted) -> dict[str, object]:
    async with Cells(1, replace(DEFAULT, seconds=60.0)) as cells:
        cell = await cells._start()  # noqa: SLF001  to see it before its first picture
        ready = peak_kb(cell.process.pid, "VmRSS")
        cells._free.append(cell)  # noqa: SLF001
        done = await cells.develop(data, wanted)
        most = peak_kb(cell.process.pid, "VmHWM")
    said = done.code if isinstance(done, Refused) else "opened"
    return {"said": said, "mb_above_imports": round((most - ready) / 1000)}


async def main() -> None:
    rows = []
    for name, data in cases():
        row: dict[str, object] = {"picture": name, "megabytes": round(len(data) / 1e6, 1)}
        for what, wanted in WANTED.items():
            row[what] = await measured(data, wanted)
        rows.append(row)
        print(row)
    opened = [
        one["mb_above_imports"]
        for row in rows
        for one in (row[what] for what in WANTED)
        if isinstance(one, dict) and one["said"] == "opened"
    ]
    write("prepare_memory", {"goal_mb": MOST_MB, "most_mb": max(opened), "pictures": rows})


if __name__ == "__main__":
    asyncio.run(main())
