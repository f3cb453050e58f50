"""What a cell does with one upload: look at it, cut it, show it. One decode serves all three."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from pictures import borders, decode, frame, measure, png
from pictures.box import Box
from pictures.frame import Cut
from pictures.lanczos import resized
from pictures.limits import Limits
from pictures.look import THUMB, Look
from pictures.order import SIDE, Developed, View, Wanted

FINGER = 512  # the same for the fingerprint
SHARE = Box(0.0, 0.0, 1.0, 1.0)
INK = (255, 196, 0)


def develop(data: bytes, wanted: Wanted, limits: Limits) -> Developed:
    """Raises RefusedError for what is no usable photo."""
    opened = decode.open_header(data, limits)
    width, height = opened.size
    picture = decode.load(opened, _cover(opened.size, wanted), limits)
    look = view = None
    if wanted.look or wanted.shape is not None:
        look = look_at(picture, opened)
    cut = wanted.cut
    if cut is None and wanted.shape is not None and look is not None:
        content = look.content.scaled(width, height)
        cut = frame.place(content, look.focus, wanted.shape)
    finished = b""
    if cut is not None:
        if _too_coarse(picture, opened, cut):
            again = decode.open_header(data, limits)
            picture = decode.load(again, _cover_of(opened.size, cut), limits)
        finished = png.encode(cut_out(picture, opened, cut))
    if wanted.view is not None:
        view = show(picture, opened, wanted.view)
    tile = show(picture, opened, View(side=wanted.tile)) if wanted.tile else None
    return Developed(
        look=look,
        tile=b"" if tile is None else _bytes(tile, raw=False),
        cut=cut,
        png=finished,
        view=b"" if view is None else _bytes(view, raw=wanted.view is not None and wanted.view.raw),
        view_size=(0, 0) if view is None else view.size,
    )


def _cover(size: tuple[int, int], wanted: Wanted) -> tuple[int, int]:
    """Pixels of the upright picture that suffice for all that is wanted."""
    covers = [(1, 1)]
    if wanted.look or wanted.shape is not None:
        covers.append(_fitting(size, SIDE))
    if wanted.view is not None:
        covers.append(_fitting(size, wanted.view.side))
    if wanted.tile:
        covers.append(_fitting(size, wanted.tile))
    if wanted.cut is not None:
        covers.append(_cover_of(size, wanted.cut))
    if wanted.shape is not None:
        whole = frame.place(SHARE.scaled(*size), (0.5, 0.5), wanted.shape)
        covers.append(_cover_of(size, whole) if whole else size)
    return max(one[0] for one in covers), max(one[1] for one in covers)


def _fitting(size: tuple[int, int], side: int) -> tuple[int, int]:
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _cover_of(size: tuple[int, int], cut: Cut) -> tuple[int, int]:
    """The whole picture, so small that the cut still has its pixels."""
    scale = min(1.0, max(cut.size[0] / cut.box.width, cut.size[1] / cut.box.height))
    return -int(-size[0] * scale // 1), -int(-size[1] * scale // 1)


def _too_coarse(picture: Image.Image, opened: decode.Opened, cut: Cut) -> bool:
    across = picture.width if opened.turn not in _SIDEWAYS else picture.height
    return across < opened.size[0] and across < _cover_of(opened.size, cut)[0]


_SIDEWAYS = frozenset(decode.TURNS[number] for number in decode.SIDEWAYS)


def look_at(picture: Image.Image, opened: decode.Opened) -> Look:
    width, height = opened.size
    small = picture.convert("L").resize(
        _fitting(picture.size, SIDE), Image.Resampling.BOX, reducing_gap=2
    )
    small = decode.upright(small, opened.turn)
    grey = np.asarray(small)
    # A border is found with its blurred edge; the content is cut a little inside.
    found = borders.content(grey)
    top, left = int(found.top), int(found.left)
    inside = np.ascontiguousarray(grey[top : int(found.bottom), left : int(found.right)])
    mean, black, white = measure.light(inside)
    across, down = measure.focus(inside)
    squeezed = Image.fromarray(inside).resize((THUMB, THUMB), Image.Resampling.BOX)
    return Look(
        width=width,
        height=height,
        animated=opened.animated,
        content=found.scaled(1 / grey.shape[1], 1 / grey.shape[0]).rounded(),
        sharpness=measure.sharpness(inside),
        mean=mean,
        black=black,
        white=white,
        hashes=measure.fingerprint(inside),
        thumb=squeezed.tobytes(),
        focus=(round(across, 3), round(down, 3)),
    )


def cut_out(picture: Image.Image, opened: decode.Opened, cut: Cut) -> Image.Image:
    """The cut's box, brought to its size. Turned last, when there is little left to turn."""
    size = cut.size
    box = _unturned(cut.box.scaled(1 / opened.size[0], 1 / opened.size[1]), opened.turn)
    box = box.scaled(picture.width, picture.height).within(SHARE.scaled(*picture.size))
    if opened.turn in _SIDEWAYS:
        size = (size[1], size[0])
    area = (box.left, box.top, box.right, box.bottom)
    return decode.upright(resized(picture, area, size), opened.turn)


def _unturned(box: Box, turn: Image.Transpose | None) -> Box:
    """Where a box of the upright picture lies in the picture as it was stored. In shares."""
    left, top, right, bottom = box.left, box.top, box.right, box.bottom
    turns = Image.Transpose
    stored = {
        turns.FLIP_LEFT_RIGHT: Box(1 - right, top, 1 - left, bottom),
        turns.ROTATE_180: Box(1 - right, 1 - bottom, 1 - left, 1 - top),
        turns.FLIP_TOP_BOTTOM: Box(left, 1 - bottom, right, 1 - top),
        turns.TRANSPOSE: Box(top, left, bottom, right),
        turns.ROTATE_270: Box(top, 1 - right, bottom, 1 - left),  # a quarter clockwise is upright
        turns.TRANSVERSE: Box(1 - bottom, 1 - right, 1 - top, 1 - left),
        turns.ROTATE_90: Box(1 - bottom, left, 1 - top, right),
    }
    return box if turn is None else stored[turn]


def show(picture: Image.Image, opened: decode.Opened, view: View) -> Image.Image:
    size = _fitting(picture.size, view.side)
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2)
    shown = decode.upright(picture, opened.turn)
    if view.boxes:
        shown = shown.copy()
        _number(shown, view.boxes)
    return shown


def _number(image: Image.Image, boxes: Sequence[Box]) -> None:
    pen = ImageDraw.Draw(image)
    line = max(2, max(image.size) // 250)
    size = max(14, max(image.size) // 28)
    for number, box in enumerate(boxes, start=1):
        placed = box.scaled(image.width, image.height)
        area = (placed.left, placed.top, placed.right, placed.bottom)
        pen.rectangle(area, outline=INK, width=line)
        left, top = placed.left, max(0.0, placed.top - 1.4 * size)
        width = size * (0.5 + 0.6 * len(str(number)))
        pen.rectangle((left, top, left + width, top + 1.4 * size), fill=INK)
        place = (left + 0.3 * size, top + 0.1 * size)
        pen.text(place, str(number), fill=(0, 0, 0), font_size=size)


def _bytes(image: Image.Image, *, raw: bool) -> bytes:
    if raw:
        return image.tobytes()
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()
