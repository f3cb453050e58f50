"""The demo base's VAE: learned as a whole, and its decoder once more when all else is done."""

import math
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.demo_base.parts import Average, new_vae

BATCH = 4


def learn(folder: Path, pictures: Tensor, steps: int) -> tuple[Any, dict[str, float]]:
    """The VAE and its figures, from ``folder`` where it was learned before."""
    path = folder / "vae.pt"
    torch.manual_seed(1)
    vae = new_vae().to(memory_format=torch.channels_last)
    if path.exists():
        saved = torch.load(path)
        vae.load_state_dict(saved["vae"])
        return vae, saved["figures"]
    # Hardly any noise at first: there has to be something to see through it.
    torch.nn.init.constant_(vae.quant_conv.bias[4:], -6.0)
    began = time.monotonic()

    def loss(x: Tensor, order: torch.Generator) -> Tensor:
        seen = vae.encode(x).latent_dist
        noise = torch.randn(seen.mean.shape, generator=order)
        y = vae.decode(seen.mean + seen.std * noise).sample.float()
        spread = seen.mean.float().square() + seen.var.float() - 1 - seen.logvar.float()
        return difference(y, x) + 6e-7 * spread.sum(dim=(1, 2, 3)).mean()

    _turn(list(vae.parameters()), pictures, steps, loss)
    figures = {
        "vae_steps": steps,
        "vae_s": time.monotonic() - began,
        "psnr_db": psnr(vae, pictures),
    }
    torch.save({"vae": vae.state_dict(), "figures": figures}, path)
    return vae, figures


def polish(folder: Path, vae: Any, pictures: Tensor, seconds: float) -> dict[str, float]:
    """The decoder alone, for so many seconds: latents stay what the U-Net knows."""
    path = folder / "decoder.pt"
    if path.exists():
        saved = torch.load(path)
        vae.load_state_dict(saved["vae"])
        return dict(saved["figures"])
    for weight in vae.parameters():
        weight.requires_grad_(requires_grad=False)
    live = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
    for weight in live:
        weight.requires_grad_(requires_grad=True)

    def loss(x: Tensor, order: torch.Generator) -> Tensor:
        with torch.no_grad():
            seen = vae.encode(x).latent_dist.mean
        # A U-Net's latents are not quite a VAE's.
        near = seen + 0.03 * seen.std() * torch.randn(seen.shape, generator=order)
        return difference(vae.decode(near).sample.float(), x)

    steps = _turn(live, pictures, None, loss, seconds)
    figures = {
        "polish_s": seconds,
        "polish_steps": float(steps),
        "polished_db": psnr(vae, pictures),
    }
    torch.save({"vae": vae.state_dict(), "figures": figures}, path)
    return figures


def _turn(
    live: list[Any], pictures: Tensor, steps: int | None, loss: Any, seconds: float = math.inf
) -> int:
    """So many steps, or as many as fit into ``seconds``; the mean of the last ones is kept."""
    optimizer = torch.optim.AdamW(live, weight_decay=1e-4, betas=(0.9, 0.98), fused=True)
    average, began, step = Average(live), time.monotonic(), 0
    order = torch.Generator().manual_seed(2)
    while True:
        spent = time.monotonic() - began
        done = step / steps if steps else spent / seconds
        if done >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = rate(step, done, 1e-3)
        x = pictures[torch.randint(len(pictures), (BATCH,), generator=order)].float() / 127.5 - 1
        # Colours and sides turn about: the VAE is to hold more than the world's nine colours.
        if step % 8 == 1:
            x = x[:, torch.randperm(3, generator=order)]
        if step % 3 == 0:
            x = x.flip(-1)
        with torch.autocast("cpu", torch.bfloat16):
            value = loss(x, order)
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        torch.nn.utils.clip_grad_norm_(live, 1.0)
        optimizer.step()
        average.follow()
        step += 1
        if step % 500 == 0:
            print(f"vae {step} {float(value.detach()):.4f} {spent:.0f} s", flush=True)
    average.swap()
    return step


def rate(step: int, done: float, peak: float) -> float:
    """A hundred steps up, then a cosine down to nothing at ``done`` 1."""
    return peak * min(1.0, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * done)) + 1e-6


def difference(y: Tensor, x: Tensor) -> Tensor:
    """Of colours, and of edges: those are what is seen."""
    total = (y - x).abs().mean() + 0.5 * (y - x).square().mean()
    for a, b in zip(_edges(y), _edges(x), strict=True):
        total = total + 0.5 * (a - b).abs().mean()
    return total


def _edges(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


@torch.no_grad()
def psnr(vae: Any, pictures: Tensor) -> float:
    """Of 256 pictures, in dB."""
    x = pictures[:256].float() / 127.5 - 1
    y = torch.cat([vae(part).sample for part in x.split(32)]).clamp(-1, 1)
    return float(10 * torch.log10(4 / (y - x).square().mean()))


@torch.no_grad()
def latents_of(folder: Path, vae: Any, pictures: Tensor) -> tuple[Tensor, float]:
    """(N, 4, h, w) with a spread of one, and the factor that gave it to them."""
    path = folder / "latents.pt"
    if not path.exists():
        found = [
            vae.encode(part.float() / 127.5 - 1).latent_dist.mean for part in pictures.split(64)
        ]
        torch.save(torch.cat(found), path)
    whole: Tensor = torch.load(path)
    return whole / whole.std(), float(1 / whole.std())
