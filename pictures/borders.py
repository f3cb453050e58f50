"""Find the black or white borders and bars that screenshots and old exports put round a picture."""

import numpy as np
from numpy.typing import NDArray

from pictures.box import Box

BLACK = 16  # grey levels; codecs leave a little noise in a border
WHITE = 239
EVEN = 4.0  # standard deviation along a line of a border
STEP = 12.0  # the picture begins with a step; a vignette fades
MOST = 0.4  # of a side; what is nearly all border is a picture of something
SLACK = 2  # lines that a resize has mixed


def content(grey: NDArray[np.uint8]) -> Box:
    """The picture inside its borders, in pixels of ``grey`` (H, W)."""
    height, width = grey.shape
    top, bottom = _ends(grey)
    left, right = _ends(grey[top : height - bottom].T)
    return Box(left, top, width - right, height - bottom)


def _ends(grey: NDArray[np.uint8]) -> tuple[int, int]:
    """Lines of border at the beginning and at the end."""
    return _run(grey), _run(grey[::-1])


def _run(grey: NDArray[np.uint8]) -> int:
    if not _is_border(grey[:1])[0]:
        return 0
    most = int(len(grey) * MOST)
    head = grey[: most + SLACK + 2]
    border = _is_border(head)
    run = int(np.argmin(border)) if not border.all() else len(border)
    if not 0 < run <= most:
        return 0
    # The line itself is mixed of both sides: look past it.
    inside = head[min(run + SLACK, len(head) - 1)].astype(np.float64)
    step = float(np.percentile(np.abs(inside - float(head[run - 1].mean())), 75))
    return run + 1 if step >= STEP else 0


def _is_border(lines: NDArray[np.uint8]) -> NDArray[np.bool_]:
    low, high = np.percentile(lines, (5, 95), axis=1)
    plain: NDArray[np.bool_] = (lines.std(axis=1) < EVEN) & ((high < BLACK) | (low > WHITE))
    return plain
