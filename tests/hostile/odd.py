"""Uploads that are odd and good: a decoder that refuses one of these turns a photographer away."""

import random
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import ExifTags, Image

from tests.hostile import profiles
from tests.hostile.blocks import after_ihdr, jpeg_segments, png, png_chunks, replaced, with_segment
from tests.hostile.case import Case, drawn, saved
from tests.hostile.heic import Lies, heic
from tests.hostile.png_file import deep, interlaced


def cases(dice: random.Random) -> Iterator[Case]:
    image = drawn(dice)
    families = {
        "jpeg": _jpeg(image, dice),
        "png": _png(image, dice) | _png_chunks(image),
        "gif": _gif(image, dice),
        "webp": _webp(image),
        "bmp": _bmp(image),
        "avif": _avif(image),
        "heic": _heic(image),
    }
    for family, files in families.items():
        for name, data in files.items():
            yield Case(f"odd.{family}.{name}", data, opens=True)
    yield from _not_photos(dice)


def _not_photos(dice: random.Random) -> Iterator[Case]:
    """Good files with nothing to learn from: too small, or a scroll."""
    for name, size in (("1x1", (1, 1)), ("12000x40", (12000, 40)), ("100x5000", (100, 5000))):
        image = drawn(dice, (64, 64)).resize(size)
        for form in ("PNG", "JPEG", "WEBP", "AVIF"):
            yield Case(f"odd.{form.lower()}.{name}", saved(image, form), opens=False)
    wide = drawn(dice, (1200, 150))
    yield Case("odd.jpeg.8_to_1", saved(wide, "JPEG"), opens=False)


def _turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif.tobytes()


def _jpeg(image: Image.Image, dice: random.Random) -> dict[str, bytes]:
    plain = saved(image, "JPEG", quality=90)
    _, rest = jpeg_segments(plain)
    turned = {f"exif_{n}": saved(image, "JPEG", exif=_turned(n)) for n in range(1, 9)}
    return turned | {
        "plain": plain,
        "progressive": saved(image, "JPEG", progressive=True),
        "grey": saved(image.convert("L"), "JPEG"),
        "grey_progressive": saved(image.convert("L"), "JPEG", progressive=True),
        "cmyk": saved(image.convert("CMYK"), "JPEG"),
        "cmyk_with_srgb": saved(image.convert("CMYK"), "JPEG", icc_profile=profiles.srgb()),
        "rgb_kept": saved(image, "JPEG", keep_rgb=True),
        "quality_1": saved(image, "JPEG", quality=1),
        "quality_100": saved(image, "JPEG", quality=100, subsampling=0),
        "other_tables": saved(image, "JPEG", subsampling="4:2:0", qtables="web_low"),
        "restarts": saved(image, "JPEG", restart_marker_blocks=3),
        "odd_size": saved(image.crop((0, 0, 191, 251)), "JPEG"),
        "smallest": saved(image.crop((0, 0, 128, 128)), "JPEG"),
        "srgb": saved(image, "JPEG", icc_profile=profiles.srgb()),
        "wide_gamut": saved(image, "JPEG", icc_profile=profiles.wide()),
        "mpo": saved(image, "MPO", save_all=True, append_images=[drawn(dice)]),
        "comment": with_segment(plain, 0xFE, b"\xff\xd8" * 30_000),
        "trailing_garbage": plain + dice.randbytes(5000),
        "filled": plain[:2] + b"\xff" * 40 + plain[2:],
        "no_jfif": b"\xff\xd8" + plain[2 + 18 :] if plain[3] == 0xE0 else plain,
        "video_behind": plain + b"\0\0\0\x18ftypmp42" + bytes(2000) + rest[-50:],
    }


def _png(image: Image.Image, dice: random.Random) -> dict[str, bytes]:
    alpha = image.convert("RGBA")
    alpha.putalpha(image.convert("L"))
    palette = image.quantize(200)
    frames = [drawn(dice) for _ in range(3)]
    nothing = image.convert("RGBA")
    nothing.putalpha(0)
    return {
        "1_bit": saved(image.convert("1"), "PNG"),
        "2_bit": saved(image.quantize(4), "PNG", bits=2),
        "4_bit": saved(image.quantize(16), "PNG", bits=4),
        "palette": saved(palette, "PNG"),
        "palette_one_clear": saved(palette, "PNG", transparency=3),
        "palette_clear": saved(palette, "PNG", transparency=dice.randbytes(200)),
        "grey_clear": saved(image.convert("L"), "PNG", transparency=17),
        "rgb_clear": saved(image, "PNG", transparency=(1, 2, 3)),
        "grey_alpha": saved(alpha.convert("LA"), "PNG"),
        "alpha": saved(alpha, "PNG"),
        "nothing_to_see": saved(nothing, "PNG"),
        "grey_16": saved(grey_16(image), "PNG"),
        "deep_grey": deep(image.convert("L"), dice),
        "deep_rgb": deep(image, dice),
        "deep_alpha": deep(alpha, dice),
        "deep_grey_alpha": deep(alpha.convert("LA"), dice),
        "interlaced": interlaced(image),
        "interlaced_grey": interlaced(image.convert("L")),
        "interlaced_alpha": interlaced(alpha),
        "animated": saved(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        "not_compressed": saved(image, "PNG", compress_level=0),
        "srgb": saved(image, "PNG", icc_profile=profiles.srgb()),
        "wide_gamut": saved(image, "PNG", icc_profile=profiles.wide()),
        "wide_gamut_alpha": saved(alpha, "PNG", icc_profile=profiles.wide()),
        "turned": saved(image, "PNG", exif=_turned(6)),
    }


def grey_16(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * np.uint16(257))


def _png_chunks(image: Image.Image) -> dict[str, bytes]:
    """The same picture, its file cut up in ways that the specification allows."""
    chunks = png_chunks(saved(image, "PNG"))
    body = b"".join(data for kind, data in chunks if kind == b"IDAT")
    head, end = chunks[0], (b"IEND", b"")
    crumbs = [(b"IDAT", body[at : at + 7]) for at in range(0, len(body), 7)]
    rows = [image.crop((0, y, image.width, y + 1)).tobytes() for y in range(image.height)]
    first = b"".join(bytes([0]) + row for row in rows)
    stored = zlib.compressobj(0)
    texts = [(b"tEXt", b"Comment\0" + bytes([97 + n]) * 500) for n in range(20)]
    return {
        "idat_crumbs": png([head, *crumbs, end]),
        "idat_empty": png([head, (b"IDAT", b""), (b"IDAT", body), (b"IDAT", b""), end]),
        "stored": png([head, (b"IDAT", stored.compress(first) + stored.flush()), end]),
        "small_window": png([head, (b"IDAT", _windowed(first)), end]),
        "texts": png([head, *texts, *chunks[1:]]),
        "private_chunk": after_ihdr(png(chunks), (b"lrBt", bytes(range(256)) * 40)),
        "gamma": after_ihdr(png(chunks), (b"gAMA", struct.pack(">I", 1))),
        "no_iend": png(chunks[:-1]),
        "behind_the_end": png(chunks) + b"PK\x05\x06" + bytes(18),
    }


def _windowed(raw: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 9)
    return packer.compress(raw) + packer.flush()


def _gif(image: Image.Image, dice: random.Random) -> dict[str, bytes]:
    frames = [drawn(dice) for _ in range(4)]
    few = image.quantize(20)
    return {
        "plain": saved(image, "GIF"),
        "not_interlaced": saved(image, "GIF", interlace=0),
        "animated": saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "clear": saved(few, "GIF", transparency=2),
        "comment": saved(image, "GIF", comment=b"hello " * 4000),
        "grey": saved(image.convert("L"), "GIF"),
        "black_white": saved(image.convert("1"), "GIF"),
    }


def _webp(image: Image.Image) -> dict[str, bytes]:
    alpha = image.convert("RGBA")
    alpha.putalpha(image.convert("L"))
    frames = [image.rotate(5 * n) for n in range(1, 4)]
    return {
        "plain": saved(image, "WEBP", method=0),
        "lossless": saved(image, "WEBP", lossless=True, method=0),
        "alpha": saved(alpha, "WEBP", method=0),
        "alpha_lossless": saved(alpha, "WEBP", lossless=True, method=0),
        "grey": saved(image.convert("L"), "WEBP", method=0),
        "animated": saved(image, "WEBP", save_all=True, append_images=frames, method=0),
        "turned": saved(image, "WEBP", exif=_turned(8), method=0),
        "wide_gamut": saved(image, "WEBP", icc_profile=profiles.wide(), method=0),
    }


def _bmp(image: Image.Image) -> dict[str, bytes]:
    plain = saved(image, "BMP")
    turned_over = plain[:22] + struct.pack("<i", -image.height) + plain[26:]
    return {
        "plain": plain,
        "top_down": turned_over,
        "grey": saved(image.convert("L"), "BMP"),
        "palette": saved(image.quantize(256), "BMP"),
        "black_white": saved(image.convert("1"), "BMP"),
        "alpha": saved(image.convert("RGBA"), "BMP"),
        "runs": run_length_bmp(image.quantize(16)),
    }


def run_length_bmp(image: Image.Image) -> bytes:
    """BI_RLE8: pairs of a count and a colour, two zeros at the end of a row."""
    pixels = image.tobytes()
    rows = [pixels[at : at + image.width] for at in range(0, len(pixels), image.width)]
    body = b""
    for row in reversed(rows):
        body += b"".join(bytes([1, value]) for value in row) + b"\0\0"
    body += b"\0\1"
    colours = (image.getpalette() or []) + [0] * 768
    table = b"".join(bytes([*colours[at : at + 3][::-1], 0]) for at in range(0, 768, 3))
    start = 14 + 40 + len(table)
    head = struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start)
    used = struct.pack("<II", 256, 256)
    info = struct.pack("<IiiHHII", 40, image.width, image.height, 1, 8, 1, len(body))
    return head + info + bytes(8) + used + table + body


def _avif(image: Image.Image) -> dict[str, bytes]:
    alpha = image.convert("RGBA")
    alpha.putalpha(image.convert("L"))
    fast = {"speed": 10, "max_threads": 1}
    frames = [image.rotate(5 * n) for n in range(1, 4)]
    return {
        "plain": saved(image, "AVIF", **fast),
        "4_4_4": saved(image, "AVIF", subsampling="4:4:4", quality=100, **fast),
        "limited_range": saved(image, "AVIF", range="limited", **fast),
        "grey": saved(image.convert("L"), "AVIF", **fast),
        "alpha": saved(alpha, "AVIF", **fast),
        "tiles": saved(image, "AVIF", tile_rows=1, tile_cols=1, **fast),
        "animated": _undated(saved(image, "AVIF", save_all=True, append_images=frames, **fast)),
        "turned": saved(image, "AVIF", exif=_turned(6), **fast),
        "mirrored": saved(image, "AVIF", exif=_turned(2), **fast),
        "wide_gamut": saved(image, "AVIF", icc_profile=profiles.wide(), **fast),
    }


def _undated(data: bytes) -> bytes:
    """Without the hour at which the film was made."""
    for kind in (b"mvhd", b"tkhd", b"mdhd"):
        at = data.index(kind)
        data = replaced(data, at + 8, bytes(16 if data[at + 4] else 8))
    return data


def _heic(image: Image.Image) -> dict[str, bytes]:
    exif = b"Exif\0\0" + _turned(6).removeprefix(b"Exif\0\0")
    return {
        "plain": heic(image),
        "turned": heic(image, Lies(turns=1)),
        "upside_down": heic(image, Lies(turns=2)),
        "exif": heic(image, Lies(turns=3), exif),
    }
