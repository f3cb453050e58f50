"""What a run takes of a GPU's memory, before anything is loaded. No torch here.

The figures come from ``memory.json``, which ``python -m bench.train_memory`` writes: live bytes of
real steps of the true-size models. What the GPU's own libraries take is added as a margin.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from trainer.params import TrainParams

TABLE = Path(__file__).with_name("memory.json")
HALF, WHOLE = 2, 4  # bytes of a number
WIDE_VAE = ("sdxl", "flux", "flux2")  # whose autoencoders overflow in half precision

# Bytes of an optimizer's state for each trained number. AdamW8bit has a scale for 256 of them, too;
# Adafactor has rows and columns instead, but for the few layers that are convolutions.
STATE = {"adamw": 8.0, "adamw8bit": 2.1, "adafactor": 0.5, "prodigy": 16.0}

# PyTorch's caching allocator asks for blocks of 2 MiB, for tensors of 1-10 MiB of 20 MiB, and
# cannot give every gap to somebody (c10/cuda/CUDACachingAllocator.h); cuBLAS and cuDNN take
# workspaces, cuBLAS 32 MiB on an H100 (torch's notes on CUBLAS_WORKSPACE_CONFIG).
GAPS = 0.04
WORKSPACES = 300_000_000
# A process's own part of the GPU before its first tensor. It is gone already from what a driver
# calls free; who plans with a whole GPU takes it off.
CONTEXT = 600_000_000
# An estimate is wrong by some percent: only what is larger by more than this is refused.
DOUBT = 0.1


class NoRoomError(MemoryError):
    """Not even the lightest plan fits into what is free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Bytes. In the order of a run: ``captions`` are read, ``pictures`` encoded, ``steps`` taken,
    ``samples`` drawn; each is the peak of its time with all that lies there. Of ``steps`` the parts
    are ``weights`` of the base, ``pairs`` with their gradients and the optimizer's state, and
    ``activations``.
    """

    captions: int
    pictures: int
    weights: int
    pairs: int
    activations: int
    samples: int

    @property
    def steps(self) -> int:
        return self.weights + self.pairs + self.activations

    @property
    def peak(self) -> int:
        """With what the GPU's libraries take beside it."""
        most = max(self.captions, self.pictures, self.steps, self.samples)
        return round(most * (1 + GAPS)) + WORKSPACES

    def fits(self, free: int) -> bool:
        return self.peak <= free

    def might_fit(self, free: int) -> bool:
        """Too large by no more than an estimate is wrong."""
        return self.peak * (1 - DOUBT) <= free


def estimate(params: TrainParams, *, samples: bool = True, stays: bool = False) -> Need | None:
    """For pictures of the whole resolution. ``samples`` are drawn on the way; ``stays``: the base
    remains loaded, all of it. None: such a run was never measured.
    """
    known = _table().get(params.family)
    if known is None or params.precision == "fp32":
        return None
    text, again = bool(params.text_encoder_lr), params.gradient_checkpointing
    way = "again" if again else "kept"
    wide = params.precision == "fp16" and params.family in WIDE_VAE
    vae_bytes = WHOLE if wide else HALF
    encoders, vae = known["encoders"] * HALF, known["vae"] * vae_bytes
    pixels = params.resolution**2 / 1e6

    beside = (encoders if text or stays else 0) + (vae if samples or stays else 0)
    weights = known["denoiser"] * HALF + beside
    trained = known["with_text" if text else "pairs"][params.targets] * params.rank
    pairs = round(trained * (2 * WHOLE + STATE[params.optimizer]))
    # Attention alone takes somewhat less than all; it was not measured for every family.
    step = known["step"].get(params.targets, known["step"]["all"])
    activations = _of_step(step[way], params, pixels)
    if text:
        # The encoders' own pairs are cast to half as they are used.
        casts = (trained - known["pairs"][params.targets] * params.rank) * HALF
        activations += casts + round(_line(known["text_step"][way], params.batch_size))
    drawing = max(_line(known["draw"], pixels), _line(known["decode"], pixels) * vae_bytes // HALF)
    picture = _line(known["encode"], pixels) * vae_bytes // HALF
    return Need(
        captions=encoders + known["caption"],
        pictures=vae + picture + (encoders if text or stays else 0),
        weights=weights,
        pairs=pairs,
        activations=activations,
        samples=weights + pairs + drawing if samples else 0,
    )


def is_known(family: str, numbers: int) -> bool:
    """Whether a denoiser of so many numbers is of the size that was measured."""
    known = _table().get(family)
    return known is not None and abs(numbers / known["denoiser"] - 1) < 0.05


def _of_step(figures: list[float], params: TrainParams, pixels: float) -> int:
    batch, rank = params.batch_size, params.rank
    features = (1, batch, batch * pixels, rank, rank * batch * pixels)
    return round(sum(a * b for a, b in zip(figures, features, strict=True)))


def _line(figures: list[float], x: float) -> int:
    return round(figures[0] + figures[1] * x)


@cache
def _table() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(TABLE.read_text(encoding="ascii"))
    return read
