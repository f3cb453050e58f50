"""The demo base's U-Net and text encoder, learned together."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from bench.demo_base.muon import Muon
from bench.demo_base.parts import HELD_OUT, Average, caption, new_text, new_unet, scheduler
from bench.demo_base.vae import rate
from bench.drawn import words
from bench.random_base import MAX_TOKENS
from trainer.objective import Diffusion, weighted_mse

BATCH = 16
PEAK = 1e-3
GAMMA = 5.0
KEEP_S = 150.0


@dataclass(slots=True)
class Learner:
    """Both networks, and how far they are; ``spent`` in seconds."""

    unet: Any
    text: Any
    optimizer: Any
    average: Average
    spent: float = 0.0
    step: int = 0
    losses: list[float] = field(default_factory=list)

    @classmethod
    def new(cls, tokens: int, start: Path | None) -> "Learner":
        torch.manual_seed(3)
        if start:
            unet = UNet2DConditionModel.from_pretrained(start / "unet", dtype=torch.float32)
            text = CLIPTextModel.from_pretrained(start / "text_encoder", dtype=torch.float32)
        else:
            unet, text = new_unet(), new_text(tokens)
        unet.to(memory_format=torch.channels_last).train()
        weights = [*unet.parameters(), *text.train().parameters()]
        return cls(unet, text, Muon(weights), Average(weights))

    def save(self, folder: Path) -> None:
        making = folder / "unet.tmp"
        torch.save(
            {
                "unet": self.unet.state_dict(),
                "text": self.text.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "slow": self.average.slow,
                "numbers": (self.spent, self.step, self.losses),
            },
            making,
        )
        making.rename(folder / "unet.pt")

    def load(self, folder: Path) -> None:
        if not (folder / "unet.pt").exists():
            return
        saved = torch.load(folder / "unet.pt", weights_only=False)
        self.unet.load_state_dict(saved["unet"])
        self.text.load_state_dict(saved["text"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.average.slow = saved["slow"]
        self.spent, self.step, self.losses = saved["numbers"]
        self.average.turns = self.step


def learn(
    folder: Path, latents: Tensor, seconds: float, start: Path | None
) -> tuple[Any, Any, dict[str, Any]]:
    """U-Net, text encoder and figures, after so many seconds, from the base ``start`` if there is
    one. The rate follows the clock, so that any length comes to rest.
    """
    tokens = words.write(folder / "tokenizer")
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    one = Learner.new(tokens, start)
    one.load(folder)
    aim = Diffusion(scheduler().alphas_cumprod, "epsilon")
    order = torch.Generator().manual_seed(4 + one.step)
    began, kept = time.monotonic() - one.spent, time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        one.optimizer.lr = rate(one.step, now / seconds, PEAK)
        one.losses.append(_step(one, aim, tokenizer, latents, order))
        one.spent = now
        if one.step % 100 == 0:
            print(f"unet {one.step} {np.mean(one.losses[-200:]):.4f} {now:.0f} s", flush=True)
        if time.monotonic() - kept > KEEP_S:
            one.save(folder)
            kept = time.monotonic()
    one.save(folder)
    one.average.swap()
    losses = [round(float(np.mean(one.losses[n : n + 100])), 5) for n in range(0, one.step, 100)]
    figures = {"unet_steps": one.step, "unet_s": seconds, "batch": BATCH, "losses": losses}
    return one.unet, one.text, figures


def _step(
    one: Learner, aim: Diffusion, tokenizer: Any, latents: Tensor, order: torch.Generator
) -> float:
    chosen = torch.randint(HELD_OUT, len(latents), (BATCH,), generator=order)
    texts = [caption(int(place), one.step) for place in chosen]
    ids = tokenizer(
        texts, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
    ).input_ids
    x = latents[chosen]
    noise = torch.randn(x.shape, generator=order)
    times = torch.randint(1000, (BATCH,), generator=order)
    noisy = aim.noisy(x, noise, times).contiguous(memory_format=torch.channels_last)
    answer = one.unet(noisy, times, one.text(ids)[0]).sample
    loss = weighted_mse(answer, noise, aim.weight(times, GAMMA))
    one.optimizer.zero_grad()
    loss.backward()
    one.optimizer.step()
    one.average.follow()
    one.step += 1
    return float(loss.detach())
