"""A HEIC file from scratch: one intra picture whose blocks are all stored as raw samples.

No encoder for HEVC comes with the project. A stream of PCM blocks (ITU-T H.265, 7.3.8.7) needs only
two arithmetically coded bins per block, so it can be written by hand; every decoder reads it.
"""

import struct
from dataclasses import dataclass

from PIL import Image

from tests.hostile.blocks import box, full_box

BLOCK = 32  # side of a coding tree unit, in luma samples
# Width of the less probable half for a range of 448..510, by state (H.265, table 9-52).
LESS_PROBABLE = (
    *(240, 227, 216, 205, 195, 185, 175, 166, 158, 150, 142, 135, 128, 122, 116, 110),
    *(104, 99, 94, 89, 85, 80, 76, 72, 69, 65, 62, 59, 56, 53, 50, 48),
    *(45, 43, 41, 39, 37, 35, 33, 31, 30, 28, 27, 25, 24, 23, 22, 21),
    *(20, 19, 18, 17, 16, 15, 14, 14, 13, 12, 12, 11, 11, 10, 9),
)
VPS, SPS, PPS, IDR = 32, 33, 34, 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Lies:
    """What the file says; None is the truth. ``turns`` are quarters, counter-clockwise."""

    coded: tuple[int, int] | None = None  # in the stream itself
    shown: tuple[int, int] | None = None  # in the `ispe` box
    turns: int = 0
    length: int | None = None  # of the picture in the file


class Bits:
    def __init__(self) -> None:
        self.text = ""

    def put(self, value: int, bits: int) -> None:
        self.text += f"{value:0{bits}b}" if bits else ""

    def golomb(self, *values: int) -> None:
        for value in values:
            bits = (value + 1).bit_length()
            self.put(0, bits - 1)
            self.put(value + 1, bits)

    def aligned(self, first: str) -> bytes:
        """``first`` and then zeros up to the next whole byte."""
        text = self.text + first
        text += "0" * (-len(text) % 8)
        return int(text, 2).to_bytes(len(text) // 8, "big")


def heic(image: Image.Image, lies: Lies | None = None, exif: bytes = b"") -> bytes:
    """``image`` has sides that are multiples of 32."""
    lies = lies or Lies()
    coded = lies.coded or image.size
    stream = _nal(IDR, _slice(image))
    stream = struct.pack(">I", len(stream)) + stream
    length = lies.length if lies.length is not None else len(stream)
    items = [(b"hvc1", stream, length)]
    if exif:
        items.append((b"Exif", bytes(4) + exif, len(exif) + 4))
    head = box(b"ftyp", b"heic" + bytes(4) + b"mif1heic")
    properties = _properties(coded, lies.shown or coded, lies.turns)
    start = len(head) + len(_meta(items, properties, 0)) + 8
    body = b"".join(content for _, content, _ in items)
    return head + _meta(items, properties, start) + box(b"mdat", body)


def _meta(items: list[tuple[bytes, bytes, int]], properties: bytes, start: int) -> bytes:
    places, infos = b"", b""
    for number, (kind, content, length) in enumerate(items, 1):
        places += struct.pack(">HHHII", number, 0, 1, start, length)
        infos += full_box(b"infe", 2, struct.pack(">HH", number, 0) + kind + b"\0")
        start += len(content)
    body = full_box(b"hdlr", 0, bytes(4) + b"pict" + bytes(13))
    body += full_box(b"pitm", 0, struct.pack(">H", 1))
    body += full_box(b"iloc", 0, struct.pack(">HH", 0x4400, len(items)) + places)
    body += full_box(b"iinf", 0, struct.pack(">H", len(items)) + infos)
    if len(items) > 1:
        body += full_box(b"iref", 0, box(b"cdsc", struct.pack(">HHH", 2, 1, 1)))
    return full_box(b"meta", 0, body + properties)


def _properties(coded: tuple[int, int], shown: tuple[int, int], turns: int) -> bytes:
    units = [(VPS, _vps()), (SPS, _sps(*coded)), (PPS, _pps())]
    arrays = b"".join(
        struct.pack(">BHH", 0x80 | kind, 1, len(nal)) + nal
        for kind, nal in ((kind, _nal(kind, body)) for kind, body in units)
    )
    config = struct.pack(">BBIHIB", 1, 3, 0x70000000, 0x9000, 0, 93)
    config += struct.pack(">HBBBBHBB", 0xF000, 0xFC, 0xFD, 0xF8, 0xF8, 0, 0x0F, len(units))
    inside = box(b"hvcC", config + arrays) + full_box(b"ispe", 0, struct.pack(">II", *shown))
    # Full range, primaries of BT.709, matrix of BT.601: what Pillow's YCbCr is.
    inside += box(b"colr", b"nclx" + struct.pack(">HHHB", 1, 13, 6, 0x80))
    numbers = b"\x81\x02\x03"
    if turns:
        inside += box(b"irot", bytes([turns]))
        numbers += b"\x84"
    link = struct.pack(">IHB", 1, 1, len(numbers)) + numbers
    return box(b"iprp", box(b"ipco", inside) + full_box(b"ipma", 0, link))


def _nal(kind: int, body: bytes) -> bytes:
    """With the third byte of each run of zeros guarded against looking like a start code."""
    out, zeros = bytearray(), 0
    for value in body:
        if zeros >= 2 and value <= 3:
            out.append(3)
            zeros = 0
        out.append(value)
        zeros = zeros + 1 if value == 0 else 0
    return bytes([kind << 1, 1]) + bytes(out)


def _level(bits: Bits) -> None:
    """Main Still Picture, level 3.1."""
    bits.put(3, 8)
    bits.put(0x70000000, 32)
    bits.put(0b1001, 4)
    bits.put(0, 44)
    bits.put(93, 8)


def _vps() -> bytes:
    bits = Bits()
    bits.put(0b0000_1_1_000000_000_1, 16)
    bits.put(0xFFFF, 16)
    _level(bits)
    bits.put(1, 1)
    bits.golomb(0, 0, 0)
    bits.put(0, 6)
    bits.golomb(0)
    bits.put(0, 2)
    return bits.aligned("1")


def _sps(width: int, height: int) -> bytes:
    bits = Bits()
    bits.put(0b0000_000_1, 8)
    _level(bits)
    bits.golomb(0, 1, width, height)
    bits.put(0, 1)  # no window
    bits.golomb(0, 0, 0)  # eight bits
    bits.put(1, 1)
    bits.golomb(0, 0, 0)
    bits.golomb(2, 0, 0, 3, 0, 0)  # blocks of 32, transforms of 4 to 32
    bits.put(0b0_0_0_1, 4)  # no lists, no asymmetry, no offsets, but PCM
    bits.put(0x77, 8)
    bits.golomb(2, 0)
    bits.put(1, 1)
    bits.golomb(0)
    bits.put(0, 5)
    return bits.aligned("1")


def _pps() -> bytes:
    bits = Bits()
    bits.golomb(0, 0)
    bits.put(0, 7)
    bits.golomb(0, 0, 0)
    bits.put(0, 3)
    bits.golomb(0, 0)
    bits.put(0, 7)
    bits.put(0b1_0_1, 3)  # deblocking is controlled here, and off
    bits.put(0, 2)
    bits.golomb(0)
    bits.put(0, 2)
    return bits.aligned("1")


def _slice(image: Image.Image) -> bytes:
    bits = Bits()
    bits.put(0b10, 2)
    bits.golomb(0, 2, 0)
    out = bits.aligned("1")
    luma, *chroma = image.convert("YCbCr").split()
    halves = [plane.resize((image.width // 2, image.height // 2)) for plane in chroma]
    corners = [(x, y) for y in range(0, image.height, BLOCK) for x in range(0, image.width, BLOCK)]
    for number, (x, y) in enumerate(corners):
        out += _before_samples(number)
        out += luma.crop((x, y, x + BLOCK, y + BLOCK)).tobytes()
        for half in halves:
            side = BLOCK // 2
            out += half.crop((x // 2, y // 2, x // 2 + side, y // 2 + side)).tobytes()
    return out + _ended(510, 9)


def _before_samples(number: int) -> bytes:
    """The bins before a block: not the end of the slice, one part, samples follow."""
    width = 510 - (2 if number else 0)
    width -= LESS_PROBABLE[min(number, 62)]
    return _ended(width * 2, 10) if width < 256 else _ended(width, 9)


def _ended(width: int, bits: int) -> bytes:
    """A terminating bin that is set: the coder's last value (9.3.4.3.5), and alignment."""
    out = Bits()
    out.put((width - 2) | 1, bits)
    return out.aligned("")
