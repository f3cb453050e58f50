"""What every family of base models offers, and the values that pass between it and the loop."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from trainer.objective import Objective

# One caption's encodings by name, without a batch axis. They may differ in length.
Condition = dict[str, Tensor]


class BaseError(Exception):
    """The base model cannot be used; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A network that gets pairs: how its keys begin in the file, and which of its modules are
    meant by "attention" and, beside those, by "all" (the ends of their paths). ``level`` stands
    before every path in the file where the library has dropped it; ``renamed`` are beginnings of
    paths and what they are in the file. Modules whose paths begin otherwise than one of ``within``
    are not meant.
    """

    prefix: str
    attention: tuple[str, ...]
    rest: tuple[str, ...]
    level: str = ""
    renamed: tuple[tuple[str, str], ...] = ()
    within: tuple[str, ...] = ("",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """``parts`` by name, the denoiser first. ``layout`` of the file: "kohya"
    (``lora_unet_a_b.lora_down.weight`` and ``.alpha``) or "peft"
    (``transformer.a.b.lora_A.weight``, the scale folded in). Pictures have sides in multiples of
    ``grain`` pixels; a latent is ``vae_scale`` pixels wide and has ``channels``. ``guidance`` is
    what samples are drawn with, ``negative`` whether a second, unconditioned answer is asked for.
    """

    base_version: str
    architecture: str
    parts: dict[str, Part]
    layout: str = "kohya"
    grain: int = 8
    vae_scale: int = 8
    channels: int = 4
    guidance: float = 5.0
    negative: bool = True
    sample_steps: int = 20


@dataclass(slots=True, kw_only=True)
class Model:
    """A base model whose networks are loaded one after the other, each where it is needed.

    ``path`` is a diffusers folder or one ``.safetensors``; ``encoders`` by the name of their part.
    ``guidance`` is what a denoiser whose guidance is distilled is told, or what a family draws with
    that guides by itself: 1 while it learns. ``compiled`` names the shapes for which its blocks
    are compiled in this process, see `compiling`.
    """

    path: Path
    dtype: torch.dtype
    device: torch.device
    prediction: str = "auto"
    guidance: float = 1.0
    denoiser: Any = None
    objective: Objective | None = None
    encoders: dict[str, Any] = field(default_factory=dict)
    tokenizers: dict[str, Any] = field(default_factory=dict)
    vae: Any = None
    compiled: str = ""

    def network(self, part: str) -> Any:
        return self.encoders.get(part, self.denoiser)

    @property
    def aim(self) -> Objective:
        if self.objective is None:
            raise RuntimeError("the denoiser is not loaded")
        return self.objective


class Family(Protocol):
    """A module in this folder. Every ``load`` puts frozen networks on the model's device."""

    TRAITS: Traits

    def load_text(self, model: Model) -> None:
        """Fill ``encoders`` and ``tokenizers``."""

    def load_vae(self, model: Model) -> None:
        """Fill ``vae``."""

    def load_denoiser(self, model: Model) -> None:
        """Fill ``denoiser`` and ``objective``."""

    def encode_prompts(self, model: Model, captions: Sequence[str]) -> list[Condition]:
        """Each caption's encodings, on the model's device."""

    def encode_pictures(self, model: Model, pixels: Tensor, draw: torch.Generator) -> Tensor:
        """(B, 3, H, W) in -1..1 to scaled latents (B, C, h, w) in fp32; ``draw`` is on the CPU."""

    def decode(self, model: Model, latents: Tensor) -> Tensor:
        """Scaled latents (B, C, h, w) to (B, 3, H, W) in -1..1, not clipped."""

    def predict(
        self, model: Model, noisy: Tensor, times: Tensor, conditions: Sequence[Condition]
    ) -> Tensor:
        """The denoiser's answer (B, C, h, w) to ``noisy`` (B, C, h, w) at the objective's
        ``times`` (B,).
        """
