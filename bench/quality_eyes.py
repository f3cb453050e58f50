"""A small network that reads off a picture what was drawn: the benchmark's judge.

It learns from drawings that went through the demo base's VAE, some with noisy latents, so that it
is used to what a sample looks like.
"""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from bench import quality_truth
from bench.drawn import creatures
from bench.drawn.draw import draw
from bench.quality_truth import CHOICES, SIDE

HELD_OUT = 300
BATCH = 32
PEAK = 3e-3
BLUR = 0.15  # of the latents' spread, at most


class Eyes(nn.Module):
    """(B, 3, 128, 128) in -1..1 to one row of logits for each feature."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after, stride in (
            (3, 24, 2),
            (24, 40, 2),
            (40, 64, 2),
            (64, 96, 1),
            (96, 96, 2),
        ):
            layers += [nn.Conv2d(before, after, 3, stride, 1), nn.GroupNorm(8, after), nn.SiLU()]
        self.body = nn.Sequential(*layers)
        self.middle = nn.Sequential(nn.Flatten(), nn.Linear(96 * 64, 192), nn.SiLU())
        self.heads = nn.ModuleDict({k: nn.Linear(192, len(v)) for k, v in CHOICES.items()})

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        seen = self.middle(self.body(x))
        return {name: head(seen) for name, head in self.heads.items()}


def labelled(count: int) -> tuple[Tensor, Tensor]:
    """(count, 3, side, side) bytes, and (count, features) places in ``CHOICES``, -1 for unseen."""
    pictures, rows = [], []
    for n in range(count):
        dice = random.Random(f"eyes {n}")
        one, where = quality_truth.anybody(dice), creatures.scene(dice)
        pictures.append(np.asarray(draw(one, where, SIDE)))
        seen = quality_truth.truth(one, where)
        rows.append([v.index(seen[k]) if k in seen else -1 for k, v in CHOICES.items()])
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2), torch.tensor(rows)


@torch.no_grad()
def through(vae: Any, pictures: Tensor) -> Tensor:
    """The same pictures as the VAE gives them back, some blurred by noise in the latents."""
    order, done = torch.Generator().manual_seed(5), []
    for part in pictures.split(20):
        seen = vae.encode(part.float() / 127.5 - 1).latent_dist.mean
        share = BLUR * torch.rand(len(part), 1, 1, 1, generator=order)
        noisy = seen + share * seen.std() * torch.randn(seen.shape, generator=order)
        done.append(bytes_of(vae.decode(noisy).sample))
    return torch.cat(done)


def bytes_of(x: Tensor) -> Tensor:
    return ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def learn(folder: Path, vae: Any, count: int, rounds: int) -> tuple[Eyes, dict[str, float]]:
    """The judge, and how often it is right on pictures that it has not seen, by feature."""
    torch.manual_seed(6)
    eyes, path = Eyes(), folder / "eyes.pt"
    if path.exists():
        saved = torch.load(path)
        eyes.load_state_dict(saved["eyes"])
        return eyes.eval(), saved["right"]
    pictures, truth = labelled(count)
    pictures = through(vae, pictures)
    torch.save((pictures, truth), folder / "drawings.pt")
    _train(eyes, pictures[HELD_OUT:], truth[HELD_OUT:], rounds)
    eyes.eval()
    right = accuracy(eyes, pictures[:HELD_OUT], truth[:HELD_OUT])
    torch.save({"eyes": eyes.state_dict(), "right": right}, path)
    return eyes, right


def _train(eyes: Eyes, pictures: Tensor, truth: Tensor, rounds: int) -> None:
    optimizer = torch.optim.AdamW(eyes.parameters(), weight_decay=0.02)
    total = rounds * (len(pictures) // BATCH)
    course = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, total_steps=total)
    order = torch.Generator().manual_seed(7)
    for _ in range(rounds):
        mixed = torch.randperm(len(pictures), generator=order)
        for chosen in mixed[: len(pictures) // BATCH * BATCH].split(BATCH):
            x = pictures[chosen].float() / 127.5 - 1
            # A little darker, lighter or tinted, and moved by some pixels.
            x = x + 0.04 * torch.randn(BATCH, 3, 1, 1, generator=order)
            across, down = torch.randint(-5, 6, (2,), generator=order).tolist()
            x = x.roll((across, down), (-1, -2))
            loss = torch.zeros(())
            for n, logits in enumerate(eyes(x).values()):
                seen = truth[chosen, n]
                loss = loss + functional.cross_entropy(logits, seen, ignore_index=-1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            course.step()


@torch.no_grad()
def accuracy(eyes: Eyes, pictures: Tensor, truth: Tensor) -> dict[str, float]:
    said = look(eyes, pictures)
    right = {}
    for n, (name, values) in enumerate(CHOICES.items()):
        seen = [
            (one[name], values[place])
            for one, place in zip(said, truth[:, n], strict=True)
            if place >= 0
        ]
        right[name] = sum(a == b for a, b in seen) / len(seen)
    return right


@torch.no_grad()
def look(eyes: Eyes, pictures: Tensor) -> list[dict[str, str]]:
    """What is in each of (N, 3, side, side) byte pictures."""
    found: list[dict[str, str]] = []
    for part in pictures.split(64):
        answers = {k: v.argmax(1).tolist() for k, v in eyes(part.float() / 127.5 - 1).items()}
        found += [
            {name: CHOICES[name][answers[name][n]] for name in CHOICES} for n in range(len(part))
        ]
    return found
