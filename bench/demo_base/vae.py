"""The demo base's VAE: learned as a whole, and its decoder once more when all else is done."""

import math
import time
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from bench.demo_base.cells import code
from bench.demo_base.muon import Muon
from bench.demo_base.parts import HELD_OUT, Average, new_vae

NEAR = 0.25  # of a code's spread, at most
SURE = -8.0  # log of the variance
BATCH = 6
PEAK = 1e-3
KEEP_S = 120.0


def learn(
    folder: Path, pictures: Tensor, seconds: float, start: Path | None
) -> tuple[Any, dict[str, float]]:
    """The VAE and its figures, after so many seconds; from the base ``start`` if there is one."""
    torch.manual_seed(1)
    vae = AutoencoderKL.from_pretrained(start / "vae", dtype=torch.float32) if start else new_vae()
    vae.to(memory_format=torch.channels_last)
    with torch.no_grad():  # there is one code for a picture, not a spread of them
        vae.quant_conv.weight[4:] = 0
        vae.quant_conv.bias[4:] = SURE

    def loss(pixels: Tensor, order: torch.Generator) -> Tensor:
        x = pixels.float() / 127.5 - 1
        aim = code(pixels)
        said = vae.encode(x.contiguous(memory_format=torch.channels_last)).latent_dist.mean
        # What a U-Net answers is not quite the code: the decoder is to bear some noise.
        share = NEAR * torch.rand(len(x), 1, 1, 1, generator=order)
        drawn = vae.decode(aim + share * torch.randn(aim.shape, generator=order)).sample
        return difference(drawn, x) + (said - aim).square().mean()

    figures = _turn(folder / "vae.pt", vae, list(vae.parameters()), pictures, seconds, loss)
    return vae, {f"vae_{name}": value for name, value in figures.items()}


def _turn(
    path: Path, vae: Any, live: list[Any], pictures: Tensor, seconds: float, loss: Any
) -> dict[str, float]:
    """As many steps as fit into ``seconds``; the mean of the last ones is kept. Goes on from
    ``path``.
    """
    optimizer, average = Muon(live), Average(live)
    spent, step = 0.0, 0
    if path.exists():
        saved = torch.load(path)
        vae.load_state_dict(saved["vae"])
        optimizer.load_state_dict(saved["optimizer"])
        average.slow, (spent, step) = saved["slow"], saved["numbers"]
        average.turns = step
    order = torch.Generator().manual_seed(2 + step)
    began, kept = time.monotonic() - spent, spent

    def keep() -> None:
        state = {"vae": vae.state_dict(), "optimizer": optimizer.state_dict()}
        state |= {"slow": average.slow, "numbers": (spent, step)}
        torch.save(state, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").rename(path)

    while (spent := time.monotonic() - began) < seconds:
        optimizer.lr = rate(step, spent / seconds, PEAK)
        value = loss(_batch(pictures, step, order), order)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        average.follow()
        step += 1
        if spent - kept > KEEP_S:
            print(f"{path.stem} {step} {float(value.detach()):.4f} {spent:.0f} s", flush=True)
            keep()
            kept = spent
    keep()
    average.swap()
    return {"steps": float(step), "s": seconds, "db": psnr(vae, pictures)}


def _batch(pictures: Tensor, step: int, order: torch.Generator) -> Tensor:
    """(BATCH, 3, side, side) bytes, none of those that are held out."""
    chosen = torch.randint(HELD_OUT, len(pictures), (BATCH,), generator=order)
    x = pictures[chosen]
    # Colours and sides turn about: the VAE is to hold more than the world's own colours.
    if step % 8 == 1:
        x = x[:, torch.randperm(3, generator=order)]
    if step % 3 == 0:
        x = x.flip(-1)
    return x


def rate(step: int, done: float, peak: float) -> float:
    """A hundred steps up, then a cosine down to nothing at ``done`` 1."""
    return peak * min(1.0, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * done)) + 1e-6


def difference(y: Tensor, x: Tensor) -> Tensor:
    """Of colours, and of edges: those are what is seen."""
    total = (y - x).abs().mean() + (y - x).square().mean()
    for a, b in zip(_edges(y), _edges(x), strict=True):
        total = total + 0.5 * (a - b).abs().mean()
    return total


def _edges(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


@torch.no_grad()
def psnr(vae: Any, pictures: Tensor) -> float:
    """Of the pictures that are held out, in dB."""
    x = pictures[:HELD_OUT].float() / 127.5 - 1
    y = torch.cat([vae(part).sample for part in x.split(32)]).clamp(-1, 1)
    return float(10 * torch.log10(4 / (y - x).square().mean()))
