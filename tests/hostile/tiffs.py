"""TIFF files that lie, run in circles, or grow."""

import lzma
import random
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace

from tests.hostile.case import Case, drawn, saved, zeros
from tests.hostile.odd_tiff import TILE_COUNTS, TILE_HEIGHT, TILE_OFFSETS, TILE_WIDTH, tiled
from tests.hostile.tiff_file import (
    COMPRESSION,
    COUNTS,
    DEPTH,
    HEIGHT,
    ITSELF,
    LONG,
    OFFSETS,
    PHOTOMETRIC,
    ROWS,
    SAMPLES,
    SHORT,
    UNDEFINED,
    WIDTH,
    Entry,
    lied,
    rgb,
    tiff,
)

DEFLATE, LZW, JPEG, PACKBITS, LZMA, ZSTD = 8, 5, 7, 32773, 34925, 50000
MOST = 0xFFFFFFFF
EXIF_IFD, GPS_IFD, SUB_IFDS, SAMPLE_FORMAT, PREDICTOR = 34665, 34853, 330, 339, 317
Lied = tuple[str, bytes, bool | None]


def cases(dice: random.Random) -> Iterator[Case]:
    image = drawn(dice)
    raw, size = image.tobytes(), image.size
    for kind in (_values(raw, size), _places(raw, size, dice), _circles(raw, size)):
        for name, data, opens in kind:
            yield Case(f"lie.tiff.{name}", data, opens)
    for name, data, opens in _tiles(saved(image, "TIFF"), tiled(image)):
        yield Case(f"lie.tiff.{name}", data, opens)
    for name, data, opens in _bombs(raw, size, dice):
        yield Case(f"bomb.tiff.{name}", data, opens)


def _values(raw: bytes, size: tuple[int, int]) -> Iterator[Lied]:
    good = rgb(*size, raw)
    for name, tag, values, opens in (
        ("width_0", WIDTH, [0], False),
        ("width_most", WIDTH, [MOST], False),
        ("height_0", HEIGHT, [0], False),
        ("height_most", HEIGHT, [MOST], False),
        ("taller", HEIGHT, [600], None),
        ("shorter", HEIGHT, [150], None),
        ("wider", WIDTH, [700], False),
        ("samples_0", SAMPLES, [0], None),
        ("samples_200", SAMPLES, [200], None),
        ("samples_most", SAMPLES, [65535], None),
        ("compression_9999", COMPRESSION, [9999], False),
        ("compression_0", COMPRESSION, [0], None),
        ("says_lzw", COMPRESSION, [LZW], False),
        ("says_deflate", COMPRESSION, [DEFLATE], False),
        ("says_jpeg", COMPRESSION, [JPEG], False),
        ("says_old_jpeg", COMPRESSION, [6], False),
        ("says_fax", COMPRESSION, [4], False),
        ("says_lzma", COMPRESSION, [LZMA], False),
        ("says_zstd", COMPRESSION, [ZSTD], False),
        ("says_webp", COMPRESSION, [50001], False),
        ("says_thunder", COMPRESSION, [32809], None),
        ("says_jpeg_2000", COMPRESSION, [34712], False),
        ("colours_99", PHOTOMETRIC, [99], False),
        ("depth_0", DEPTH, [0, 0, 0], None),
        ("depth_64", DEPTH, [64, 64, 64], None),
        ("depth_mixed", DEPTH, [1, 8, 16], None),
        ("depth_many", DEPTH, [8] * 60_000, None),
        ("rows_0", ROWS, [0], None),
        ("rows_most", ROWS, [MOST], None),
        ("rows_1", ROWS, [1], None),
        ("float", SAMPLE_FORMAT, [3], None),
        ("predictor_99", PREDICTOR, [99], None),
    ):
        yield name, tiff(lied(good, tag, *values), raw), opens
    yield "no_entries", tiff({}, raw), False
    for tag in (WIDTH, HEIGHT, OFFSETS):
        missing = {key: entry for key, entry in good.items() if key != tag}
        yield f"without_{tag}", tiff(missing, raw), False


def _places(raw: bytes, size: tuple[int, int], dice: random.Random) -> Iterator[Lied]:
    good = rgb(*size, raw)
    yield "strip_outside", tiff(lied(good, OFFSETS, 1 << 30), raw), False
    yield "strip_most", tiff(lied(good, OFFSETS, MOST), raw), False
    yield "strip_is_header", tiff(lied(good, OFFSETS, 0), raw), None
    yield "strip_bytes_0", tiff(lied(good, COUNTS, 0), raw), None
    yield "strip_bytes_few", tiff(lied(good, COUNTS, 1000), raw), None
    yield "strip_bytes_most", tiff(lied(good, COUNTS, MOST), raw), None
    twelve = lied(lied(good, OFFSETS, *range(8, 20)), COUNTS, *[MOST] * 12)
    yield "strips_too_many", tiff(twelve, raw), None
    fewer = lied(good, ROWS, 1)
    yield "strips_too_few", tiff(lied(fewer, OFFSETS, 8, 9), raw), None
    packed = zlib.compress(raw)
    short = lied(rgb(*size, packed, DEFLATE), COUNTS, len(packed) // 2)
    yield "deflate_bytes_half", tiff(short, packed), False
    for kind in (0, 13, 16, 99):
        entry = Entry(700, UNDEFINED, b"x" * 9)
        data = tiff({**good, 700: entry}, raw)
        line = struct.pack("<HH", 700, UNDEFINED)
        yield f"kind_{kind}", data.replace(line, struct.pack("<HH", 700, kind)), None
    for name, count, offset in (("most", MOST, None), ("outside", 9000, 1 << 31)):
        lying = Entry(700, UNDEFINED, b"x" * 9, count, offset)
        yield f"count_{name}", tiff({**good, 700: lying}, raw), None
    lying = Entry(DEPTH, SHORT, [8, 8, 8], 1 << 31)
    yield "depth_count_most", tiff({**good, DEPTH: lying}, raw), None
    lying = Entry(OFFSETS, LONG, [8], 1 << 29)
    yield "strip_count_most", tiff({**good, OFFSETS: lying}, raw), None
    for tag in (WIDTH, HEIGHT):
        wrong = replace(good[tag], kind=7, values=b"abcd")
        yield f"text_for_{tag}", tiff({**good, tag: wrong}, raw), None
    profile = Entry(34675, UNDEFINED, dice.randbytes(3000))
    yield "profile_garbage", tiff({**good, 34675: profile}, raw), None


def _circles(raw: bytes, size: tuple[int, int]) -> Iterator[Lied]:
    good = rgb(*size, raw)
    yield "next_is_itself", tiff(good, raw, after=ITSELF), None
    yield "next_is_outside", tiff(good, raw, after=MOST), None
    yield "next_is_header", tiff(good, raw, after=2), None
    itself = struct.unpack_from("<I", tiff(good, raw), 4)[0]
    for tag in (EXIF_IFD, GPS_IFD, SUB_IFDS):
        yield f"tag_{tag}_is_itself", tiff(lied(good, tag, itself), raw), None
        yield f"tag_{tag}_is_outside", tiff(lied(good, tag, MOST), raw), None
    yield "sub_directories", tiff(lied(good, SUB_IFDS, *[itself] * 5000), raw), None
    data = tiff(good, raw)
    yield "first_is_header", data[:4] + bytes(4) + data[8:], False
    yield "first_is_outside", data[:4] + b"\xf0\xff\xff\xff" + data[8:], False
    yield "first_inside_pixels", data[:4] + struct.pack("<I", 999) + data[8:], False
    yield "other_order", b"MM\0*" + data[4:], False
    big = b"II+\0\x08\0\0\0" + struct.pack("<Q", 1 << 62) + raw
    yield "big_outside", big, False
    big = b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1 << 60) + raw
    yield "big_entries", big, False


def _tiles(plain: bytes, tiles: bytes) -> Iterator[Lied]:
    """The entries of the tiles, one after the other, say something impossible."""
    for name, tag, value in (
        ("tile_width_0", TILE_WIDTH, 0),
        ("tile_width_most", TILE_WIDTH, MOST),
        ("tile_width_odd", TILE_WIDTH, 17),
        ("tile_height_0", TILE_HEIGHT, 0),
        ("tile_height_most", TILE_HEIGHT, 1 << 31),
        ("tile_counts_outside", TILE_COUNTS, 1 << 30),
        ("tile_offsets_outside", TILE_OFFSETS, 1 << 30),
    ):
        at = tiles.rindex(struct.pack("<HH", tag, LONG))
        yield name, tiles[: at + 8] + struct.pack("<I", value) + tiles[at + 12 :], None
    yield "no_directory", plain[:8], False


def _bombs(raw: bytes, size: tuple[int, int], dice: random.Random) -> Iterator[Lied]:
    for side, opens in ((6300, True), (6400, False), (30000, False)):
        packed = zeros(side * side * 3)
        yield f"deflate_{side}", tiff(rgb(side, side, packed, DEFLATE), packed), opens
    packed = zeros(1_500_000_000)
    yield "deflate_more_than_the_picture", tiff(rgb(*size, packed, DEFLATE), packed), None
    yield "header_65500", tiff(rgb(65500, 65500, raw), raw), False
    yield "header_6000", tiff(rgb(6000, 6000, raw), raw), False
    packbits = b"\x81\0" * (6000 * 6000 * 3 // 128 + 1)
    yield "packbits_6000", tiff(rgb(6000, 6000, packbits, PACKBITS), packbits), True
    packed = lzma.compress(bytes(5000 * 5000 * 3), preset=0)
    yield "lzma_5000", tiff(rgb(5000, 5000, packed, LZMA), packed), None
    hungry = hungry_lzma(lzma.compress(raw))
    yield "lzma_dictionary_4_gb", tiff(rgb(*size, hungry, LZMA), hungry), None
    strips = zlib.compress(bytes(size[0] * 3))
    shared = lied(lied(rgb(*size, strips, DEFLATE), ROWS, 1), OFFSETS, *[8] * size[1])
    shared = lied(shared, COUNTS, *[len(strips)] * size[1])
    yield "strips_shared", tiff(shared, strips), None
    entries = {n: Entry(n, LONG, [n]) for n in range(1000, 60_000)}
    yield "59000_entries", tiff({**rgb(*size, raw), **entries}, raw), None
    yield "30000_directories", _chained(raw, size, 30_000), None
    for name, tag in (("software", 305), ("xmp", 700), ("photoshop", 34377), ("maker", 37500)):
        text = Entry(tag, UNDEFINED, dice.randbytes(3_000_000))
        yield f"{name}_3_mb", tiff({**rgb(*size, raw), tag: text}, raw), None


def hungry_lzma(packed: bytes) -> bytes:
    """The header asks for a dictionary of 4 GB, with its check sum in order (xz format, 3.1)."""
    at = 12
    length = (packed[at] + 1) * 4
    head = bytearray(packed[at : at + length - 4])
    head[head.index(b"\x21\x01") + 2] = 40
    return packed[:at] + bytes(head) + struct.pack("<I", zlib.crc32(head)) + packed[at + length :]


def _chained(raw: bytes, size: tuple[int, int], count: int) -> bytes:
    data = tiff(rgb(*size, raw), raw)
    at = len(data)
    links = [struct.pack("<HI", 0, at + 6 * (n + 1)) for n in range(count)]
    return data[:-4] + struct.pack("<I", at) + b"".join(links) + bytes(6)
