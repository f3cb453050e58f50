"""What the demo base's latents mean: the encoder is taught to say it, the decoder to draw it.

A picture of 128 pixels has 16 x 16 latents of four numbers. Left to itself a small VAE packs edges
and colours into them in a way that a small U-Net cannot learn. So the code is fixed: what colour a
cell has between its lines, as lightness and two colour differences, and how much dark line it has.
"""

import torch
from torch import Tensor
from torch.nn import functional

from bench.drawn.draw import DARK

CELL = 8  # pixels
NEAR_DARK = 32.0  # in bytes: farther than that from the lines' colour is no line
LEAST = 3.0  # pixels: where there is hardly anything but line, its colour counts
MIDDLE = (0.23, 0.03, 0.01, 0.02)
SPREAD = (0.42, 0.52, 0.24, 0.08)


def code(pictures: Tensor) -> Tensor:
    """(N, 4, h/8, w/8) with a spread of about one, of (N, 3, h, w) bytes."""
    x = pictures.float()
    dark = x.new_tensor(DARK)[:, None, None]
    line = (1 - (x - dark).square().sum(1, keepdim=True).sqrt() / NEAR_DARK).clamp(0, 1)
    share = functional.avg_pool2d(line, CELL)
    least = LEAST / CELL**2
    mean = functional.avg_pool2d(x, CELL)
    between = functional.avg_pool2d(x * (1 - line), CELL) + least * mean
    red, green, blue = (between / (1 - share + least) / 127.5 - 1).unbind(1)
    planes = ((red + green + blue) / 3, red - blue, green - (red + blue) / 2, share[:, 0])
    every = zip(planes, MIDDLE, SPREAD, strict=True)
    return torch.stack([(plane - middle) / spread for plane, middle, spread in every], 1)
