"""The demo base's U-Net and text encoder, learned together."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import CLIPTokenizer

from bench.demo_base.parts import Average, caption, new_text, new_unet, scheduler
from bench.demo_base.vae import rate
from bench.drawn import words
from trainer.demo_base import MAX_TOKENS
from trainer.objective import Diffusion, weighted_mse

BATCH = 32
PEAK = 1.2e-3
GAMMA = 5.0
KEEP_S = 240.0


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
    def new(cls, tokens: int) -> "Learner":
        torch.manual_seed(3)
        unet, text = new_unet().to(memory_format=torch.channels_last), new_text(tokens)
        weights = [*unet.parameters(), *text.parameters()]
        optimizer = torch.optim.AdamW(weights, weight_decay=1e-3, betas=(0.9, 0.99), fused=True)
        return cls(unet, text, optimizer, Average(weights))

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


def learn(folder: Path, latents: Tensor, seconds: float) -> tuple[Any, Any, dict[str, Any]]:
    """U-Net, text encoder and figures, after so many seconds; the rate follows the clock, so that
    any length comes to rest.
    """
    tokens = words.write(folder / "tokenizer")
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    one = Learner.new(tokens)
    one.load(folder)
    aim = Diffusion(scheduler().alphas_cumprod, "epsilon")
    order = torch.Generator().manual_seed(4 + one.step)
    began, kept = time.monotonic() - one.spent, time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        for group in one.optimizer.param_groups:
            group["lr"] = rate(one.step, now / seconds, PEAK)
        one.losses.append(_step(one, aim, tokenizer, latents, order))
        one.spent = now
        if one.step % 50 == 0:
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
    chosen = torch.randint(len(latents), (BATCH,), generator=order)
    texts = [caption(int(place), one.step) for place in chosen]
    ids = tokenizer(
        texts, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
    ).input_ids
    x = latents[chosen]
    noise = torch.randn(x.shape, generator=order)
    times = torch.randint(1000, (BATCH,), generator=order)
    with torch.autocast("cpu", torch.bfloat16):
        context = one.text(ids)[0]
        answer = one.unet(aim.noisy(x, noise, times), times, context).sample
    loss = weighted_mse(answer, noise, aim.weight(times, GAMMA))
    one.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(one.average.live, 1.0)
    one.optimizer.step()
    one.average.follow()
    one.step += 1
    return float(loss.detach())
