"""A folder of ``0001.png`` and ``0001.txt`` becomes latents and conditions, encoded once.

Where a run has several resolutions each picture is there once in each of them; it comes prepared
in the largest one, and the smaller ones are made of it here.
"""

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from trainer.buckets import Size, middle, nearest
from trainer.families.family import Condition, Family, Model
from trainer.params import TrainParams

MASK = ".mask.png"
LATENTS = "latents.safetensors"


class EmptyDatasetError(Exception):
    """The folder has no picture, or one that cannot be used."""


@dataclass(frozen=True, slots=True)
class Picture:
    """``size`` in pixels: what it is trained in, None as it comes."""

    path: Path
    caption: str
    size: Size | None = None

    @property
    def mask(self) -> Path:
        return self.path.with_suffix(MASK)


@dataclass(slots=True, kw_only=True)
class Dataset:
    """``latents`` N times (C, h, w), each in its picture's own size, ``sizes`` in pixels;
    ``masks`` N times (1, h, w) in 0..1 or None; ``conditions`` N of the captions and one of the
    empty caption, or None while the text encoder is trained; ``plain`` N of the captions without
    the trigger, where those are needed. The last ``held_out`` pictures are
    not trained on. A picture in two resolutions counts twice, and has one of ``paths``. ``digest``
    names pictures and captions.
    """

    latents: tuple[Tensor, ...]
    sizes: tuple[Size, ...]
    masks: tuple[Tensor | None, ...]
    captions: tuple[str, ...]
    paths: tuple[Path, ...]
    held_out: int
    digest: str
    conditions: tuple[Condition, ...] | None = None
    plain: tuple[Condition, ...] | None = None

    @property
    def trained(self) -> tuple[Size, ...]:
        return self.sizes[: len(self.sizes) - self.held_out]


def find(folder: Path, held_out: int = 0) -> list[Picture]:
    """The folder's pictures in the order of their names, each with its caption; those that are
    held out stand last, evenly taken.
    """
    found = [
        Picture(path, path.with_suffix(".txt").read_text(encoding="utf-8").strip())
        for path in sorted(folder.glob("*.png"))
        if path.with_suffix(".txt").exists()
    ]
    if len(found) <= held_out:
        raise EmptyDatasetError(f"no 0001.png with its 0001.txt in {folder}")
    apart = {(2 * n + 1) * len(found) // (2 * held_out) for n in range(held_out)}
    trained = [one for n, one in enumerate(found) if n not in apart]
    return trained + [found[n] for n in sorted(apart)]


def within(pictures: Sequence[Picture], resolution: int) -> list[Picture]:
    """None larger than the resolution allows: a run may be planned anew in a lower one than its
    pictures were prepared in.
    """
    return [
        replace(one, size=_smaller(one.path, resolution))
        if _area(one.path) > resolution**2
        else one
        for one in pictures
    ]


def in_resolutions(
    pictures: Sequence[Picture], resolutions: Sequence[int], held_out: int = 0
) -> list[Picture]:
    """The pictures as they come, then again in each smaller resolution, never enlarged; those that
    are held out stay last, and alone.
    """
    trained = list(pictures[: len(pictures) - held_out])
    smaller = [
        replace(one, size=size)
        for resolution in sorted(resolutions, reverse=True)
        for one in trained
        if (size := _smaller(one.path, resolution))
    ]
    return trained + smaller + list(pictures[len(trained) :])


def _smaller(path: Path, resolution: int) -> Size | None:
    """The bucket that the picture gets in a resolution, or None: it is no larger as it comes."""
    with _opened(path) as picture:
        size = picture.size
    bucket = nearest(*size, resolution)
    return bucket if bucket and bucket[0] * bucket[1] < size[0] * size[1] else None


def _area(path: Path) -> int:
    with _opened(path) as picture:
        return picture.width * picture.height


def _opened(path: Path) -> Image.Image:
    return Image.open(path, formats=("PNG",))


@torch.no_grad()
def encode_captions(
    pictures: Sequence[Picture], family: Family, model: Model
) -> tuple[Condition, ...]:
    """One at a time, so that a condition does not depend on its neighbours; each text once."""
    return _encode_texts([*(one.caption for one in pictures), ""], family, model)


@torch.no_grad()
def encode_plain(
    pictures: Sequence[Picture], family: Family, model: Model, params: TrainParams
) -> tuple[Condition, ...]:
    """The same captions without the trigger."""
    return _encode_texts([without(one.caption, params) for one in pictures], family, model)


def _encode_texts(texts: Sequence[str], family: Family, model: Model) -> tuple[Condition, ...]:
    known = {text: family.encode_prompts(model, [text])[0] for text in dict.fromkeys(texts)}
    return tuple(known[text] for text in texts)


def without(caption: str, params: TrainParams) -> str:
    """The caption with the trigger taken out; at least the class word."""
    words = re.sub(rf"(?<![\w-]){re.escape(params.trigger)}(?![\w-])", "", caption)
    return " ".join(words.split()).strip(" ,") or params.class_word


@torch.no_grad()
def encode(
    pictures: Sequence[Picture], family: Family, model: Model, params: TrainParams, work: Path
) -> Dataset:
    """One picture at a time: the memory of one is enough. What is encoded is kept in ``work``."""
    grain = family.TRAITS.grain
    pixels = [_pixels(one, grain) for one in pictures]  # each (3, H, W), bytes
    digest = hashlib.sha256(f"{params.family} {params.precision} {params.seed} ".encode())
    for one, picture in zip(pictures, pixels, strict=True):
        height, width = picture.shape[1:]
        digest.update(f"{width}x{height} ".encode() + picture.numpy().tobytes())
        digest.update(one.caption.encode() + b"\0")
    latents = _kept(work / LATENTS, digest.hexdigest(), len(pictures), model)
    if latents is None:
        if model.vae is None:
            family.load_vae(model)
        draw = torch.Generator().manual_seed(params.seed)
        latents = [
            family.encode_pictures(model, one[None].float() / 127.5 - 1, draw)[0] for one in pixels
        ]
        _keep(work / LATENTS, digest.hexdigest(), latents)
    sizes = tuple((one.shape[2], one.shape[1]) for one in pixels)
    masks = [
        _mask(one, size, encoded)
        for one, size, encoded in zip(pictures, sizes, latents, strict=True)
    ]
    for mask in masks:
        digest.update(b"-" if mask is None else mask.cpu().numpy().tobytes())
    return Dataset(
        latents=tuple(latents),
        sizes=sizes,
        masks=tuple(masks) if params.masked else (None,) * len(masks),
        captions=tuple(one.caption for one in pictures),
        paths=tuple(dict.fromkeys(one.path for one in pictures)),
        held_out=params.hold_out,
        digest=digest.hexdigest(),
    )


def _kept(path: Path, digest: str, count: int, model: Model) -> list[Tensor] | None:
    """The latents of an earlier start of this run."""
    try:
        tensors = load_file(path)
        return [tensors[f"{digest}.{number}"].to(model.device) for number in range(count)]
    except (FileNotFoundError, SafetensorError, KeyError):
        return None


def _keep(path: Path, digest: str, latents: Sequence[Tensor]) -> None:
    making = path.with_suffix(f".{os.getpid()}.tmp")  # several processes may train one run
    save_file({f"{digest}.{n}": one.contiguous() for n, one in enumerate(latents)}, making)
    making.rename(path)


def _pixels(one: Picture, grain: int) -> Tensor:
    """(3, H, W) bytes, in the size that it is wanted in. Sides that are not whole latents become
    so: shrunk by what covers the next lower ones and cut evenly, never squeezed or enlarged.
    """
    with _opened(one.path) as opened:
        picture = opened.convert("RGB")
    width, height = one.size or picture.size
    whole = (width // grain * grain, height // grain * grain)
    if 0 in whole:
        raise EmptyDatasetError(f"{one.path.name} has only {width} x {height} pixels")
    if picture.size != whole:
        box = middle(picture.size, whole)
        picture = picture.resize(whole, Image.Resampling.LANCZOS, box=box)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def _mask(picture: Picture, size: Size, latents: Tensor) -> Tensor | None:
    """(1, h, w): how much of each latent's place the mask covers; cut as the picture is."""
    if not picture.mask.exists():
        return None
    height, width = latents.shape[-2:]
    with _opened(picture.mask) as opened:
        box = middle(opened.size, size)
        small = opened.convert("L").resize((width, height), Image.Resampling.BOX, box=box)
    return torch.from_numpy(np.array(small))[None].to(latents.device).float() / 255
