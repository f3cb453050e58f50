"""A folder of ``0001.png`` and ``0001.txt`` becomes latents and captions, encoded once."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainer.buckets import LATENT, Size, middle
from trainer.families import sd15
from trainer.params import TrainParams


class EmptyDatasetError(Exception):
    """The folder has no picture, or one that cannot be used."""


@dataclass(frozen=True, slots=True)
class Picture:
    path: Path
    caption: str


@dataclass(slots=True, kw_only=True)
class Dataset:
    """``latents`` N times (4, h, w), each in its picture's own size, ``sizes`` in pixels;
    ``contexts`` (N + 1, tokens, width), the empty caption last, or None while the text encoder is
    trained; ``digest`` names pictures and captions.
    """

    latents: tuple[Tensor, ...]
    sizes: tuple[Size, ...]
    contexts: Tensor | None
    captions: tuple[str, ...]
    digest: str


def find(folder: Path) -> list[Picture]:
    """The folder's pictures in the order of their names, each with its caption."""
    found = [
        Picture(path, path.with_suffix(".txt").read_text(encoding="utf-8").strip())
        for path in sorted(folder.glob("*.png"))
        if path.with_suffix(".txt").exists()
    ]
    if not found:
        raise EmptyDatasetError(f"no 0001.png with its 0001.txt in {folder}")
    return found


@torch.no_grad()
def encode(pictures: list[Picture], model: sd15.Model, params: TrainParams) -> Dataset:
    """Captions first, then pictures, one at a time: the memory of one is enough."""
    captions = tuple(one.caption for one in pictures)
    contexts = None
    if not params.text_encoder_lr:
        contexts = torch.cat([sd15.encode_prompts(model, [text]) for text in (*captions, "")])
    digest = hashlib.sha256()
    latents: list[Tensor] = []
    sizes: list[Size] = []
    generator = torch.Generator().manual_seed(params.seed)
    for one in pictures:
        pixels = _pixels(one.path)  # (3, H, W)
        height, width = pixels.shape[1:]
        digest.update(f"{width}x{height} ".encode() + pixels.numpy().tobytes())
        digest.update(one.caption.encode() + b"\0")
        latents.append(sd15.encode_pictures(model, pixels[None], generator)[0])
        sizes.append((width, height))
    return Dataset(
        latents=tuple(latents),
        sizes=tuple(sizes),
        contexts=contexts,
        captions=captions,
        digest=digest.hexdigest(),
    )


def _pixels(path: Path) -> Tensor:
    """(3, H, W) in -1..1, in the size that it came prepared in. Sides that are not whole latents
    become so: shrunk by what covers the next lower ones and cut evenly, never squeezed or enlarged.
    """
    with Image.open(path, formats=("PNG",)) as opened:
        picture = opened.convert("RGB")
    width, height = picture.size
    whole = (width // LATENT * LATENT, height // LATENT * LATENT)
    if 0 in whole:
        raise EmptyDatasetError(f"{path.name} has only {width} x {height} pixels")
    if picture.size != whole:
        box = middle(picture.size, whole)
        picture = picture.resize(whole, Image.Resampling.LANCZOS, box=box)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 127.5 - 1
