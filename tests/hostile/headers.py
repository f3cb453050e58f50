"""Headers that lie about what follows them: JPEG, PNG, GIF, WebP, BMP."""

import random
import struct
import zlib
from collections.abc import Iterator, Mapping

from PIL import Image

from tests.hostile.blocks import (
    PNG_MAGIC,
    Chunk,
    ihdr,
    jpeg,
    jpeg_segments,
    png,
    png_chunk,
    png_chunks,
    replaced,
    resized_jpeg,
    riff_chunks,
    vp8x,
    webp,
)
from tests.hostile.case import Case, drawn, saved

HUGE = 0x7FFFFFFF


def cases(dice: random.Random) -> Iterator[Case]:
    image = drawn(dice)
    families = {
        "jpeg": _jpeg(image),
        "jpeg_tables": _jpeg_tables(image),
        "png": _png(image),
        "png_chunks": _png_chunks(image),
        "gif": _gif(image),
        "webp": _webp(image),
        "bmp": _bmp(image),
    }
    for family, files in families.items():
        for name, (data, opens) in files.items():
            yield Case(f"lie.{family}.{name}", data, opens)


Lies = Mapping[str, tuple[bytes, bool | None]]


def _jpeg(image: Image.Image) -> Lies:
    plain, progressive = saved(image, "JPEG"), saved(image, "JPEG", progressive=True)
    frame = plain.index(b"\xff\xc0")
    return {
        # The library fills up what is missing, and calls that a warning.
        "taller": (resized_jpeg(plain, 192, 512), None),
        "shorter": (resized_jpeg(plain, 192, 130), None),
        "wider": (resized_jpeg(plain, 400, 256), None),
        "huge": (resized_jpeg(plain, 65500, 65500), False),
        "large": (resized_jpeg(plain, 12000, 12000), None),
        "large_progressive": (resized_jpeg(progressive, 9000, 9000), None),
        "huge_progressive": (resized_jpeg(progressive, 65500, 65500), False),
        "no_width": (resized_jpeg(plain, 0, 256), False),
        "no_height": (resized_jpeg(plain, 192, 0), False),
        "12_bit": (replaced(plain, frame + 4, b"\x0c"), False),
        "1_bit": (replaced(plain, frame + 4, b"\x01"), False),
        "no_channels": (replaced(plain, frame + 9, b"\0"), False),
        "255_channels": (replaced(plain, frame + 9, b"\xff"), False),
        "sampled_15": (replaced(plain, frame + 11, b"\xff"), False),
        "sampled_0": (replaced(plain, frame + 11, b"\0"), False),
        "same_channel_twice": (replaced(plain, frame + 13, b"\1"), None),
        "arithmetic": (replaced(plain, frame + 1, b"\xc9"), None),
        "lossless": (replaced(plain, frame + 1, b"\xc3"), False),
        "hierarchical": (replaced(plain, frame + 1, b"\xc5"), False),
        "two_frames": (plain[: frame + 19] + plain[frame:], None),
    }


def _jpeg_tables(image: Image.Image) -> Lies:
    plain = saved(image, "JPEG")
    segments, rest = jpeg_segments(plain)
    no_quant = [one for one in segments if one[0] != 0xDB]
    no_codes = [one for one in segments if one[0] != 0xC4]
    many = [(marker, bytes([0]) + b"\xff" * 16 + body[17:]) for marker, body in segments[-1:]]
    restart = [*segments, (0xDD, b"\0\1")]
    no_components = rest[:4] + b"\0" + rest[5:]
    return {
        "no_quantization": (jpeg(no_quant, rest), False),
        "no_codes": (jpeg(no_codes, rest), None),  # the standard ones stand in
        "overfull_codes": (jpeg([*segments[:-1], *many], rest), False),
        "restarts_missing": (jpeg(restart, rest), None),
        "no_scan": (jpeg(segments, b"\xff\xd9"), False),
        "scan_without_frame": (jpeg([one for one in segments if one[0] != 0xC0], rest), False),
        "scan_without_components": (jpeg(segments, no_components), False),
        "scan_of_nothing": (jpeg(segments, rest[:14] + b"\xff\xd9"), None),
        "scan_of_ones": (jpeg(segments, rest[:14] + b"\xff\0" * 5000 + b"\xff\xd9"), None),
        "scan_twice": (jpeg(segments, rest[:-2] + rest), None),
        "length_0": (plain[:2] + b"\xff\xfe\0\0" + plain[2:], None),
        "length_1": (plain[:2] + b"\xff\xfe\0\1" + plain[2:], None),
        "length_over_the_end": (plain[:2] + b"\xff\xe5\xff\xff" + plain[2:500], False),
        "nested": (plain[:2] + plain + plain[2:], None),
    }


def _raw(chunks: list[Chunk], head: Chunk) -> bytes:
    return png([head, *chunks[1:]])


def _png(image: Image.Image) -> Lies:
    chunks = png_chunks(saved(image, "PNG"))
    body = chunks[0][1]
    rest = b"".join(png_chunk(kind, data) for kind, data in chunks[1:])
    wrong = PNG_MAGIC + png_chunk(b"IHDR", body, 0xDEADBEEF) + rest
    other = ihdr(640, 480)[1]
    return {
        "taller": (_raw(chunks, ihdr(192, 512)), None),
        "wider": (_raw(chunks, ihdr(500, 256)), False),
        "shorter": (_raw(chunks, ihdr(192, 200)), None),
        "crc": (wrong, False),
        "size_without_crc": (PNG_MAGIC + png_chunk(b"IHDR", other, 1) + rest, False),
        "no_width": (_raw(chunks, ihdr(0, 256)), False),
        "no_size": (_raw(chunks, ihdr(0, 0)), False),
        "most_width": (_raw(chunks, ihdr(HUGE, 1)), False),
        "most": (_raw(chunks, ihdr(HUGE, HUGE)), False),
        "negative": (_raw(chunks, ihdr(0xFFFFFFFF, 0xFFFFFF00)), False),
        "depth_3": (_raw(chunks, ihdr(192, 256, depth=3)), False),
        "depth_16": (_raw(chunks, ihdr(192, 256, depth=16)), False),
        "colour_7": (_raw(chunks, ihdr(192, 256, colour=7)), False),
        "grey": (_raw(chunks, ihdr(192, 256, colour=0)), None),
        "no_palette": (_raw(chunks, ihdr(192, 256, colour=3)), None),
        "interlaced": (_raw(chunks, ihdr(192, 256, interlaced=1)), None),
        "interlaced_9": (_raw(chunks, ihdr(192, 256, interlaced=9)), None),
    }


def _png_chunks(image: Image.Image) -> Lies:
    good = saved(image, "PNG")
    chunks = png_chunks(good)
    head, end = chunks[0], chunks[-1]
    packed = b"".join(body for kind, body in chunks if kind == b"IDAT")
    odd_filter = zlib.compress(b"".join(bytes([9]) + bytes(192 * 3) for _ in range(256)))
    at = good.index(b"IDAT")
    palette = png_chunks(saved(image.quantize(50), "PNG"))
    long = [(kind, body * 9 if kind == b"PLTE" else body) for kind, body in palette]
    return {
        "no_idat": (png([head, end]), False),
        "empty_idat": (png([head, (b"IDAT", b""), end]), False),
        "no_ihdr": (png(chunks[1:]), False),
        "ihdr_last": (png([*chunks[1:-1], head, end]), False),
        "two_ihdr": (png([head, ihdr(5000, 5000), *chunks[1:]]), None),
        "short_ihdr": (png([(b"IHDR", head[1][:7]), *chunks[1:]]), False),
        "idat_crc": (replaced(good, len(good) - 16, b"\1\2\3\4"), None),
        "idat_length": (replaced(good, at - 4, b"\x7f\xff\xff\xff"), None),
        "idat_length_0": (replaced(good, at - 4, bytes(4)), False),
        "idat_half": (png([head, (b"IDAT", packed[: len(packed) // 2]), end]), False),
        "idat_garbage": (png([head, (b"IDAT", packed[::-1]), end]), False),
        "filter_9": (png([head, (b"IDAT", odd_filter), end]), None),
        "critical_unknown": (png([head, (b"ABCD", b"x"), *chunks[1:]]), None),
        "kind_not_letters": (png([head, (b"\0\1\2\3", b"x"), *chunks[1:]]), None),
        "palette_long": (png(long), None),
        "palette_missing": (png([one for one in palette if one[0] != b"PLTE"]), None),
        "dictionary": (png([head, (b"IDAT", b"\x78\xbb" + packed[2:]), end]), False),
    }


def _gif(image: Image.Image) -> Lies:
    good = saved(image, "GIF", interlace=0)
    frame = good.index(b",", 13 + 768)

    def sized(at: int, width: int, height: int) -> bytes:
        return replaced(good, at, struct.pack("<HH", width, height))

    return {
        "screen_small": (sized(6, 1, 1), None),
        "screen_0": (sized(6, 0, 0), None),
        "screen_huge": (sized(6, 65535, 65535), False),
        "frame_0": (sized(frame + 5, 0, 0), None),
        "frame_taller": (sized(frame + 5, 192, 1000), None),
        "frame_huge": (sized(frame + 5, 65535, 65535), False),
        "frame_outside": (sized(frame + 1, 60000, 60000), None),
        "code_size_0": (replaced(good, frame + 10, b"\0"), None),
        "code_size_200": (replaced(good, frame + 10, b"\xc8"), None),
        "no_blocks": (good[: frame + 11] + b"\0;", None),
        "no_frame": (good[:frame] + b";", False),
        "endless_extension": (good[:frame] + b"!\xfe" + b"\xff" + bytes([255]) * 9000, False),
        "version": (replaced(good, 3, b"99z"), None),
    }


def _webp(image: Image.Image) -> Lies:
    lossy, lossless = saved(image, "WEBP"), saved(image, "WEBP", lossless=True)
    plain, packed = riff_chunks(lossy), riff_chunks(lossless)
    header = lossless.index(b"VP8L") + 9
    key = lossy.index(b"\x9d\x01\x2a") + 3
    return {
        "riff_short": (webp(plain, 20), None),
        "riff_long": (webp(plain, 0xFFFFFFF0), None),
        "riff_0": (webp(plain, 0), None),
        "canvas_larger": (webp([vp8x(5000, 5000), *plain]), None),
        "canvas_smaller": (webp([vp8x(16, 16), *plain]), None),
        "canvas_most": (webp([vp8x(1 << 24, 1 << 24), *plain]), False),
        "canvas_only": (webp([vp8x(192, 256)]), False),
        "animated_without_frames": (webp([vp8x(192, 256, 2), (b"ANIM", bytes(6))]), False),
        "animated_without_anim": (webp([vp8x(192, 256, 2), *plain]), None),
        "alpha_missing": (webp([vp8x(192, 256, 16), *plain]), None),
        "alpha_garbage": (webp([vp8x(192, 256, 16), (b"ALPH", b"\1" * 50), *plain]), None),
        "key_frame_larger": (replaced(lossy, key, struct.pack("<HH", 4000, 3000)), False),
        "key_frame_0": (replaced(lossy, key, bytes(4)), False),
        "lossless_larger": (replaced(lossless, header, b"\xff\xff\xff\x0f"), False),
        "lossless_version": (replaced(lossless, header + 3, b"\xff"), False),
        "both": (webp([*plain, *packed]), None),
        "chunk_length": (replaced(lossy, 16, b"\xff\xff\xff\xff"), None),
        "chunk_length_0": (replaced(lossy, 16, bytes(4)), False),
    }


def _bmp(image: Image.Image) -> Lies:
    good = saved(image, "BMP")

    def info(at: int, value: int) -> bytes:
        return replaced(good, at, struct.pack("<I", value & 0xFFFFFFFF))

    def short(at: int, value: int) -> bytes:
        return replaced(good, at, struct.pack("<H", value))

    return {
        "no_width": (info(18, 0), False),
        "no_height": (info(22, 0), False),
        "negative_width": (info(18, -192), False),
        "most_negative": (info(22, -(1 << 31)), False),
        "most": (replaced(good, 18, struct.pack("<ii", HUGE, HUGE)), False),
        "taller": (info(22, 3000), False),
        "offset_0": (info(10, 0), None),
        "offset_outside": (info(10, HUGE), False),
        "header_2_gb": (info(14, HUGE), False),
        "header_0": (info(14, 0), False),
        "header_short": (info(14, 5), False),
        "header_os2": (info(14, 12), None),
        "depth_0": (short(28, 0), False),
        "depth_1": (short(28, 1), None),
        "depth_99": (short(28, 99), False),
        "runs_in_24_bit": (info(30, 1), None),
        "fields": (info(30, 3), None),
        "jpeg_inside": (info(30, 4), False),
        "compression_999": (info(30, 999), False),
        "colours_2_billion": (info(46, HUGE), None),
        "file_size_0": (info(2, 0), None),
    }
