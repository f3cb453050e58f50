"""Things that are not the picture they are called, or are something else besides."""

import io
import random
import struct
import zipfile
from collections.abc import Iterator

from PIL import Image

from tests.hostile.blocks import after_ihdr, ihdr, png, with_segment
from tests.hostile.case import Case, drawn, saved

PAGE = b"<html><script>alert(1)</script><?php system('id'); ?></html>"
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 300 300\n%%EndComments\n"
RUN = POSTSCRIPT + b"(/tmp/hostile.txt) (w) file closefile\n%pipe%id\nshowpage\n"
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
FILE_ENTITY = '<!ENTITY x SYSTEM "file:///etc/passwd">'


def cases(dice: random.Random) -> Iterator[Case]:
    image = drawn(dice)
    for name, data in _two_in_one(image).items():
        yield Case(f"polyglot.{name}", data, opens=True)
    for family in (_documents(), _other_formats(image), _programs(dice), _nothing(dice)):
        for name, data in family.items():
            yield Case(f"not_a_photo.{name}", data, opens=False)
    for name, magic in _magics().items():
        yield Case(f"magic.{name}", magic, opens=False)
        yield Case(f"magic.{name}.zeros", magic + bytes(3000), opens=False)
        yield Case(f"magic.{name}.garbage", magic + dice.randbytes(3000), opens=False)


def _archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("../../evil.sh"), "#!/bin/sh\n")
    return out.getvalue()


def _two_in_one(image: Image.Image) -> dict[str, bytes]:
    jpeg, picture, gif = (saved(image, form) for form in ("JPEG", "PNG", "GIF"))
    bmp, webp = saved(image, "BMP"), saved(image, "WEBP")
    return {
        "jpeg_zip": jpeg + _archive(),
        "png_zip": picture + _archive(),
        "gif_zip": gif + _archive(),
        "webp_zip": webp + _archive(),
        "bmp_page": bmp + PAGE,
        "jpeg_page": with_segment(jpeg, 0xFE, PAGE),
        "png_page": after_ihdr(picture, (b"tEXt", b"Comment\0" + PAGE)),
        "gif_script": gif + b"*/=1;alert(1)//",
        "jpeg_pdf": with_segment(jpeg, 0xFE, b"%PDF-1.7\n1 0 obj<</JS(app.alert(1))>>endobj\n"),
        "jpeg_program": with_segment(jpeg, 0xFE, b"\x7fELF\2\1\1" + bytes(500)),
        "jpeg_png": jpeg + picture,
        "png_jpeg": picture + jpeg,
    }


def _documents() -> dict[str, bytes]:
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="300" height="300">'
    xml = '<?xml version="1.0"?><!DOCTYPE svg ['
    return {
        "svg": (svg + "<rect width='9' height='9'/></svg>").encode(),
        "svg_laughs": f'{xml}<!ENTITY l0 "ha">{LAUGHS}]>{svg}<text>&l9;</text></svg>'.encode(),
        "svg_file": f"{xml}{FILE_ENTITY}]>{svg}<text>&x;</text></svg>".encode(),
        "svg_remote": (svg + '<image href="http://127.0.0.1:1/x.png"/></svg>').encode(),
        "pdf": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
        "eps": RUN,
        "eps_with_preview": struct.pack("<IIIIIII", 0xC6D3D0C5, 30, len(RUN), 0, 0, 0, 0) + RUN,
        "ps": b"%!PS\n(/etc/passwd) (r) file 100 string readstring\n",
        "page": PAGE,
        "text": b"this is not a photo\n" * 50,
        "json": b'{"photo": "../../../etc/passwd"}',
        "imagemagick": b"push graphic-context\nfill 'url(https://127.0.0.1\"|id\")'\n",
        "playlist": b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\nconcat:http://127.0.0.1:1/|file:///etc/\n",
    }


def _other_formats(image: Image.Image) -> dict[str, bytes]:
    small = image.resize((128, 128))
    forms = ("ICO", "ICNS", "JPEG2000", "DDS", "TGA", "PCX", "PPM", "SGI", "QOI")
    files = {form.lower(): saved(small, form) for form in forms}
    cards = b"".join(
        card.ljust(80)
        for card in (b"SIMPLE  = T", b"BITPIX  = 8", b"NAXIS   = 2", b"NAXIS1  = 300", b"END")
    )
    layers = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, 300, 300, 8, 3)
    return files | {
        "psd": layers + bytes(12) + bytes(300 * 300 * 3),
        "psd_30000": layers[:14] + struct.pack(">II", 30000, 30000) + layers[22:] + bytes(40),
        "fits": cards.ljust(2880) + bytes(90_000),
        "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\3" + bytes(50),
        "rar": b"Rar!\x1a\7\1\0" + bytes(90),
        "7z": b"7z\xbc\xaf\x27\x1c\0\4" + bytes(90),
        "zip": _archive(),
        "tar": b"photo.jpg".ljust(100, b"\0") + b"0000644\0" + bytes(396) + b"ustar".ljust(8),
        "mp4": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(4000),
        "webm": b"\x1a\x45\xdf\xa3" + bytes(4000),
        "wav": b"RIFF\x24\0\0\0WAVEfmt " + bytes(40),
        "jpeg_xl": b"\xff\x0a" + bytes(200),
        "xbm": saved(small.convert("1"), "XBM"),
        "wmf": b"\xd7\xcd\xc6\x9a" + bytes(40),
        "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(100),
        "mng": b"\x8aMNG\r\n\x1a\n" + png([ihdr(9, 9)])[8:],
    }


def _programs(dice: random.Random) -> dict[str, bytes]:
    return {
        "elf": b"\x7fELF\2\1\1" + dice.randbytes(2000),
        "exe": b"MZ" + dice.randbytes(58) + struct.pack("<I", 64) + b"PE\0\0" + bytes(900),
        "mach_o": b"\xcf\xfa\xed\xfe" + dice.randbytes(900),
        "class": b"\xca\xfe\xba\xbe" + dice.randbytes(900),
        "script": b"#!/bin/sh\nrm -rf /tmp/nothing\n",
        "pickle": b"\x80\4cos\nsystem\n(S'id'\ntR.",
        "sqlite": b"SQLite format 3\0" + bytes(2000),
    }


def _nothing(dice: random.Random) -> dict[str, bytes]:
    return {
        "empty": b"",
        "one_byte": b"\xff",
        "two_bytes": b"\xff\xd8",
        "newline": b"\n",
        "zeros": bytes(200_000),
        "ones": b"\xff" * 200_000,
        "random": dice.randbytes(200_000),
        "random_short": dice.randbytes(40),
        "markers": b"\xff\xd8\xff" * 9000,
    }


def _magics() -> dict[str, bytes]:
    return {
        "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0",
        "png": b"\x89PNG\r\n\x1a\n",
        "gif": b"GIF89a",
        "webp": b"RIFF\x10\x27\0\0WEBPVP8 ",
        "webp_lossless": b"RIFF\x10\x27\0\0WEBPVP8L",
        "webp_extended": b"RIFF\x10\x27\0\0WEBPVP8X",
        "tiff": b"II*\0\x08\0\0\0",
        "tiff_motorola": b"MM\0*\0\0\0\x08",
        "bmp": b"BM",
        "avif": b"\0\0\0\x20ftypavif\0\0\0\0avifmif1",
        "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    }
