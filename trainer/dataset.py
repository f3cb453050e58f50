"""A folder of ``0001.png`` and ``0001.txt`` becomes latents and captions, encoded once."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from trainer.families import sd15
from trainer.params import TrainParams


class EmptyDatasetError(Exception):
    """The folder has no picture that can be used."""


@dataclass(frozen=True, slots=True)
class Picture:
    path: Path
    caption: str


@dataclass(slots=True, kw_only=True)
class Dataset:
    """``latents`` (N, 4, h, w); ``contexts`` (N + 1, tokens, width), the empty caption last, or
    None while the text encoder is trained; ``digest`` names pictures and captions.
    """

    latents: Tensor
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
    latents = []
    generator = torch.Generator().manual_seed(params.seed)
    for one in pictures:
        pixels = _pixels(one.path, params.resolution)
        digest.update(pixels.numpy().tobytes() + one.caption.encode() + b"\0")
        latents.append(sd15.encode_pictures(model, pixels[None], generator))
    return Dataset(
        latents=torch.cat(latents),
        contexts=contexts,
        captions=captions,
        digest=digest.hexdigest(),
    )


def _pixels(path: Path, resolution: int) -> Tensor:
    """(3, H, W) in -1..1. The dataset comes prepared; another size is brought to the right one."""
    with Image.open(path, formats=("PNG",)) as opened:
        picture = opened.convert("RGB")
    if picture.size != (resolution, resolution):
        picture = picture.resize((resolution, resolution), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 127.5 - 1
