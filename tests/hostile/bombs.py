"""Little files that are large inside: PNG, JPEG, GIF, BMP."""

import random
import struct
import zlib
from collections.abc import Iterator, Mapping

from PIL import Image

from tests.hostile.blocks import (
    Chunk,
    after_ihdr,
    ihdr,
    png,
    png_chunks,
    resized_jpeg,
    segment,
    with_segment,
)
from tests.hostile.case import Case, drawn, saved, zeros

END = (b"IEND", b"")
FLAT_BLOCKS = b"\x28\xa2\x8a"  # four blocks of plain grey with the standard codes
RUN = 32767  # most blocks that one symbol of a progressive scan ends

Bombs = Mapping[str, tuple[bytes, bool | None]]


def cases(dice: random.Random) -> Iterator[Case]:
    image = drawn(dice)
    families = {
        "png": _png(),
        "png_chunks": _png_chunks(image, dice),
        "apng": _apng(image),
        "jpeg": _jpeg(image),
        "gif": _gif(image),
        "bmp": _bmp(image),
    }
    for family, files in families.items():
        for name, (data, opens) in files.items():
            yield Case(f"bomb.{family}.{name}", data, opens)


def _png() -> Bombs:
    """``flat`` ones are within the limits of pixels, and have to be within those of memory."""
    return {
        "1_bit_30000": (flat_png(30000, 1, 0), False),
        "rgb_12000": (flat_png(12000, 8, 2), False),
        "rgb_8200": (flat_png(8200, 8, 2), False),
        "header_65500": (png([ihdr(65500, 65500), (b"IDAT", zeros(1000)), END]), False),
        "flat_1_bit": (flat_png(8000, 1, 0), True),
        "flat_palette": (flat_png(8000, 8, 3), True),
        "flat_rgb": (flat_png(7900, 8, 2), True),
        "flat_alpha": (flat_png(7900, 8, 6), True),
        "flat_deep_grey": (flat_png(7900, 16, 0), True),
        "flat_deep_alpha": (flat_png(7900, 16, 6), None),
        "flat_interlaced": (flat_png(6000, 8, 2, interlaced=1), None),
        "more_than_the_picture": (
            png([ihdr(200, 200), (b"IDAT", zeros(2_000_000_000)), END]),
            None,
        ),
    }


def flat_png(side: int, depth: int, colour: int, interlaced: int = 0) -> bytes:
    bits = side * depth * {0: 1, 2: 3, 3: 1, 6: 4}[colour]
    rows = side * 2 if interlaced else side
    palette = [(b"PLTE", bytes(range(256)) * 3)] if colour == 3 else []
    body = zeros(rows * ((bits + 7) // 8 + 1))
    return png([ihdr(side, side, depth, colour, interlaced), *palette, (b"IDAT", body), END])


def _png_chunks(image: Image.Image, dice: random.Random) -> Bombs:
    good = saved(image, "PNG")
    head, *rest = png_chunks(good)
    text = b"Comment\0\0"
    keys = [(b"tEXt", dice.randbytes(9).hex().encode() + b"\0v") for _ in range(9000)]

    def with_texts(count: int, body: bytes, kind: bytes = b"zTXt") -> bytes:
        return png([head, *[(kind, body)] * count, *rest])

    return {
        "ztxt_60_mb": (with_texts(1, text + zeros(60_000_000)), None),
        "ztxt_many": (with_texts(90, text + zeros(1_000_000)), None),
        "ztxt_behind": (png([head, *rest[:-1], (b"zTXt", text + zeros(60_000_000)), END]), None),
        "itxt": (with_texts(1, b"x\0\1\0\0\0" + zeros(90_000_000), b"iTXt"), None),
        "iccp": (with_texts(1, b"icc\0\0" + zeros(500_000_000), b"iCCP"), None),
        "iccp_many": (with_texts(40, b"icc\0\0" + zeros(20_000_000), b"iCCP"), None),
        "texts": (with_texts(20_000, b"k\0v", b"tEXt"), True),
        "text_keys": (png([head, *keys, *rest]), True),
        "empty_idats": (png([head, *[(b"IDAT", b"")] * 60_000, *rest]), None),
        "private": (after_ihdr(good, *[(b"lrBt", b"")] * 60_000), True),
        "text_4_mb": (with_texts(1, b"k\0" + b"v" * 4_000_000, b"tEXt"), None),
    }


def _apng(image: Image.Image) -> Bombs:
    head, *rest = png_chunks(saved(image, "PNG"))
    small = zlib.compress(bytes(4))

    def frame(number: int, width: int, height: int, x: int = 0) -> list[Chunk]:
        place = struct.pack(">IIIIIHHBB", number, width, height, x, 0, 1, 10, 0, 0)
        return [(b"fcTL", place), (b"fdAT", struct.pack(">I", number + 1) + small)]

    def animated(count: int, frames: list[Chunk]) -> bytes:
        return png([head, (b"acTL", struct.pack(">II", count, 0)), *rest[:-1], *frames, END])

    many = [chunk for n in range(5000) for chunk in frame(2 * n, 1, 1)]
    before = frame(0, 192, 256)[:1]
    return {
        "5000_frames": (animated(5000, many), True),
        "no_frames": (animated(0, []), None),
        "4_billion_frames": (animated(0xFFFFFFFF, many[:6]), None),
        "frames_missing": (animated(5000, []), None),
        "frame_huge": (animated(2, frame(0, 60000, 60000)), None),
        "frame_outside": (animated(2, frame(0, 10, 10, 5000)), None),
        "frame_0": (animated(2, frame(0, 0, 0)), None),
        "sequence_wrong": (animated(3, [*frame(9, 1, 1), *frame(2, 1, 1)]), None),
        "first_frame_huge": (
            png([head, (b"acTL", struct.pack(">II", 1, 0)), *frame(0, 30000, 30000)[:1], *rest]),
            None,
        ),
        "two_controls": (animated(2, [*before, *before, *frame(1, 1, 1)]), None),
    }


def _jpeg(image: Image.Image) -> Bombs:
    good = saved(image, "JPEG")
    grown = good
    for _ in range(60):
        grown = with_segment(grown, 0xFE, bytes(65_000))
    return {
        "flat_196_mp": (flat_jpeg(14000), None),
        "flat_100_mp": (flat_jpeg(10000), True),
        "flat_1_gp": (flat_jpeg(32000, blocks=1000), False),
        "flat_progressive_96_mp": (progressive(9800, 1), None),
        "scans_60": (progressive(3000, 60), None),
        "scans_for_ever": (progressive(9600, 6000), False),
        "comments_4_mb": (grown, True),
        "segments_50000": (good[:2] + segment(0xEB, b"") * 50_000 + good[2:], True),
        "markers_filled": (good[:2] + b"\xff" * 2_000_000 + good[2:], None),
        "restarts_only": (resized_jpeg(good, 9000, 9000)[:-2] + b"\xff\xd0" * 200_000, None),
    }


def flat_jpeg(side: int, blocks: int | None = None) -> bytes:
    """Grey, one quantum of 24 bits for four blocks; no byte of it needs stuffing."""
    head = saved(Image.new("L", (16, 16), 128), "JPEG")
    head = resized_jpeg(head, side, side)
    scan = head.index(b"\xff\xda")
    count = ((side + 7) // 8) ** 2 if blocks is None else blocks
    return head[: scan + 10] + FLAT_BLOCKS * (count // 4 + 1) + b"\xff\xd9"


def progressive(side: int, scans: int) -> bytes:
    """Each scan costs the decoder a walk over all blocks, and the sender some thirty bytes."""
    blocks = ((side + 7) // 8) ** 2
    frame = struct.pack(">BHHBBBB", 8, side, side, 1, 1, 0x11, 0)
    one_code = b"\1" + bytes(15)
    tables = segment(0xDB, bytes([0]) + bytes([1]) * 64) + segment(0xC2, frame)
    tables += segment(0xC4, b"\x00" + one_code + b"\0")  # DC: no difference, in one bit
    tables += segment(0xC4, b"\x10" + one_code + b"\xe0")  # AC: 2^14 blocks and more have ended
    symbol = "0" + "1" * 14  # 2^14 and 2^14 - 1 more
    text = symbol * -(-blocks // RUN)
    text += "0" * (-len(text) % 8)
    body = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")
    flat = segment(0xDA, b"\1\1\0\0\0\0") + bytes(blocks // 8 + 1)
    scan = segment(0xDA, b"\1\1\0\1\x3f\0") + body
    return b"\xff\xd8" + tables + flat + scan * scans + b"\xff\xd9"


def _gif(image: Image.Image) -> Bombs:
    good = saved(image, "GIF", interlace=0)
    frame = good.index(b",", 13 + 768)
    tiny = b"!\xf9\x04\0\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2L\1\0"
    screen = good[:6] + struct.pack("<HH", 65535, 65535) + good[10:frame]
    comment = b"!\xfe" + (b"\xff" + b"c" * 255) * 12_000 + b"\0"
    return {
        "8000_frames": (good[:-1] + tiny * 8000 + b";", True),
        "screen_65535": (screen + tiny + b";", False),
        "screen_65535_many": (screen + tiny * 2000 + b";", False),
        "comment_3_mb": (good[:frame] + comment + good[frame:], None),
        "controls_50000": (good[:frame] + b"!\xf9\x04\0\0\0\0\0" * 50_000 + good[frame:], None),
        "flat_49_mp": (saved(Image.new("P", (7000, 7000)), "GIF", interlace=0), None),
        "second_frame_huge": (
            good[:-1] + b",\0\0\0\0\xff\xff\xff\xff\0\2\2L\1\0;",
            None,
        ),
    }


def _bmp(image: Image.Image) -> Bombs:
    head = saved(image.convert("L"), "BMP")[: 54 + 1024]
    head = head[:14] + struct.pack("<IiiHHI", 40, 7900, 7900, 1, 8, 1) + head[34:]
    runs = (b"\xff\0" * 30 + b"\xfa\0" + b"\0\0") * 7900
    return {
        "runs_62_mp": (head + runs + b"\0\1", None),
        "moves": (head + b"\0\2\xff\xff" * 200 + b"\0\1", None),
        "moves_many": (head + b"\0\2\0\0" * 100_000 + b"\0\1", None),
        "ends_of_rows": (head + b"\0\0" * 200_000 + b"\0\1", None),
        "copies_of_nothing": (head + b"\0\3\0\0\0\0" * 50_000, None),
    }
