"""WebP, AVIF and HEIC: lies in the boxes round the picture, and bombs in the picture."""

import random
import struct
from collections.abc import Iterator

from PIL import Image

from tests.hostile.blocks import (
    Chunk,
    box,
    full_box,
    patched_box,
    replaced,
    riff_chunk,
    riff_chunks,
    vp8x,
    webp,
)
from tests.hostile.case import Case, drawn, saved
from tests.hostile.heic import Lies, heic

FAST = {"speed": 10, "max_threads": 1}
Lied = tuple[str, bytes, bool | None]


def cases(dice: random.Random) -> Iterator[Case]:
    image = drawn(dice)
    plain = saved(image, "AVIF", **FAST)
    for name, data, opens in (
        *_both("avif", plain),
        *_both("heic", heic(image)),
        *_avif(plain, image),
        *_heic(image, dice),
        *_nested(plain),
    ):
        yield Case(f"lie.{name}", data, opens)
    for name, data, opens in (*_webp_bombs(image), *_avif_bombs(plain)):
        yield Case(f"bomb.{name}", data, opens)


def _both(family: str, data: bytes) -> Iterator[Lied]:
    """Lies that the two formats have in common."""
    size = struct.pack(">II", 192, 256)
    at = data.index(b"meta") - 4
    length = struct.unpack_from(">I", data, at)[0]
    for name, lied, opens in (
        ("size_0", data.replace(size, bytes(8)), False),
        ("size_larger", data.replace(size, struct.pack(">II", 1920, 2560)), None),
        ("size_smaller", data.replace(size, struct.pack(">II", 130, 140)), None),
        ("size_65500", data.replace(size, struct.pack(">II", 65500, 65500)), False),
        ("size_most", data.replace(size, b"\xff" * 8), False),
        ("size_16000", data.replace(size, struct.pack(">II", 16000, 16000)), False),
        ("brand", replaced(data, 8, b"xxxx"), None),
        ("brand_hevx", replaced(data, 8, b"hevx"), None),
        ("brand_mp4", replaced(data, 8, b"isom"), None),
        ("no_meta", data[:at] + data[at + length :], False),
        ("meta_is_free", replaced(data, at + 4, b"free"), False),
        ("meta_twice", data[: at + length] + data[at:], None),
        ("meta_length_0", replaced(data, at, bytes(4)), None),
        ("meta_length_1", replaced(data, at, b"\0\0\0\1"), False),
        ("meta_length_most", replaced(data, at, b"\xff\xff\xff\xff"), False),
        ("ftyp_length_most", replaced(data, 0, b"\x7f\xff\xff\xff"), False),
        ("primary_unknown", patched_box(data, b"pitm", 4, b"\x77\x77"), False),
        ("items_most", patched_box(data, b"iinf", 4, b"\xff\xff"), None),
        ("places_most", patched_box(data, b"iloc", 6, b"\xff\xff"), False),
        ("place_outside", patched_box(data, b"iloc", 14, b"\x70\0\0\0"), False),
        ("place_long", patched_box(data, b"iloc", 18, b"\x7f\0\0\0"), False),
        ("place_of_0", patched_box(data, b"iloc", 18, bytes(4)), False),
        ("properties_missing", data.replace(b"ispe", b"free"), False),
        ("links_most", patched_box(data, b"ipma", 4, b"\xff\xff\xff\xff"), False),
        ("no_mdat", data[: data.rindex(b"mdat") - 4], False),
    ):
        yield f"{family}.{name}", lied, opens


def _avif(plain: bytes, image: Image.Image) -> Iterator[Lied]:
    alpha = image.convert("RGBA")
    alpha.putalpha(image.convert("L"))
    clear = saved(alpha, "AVIF", **FAST)
    config = plain.index(b"av1C") + 4
    for depth in (0x20, 0x40, 0x60):
        bits = bytes([plain[config + 2] | depth])
        yield f"avif.depth_{depth:02x}", replaced(plain, config + 2, bits), None
    yield "avif.no_config", plain.replace(b"av1C", b"free"), None
    yield "avif.hevc_inside", plain.replace(b"av01", b"hvc1"), None
    yield "avif.alpha_of_itself", clear.replace(b"auxl\0\2", b"auxl\0\1"), None
    yield "avif.alpha_is_unknown", clear.replace(b"auxl\0\2", b"auxl\0\x77"), None
    start = plain.rindex(b"mdat") + 4
    yield "avif.stream_reversed", plain[:start] + plain[start:][::-1], False
    yield "avif.stream_zeros", plain[:start] + bytes(len(plain) - start), False


def _heic(image: Image.Image, dice: random.Random) -> Iterator[Lied]:
    plain = heic(image)
    start = plain.rindex(b"mdat") + 4
    for name, lies, opens in (
        ("coded_larger", Lies(coded=(640, 640)), None),
        ("coded_8192", Lies(coded=(8192, 8192), shown=(192, 256)), None),
        ("coded_65504", Lies(coded=(65504, 65504)), False),
        ("coded_8192_shown_too", Lies(coded=(8192, 8192)), False),
        ("coded_6016", Lies(coded=(6016, 6016)), None),
        ("coded_smaller", Lies(coded=(128, 128)), None),
        ("coded_0", Lies(coded=(0, 0), shown=(192, 256)), False),
        ("turned_7", Lies(turns=7), None),
        ("length_0", Lies(length=0), False),
        ("length_most", Lies(length=0x7FFFFFFF), False),
        ("length_half", Lies(length=20_000), None),
    ):
        yield f"heic.{name}", heic(image, lies), opens
    yield "heic.stream_reversed", plain[:start] + plain[start:][::-1], False
    yield "heic.stream_random", plain[:start] + dice.randbytes(len(plain) - start), None
    yield "heic.unit_most", replaced(plain, start, b"\xff\xff\xff\xff"), False
    yield "heic.av1_inside", plain.replace(b"hvc1", b"av01"), False
    yield "heic.config_garbage", patched_box(plain, b"hvcC", 0, dice.randbytes(60)), False
    yield "heic.exif_garbage", heic(image, exif=dice.randbytes(60_000)), None
    kind = heic(image, exif=bytes(40)).replace(b"\0Exif\0", b"\0\xf4xif\0", 1)
    # Its reader hands the name of the item to Python as UTF-8, and dies of the answer.
    yield "heic.item_kind_not_text", kind, None
    for brand in (b"heix", b"hevc", b"msf1", b"avif"):
        yield f"heic.brand_{brand.decode()}", replaced(plain, 8, brand), None


def _nested(plain: bytes) -> Iterator[Lied]:
    head = plain[: plain.index(b"meta") - 4]
    deep = b""
    for _ in range(4000):
        deep = box(b"ipco", deep)
    yield "avif.boxes_in_boxes", head + full_box(b"meta", 0, box(b"iprp", deep)), False
    for family, brand, codec in (("avif", b"avif", b"av01"), ("heic", b"heic", b"hvc1")):
        for name, links in (("of_itself", [1] * 4), ("of_255", list(range(2, 6)) * 60)):
            yield f"{family}.grid_{name}", _grid(brand, codec, links), False
    yield "avif.empty_boxes", head + box(b"free", b"") * 100_000 + plain[len(head) :], None


def _grid(brand: bytes, codec: bytes, links: list[int]) -> bytes:
    """A picture put together from others, each of 30000x30000, or from itself."""
    numbers = range(1, 6)
    infos = b"".join(
        full_box(b"infe", 2, struct.pack(">HH", n, 0) + (b"grid" if n == 1 else codec) + b"\0")
        for n in numbers
    )
    places = b"".join(struct.pack(">HHHHII", n, 1, 0, 1, 0, 8) for n in numbers)
    body = full_box(b"hdlr", 0, bytes(4) + b"pict" + bytes(13))
    body += full_box(b"pitm", 0, struct.pack(">H", 1))
    body += full_box(b"iloc", 1, struct.pack(">HH", 0x4400, 5) + places)
    body += full_box(b"iinf", 0, struct.pack(">H", 5) + infos)
    listed = struct.pack(f">HH{len(links)}H", 1, len(links), *links)
    body += full_box(b"iref", 0, box(b"dimg", listed))
    size = full_box(b"ispe", 0, struct.pack(">II", 30000, 30000))
    linked = b"".join(struct.pack(">HBB", n, 1, 1) for n in numbers)
    link = full_box(b"ipma", 0, struct.pack(">I", 5) + linked)
    body += box(b"iprp", box(b"ipco", size) + link)
    body += box(b"idat", struct.pack(">BBBBHH", 0, 0, 15, 15, 30000, 30000))
    head = box(b"ftyp", brand + bytes(4) + b"mif1" + brand)
    return head + full_box(b"meta", 0, body)


def _webp_bombs(image: Image.Image) -> Iterator[Lied]:
    small = riff_chunks(saved(Image.new("RGB", (16, 16), (90, 90, 90)), "WEBP", lossless=True))
    body = small[0][1]

    def flat(side: int) -> Chunk:
        """Of one colour, and so without a bit for any pixel: the size is all there is."""
        bits = (side - 1) | (side - 1) << 14 | (int.from_bytes(body[1:5], "little") >> 28) << 28
        return b"VP8L", body[:1] + bits.to_bytes(4, "little") + body[5:]

    def frame(side: int, chunk: Chunk) -> Chunk:
        edge = (side - 1).to_bytes(3, "little")
        return b"ANMF", bytes(6) + edge + edge + b"\x0a\0\0\0" + riff_chunk(*chunk)

    def animated(canvas: int, frames: list[Chunk]) -> bytes:
        return webp([vp8x(canvas, canvas, 2), (b"ANIM", bytes(6)), *frames])

    for side, opens in (
        (4400, True),
        (5000, None),
        (5500, None),
        (6300, None),
        (6400, False),
        (16384, False),
    ):
        yield f"webp.flat_{side}", webp([flat(side)]), opens
    yield "webp.3000_frames", animated(300, [frame(16, small[0])] * 3000), None
    yield "webp.canvas_16383", animated(16383, [frame(16, small[0])]), False
    yield "webp.frames_of_16383", animated(16383, [frame(16383, flat(16383))] * 300), False
    yield "webp.frames_of_6000", animated(6000, [frame(6000, flat(6000))] * 300), None
    extras = [(b"EXIF", b"x" * 10)] * 20_000
    plain = riff_chunks(saved(image, "WEBP"))
    yield "webp.20000_chunks", webp([vp8x(192, 256, 8), *plain, *extras]), None
    profile = (b"ICCP", bytes(3_000_000))
    yield "webp.profile_3_mb", webp([vp8x(192, 256, 32), profile, *plain]), None


def _avif_bombs(plain: bytes) -> Iterator[Lied]:
    flat = Image.new("L", (6000, 6000), 90)
    yield "avif.flat_6000", saved(flat, "AVIF", **FAST), None
    at = plain.index(b"meta") - 4
    yield "avif.free_3_mb", plain[:at] + box(b"free", bytes(3_000_000)) + plain[at:], None
