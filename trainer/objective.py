"""What a denoiser learns and how pictures come out of it again: diffusion and rectified flow.

Shapes: latents, noise and answers (B, C, h, w); times (B,). All in fp32.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

LONG = 4300  # tokens


class Objective(Protocol):
    """Training asks for ``draw``, ``noisy``, ``target`` and ``weight``; samples for ``course`` and
    ``step``. ``tokens`` is h x w: some families shift their times by it.
    """

    def draw(self, count: int, tokens: int, generator: torch.Generator) -> Tensor:
        """Random times (count,), on the CPU."""

    def noisy(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """Latents with the share of noise that they have at ``times``."""

    def target(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """What the denoiser is to answer."""

    def weight(self, times: Tensor, gamma: float) -> Tensor:
        """(B,): what each picture's error counts."""

    def course(self, steps: int, tokens: int) -> Tensor:
        """(steps + 1,) times from pure noise to the picture, on the CPU."""

    def step(self, noisy: Tensor, answer: Tensor, time: Tensor, after: Tensor) -> Tensor:
        """From one time of the course to the one after it; both scalars."""


@dataclass(frozen=True, slots=True)
class Diffusion:
    """DDPM (arXiv:2006.11239). ``alphas`` (T,) on the device: the cumulated products by timestep.

    ``prediction_type`` is "epsilon", or "v_prediction" (arXiv:2202.00512, section 4).
    """

    alphas: Tensor
    prediction_type: str

    def __post_init__(self) -> None:
        if self.prediction_type not in ("epsilon", "v_prediction"):
            raise ValueError(f"prediction type {self.prediction_type!r} is not known")

    def draw(self, count: int, tokens: int, generator: torch.Generator) -> Tensor:  # noqa: ARG002
        return torch.randint(len(self.alphas), (count,), generator=generator)

    def noisy(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) eps (equation 4)."""
        a = self._alphas(times)
        return a.sqrt() * latents + (1 - a).sqrt() * noise

    def target(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """Eps, or v = sqrt(a_t) eps - sqrt(1 - a_t) x_0."""
        if self.prediction_type == "epsilon":
            return noise
        a = self._alphas(times)
        return a.sqrt() * noise - (1 - a).sqrt() * latents

    def weight(self, times: Tensor, gamma: float) -> Tensor:
        """min(SNR, gamma) / SNR for eps, min(SNR, gamma) / (SNR + 1) for v (arXiv:2303.09556,
        equation 7 and section 3.4); all one when ``gamma`` is 0.
        """
        alphas = self.alphas[times]
        if not gamma:
            return torch.ones_like(alphas)
        # A schedule that ends in pure noise has an SNR of 0 there.
        snr = (alphas / (1 - alphas)).clamp(min=1e-8)
        clipped = snr.clamp(max=gamma)
        return clipped / (snr + 1 if self.prediction_type == "v_prediction" else snr)

    def course(self, steps: int, tokens: int) -> Tensor:  # noqa: ARG002  the same for all sizes
        """Evenly from the last timestep on ("trailing", arXiv:2305.08891, table 2); -1 is the
        picture.
        """
        total = len(self.alphas)
        times = torch.arange(steps, dtype=torch.float64)
        return torch.cat([(total - times * total / steps).round().long() - 1, torch.tensor([-1])])

    def step(self, noisy: Tensor, answer: Tensor, time: Tensor, after: Tensor) -> Tensor:
        """DDIM without fresh noise (arXiv:2010.02502, equation 12)."""
        a = self._alphas(time[None])
        b = self._alphas(after[None]) if after >= 0 else torch.ones_like(a)
        if self.prediction_type == "epsilon":
            noise = answer
            clean = (noisy - (1 - a).sqrt() * noise) / a.sqrt()
        else:
            noise = a.sqrt() * answer + (1 - a).sqrt() * noisy
            clean = a.sqrt() * noisy - (1 - a).sqrt() * answer
        return b.sqrt() * clean + (1 - b).sqrt() * noise

    def _alphas(self, times: Tensor) -> Tensor:
        return self.alphas[times].view(-1, 1, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Rectified flow (arXiv:2403.03206): times from 0, the picture, to 1, noise.

    ``shift`` moves all times towards noise (its equation 23). With ``base`` and ``most``, two
    pairs of (tokens, mu), the shift is e**mu with mu on the line through both, as FLUX has it;
    ``patch`` x ``patch`` latents are one token. With ``base_of_ten`` and ``most_of_ten`` a course
    is shifted by its steps, too, as FLUX.2 has it: at 10 steps on the line through these two, at
    200 on the other's, between them in proportion; from ``LONG`` tokens on it is the other's.
    With ``last`` a course is stretched until its last time before the picture is that one.
    ``fewest`` are the steps that a course has at least, of a base that needs more than its family.
    """

    shift: float = 1.0
    base: tuple[float, float] | None = None
    most: tuple[float, float] | None = None
    base_of_ten: tuple[float, float] | None = None
    most_of_ten: tuple[float, float] | None = None
    patch: int = 2
    last: float | None = None
    fewest: int = 1

    def draw(self, count: int, tokens: int, generator: torch.Generator) -> Tensor:
        """Logit-normal (section 3.1 there), shifted."""
        return self._shifted(torch.randn(count, generator=generator).sigmoid(), tokens)

    def noisy(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        t = times.view(-1, 1, 1, 1)
        return (1 - t) * latents + t * noise

    def target(self, latents: Tensor, noise: Tensor, times: Tensor) -> Tensor:  # noqa: ARG002
        return noise - latents

    def weight(self, times: Tensor, gamma: float) -> Tensor:  # noqa: ARG002  SNR weights are DDPM's
        return torch.ones_like(times)

    def course(self, steps: int, tokens: int) -> Tensor:
        steps = max(steps, self.fewest)
        times = self._shifted(torch.linspace(1, 0, steps + 1), tokens, steps)
        if self.last is not None and steps > 1:
            times[:-1] = 1 - (1 - times[:-1]) * (1 - self.last) / (1 - times[-2])
        return times

    def step(self, noisy: Tensor, answer: Tensor, time: Tensor, after: Tensor) -> Tensor:
        """Euler."""
        return noisy + (after - time) * answer

    def _shifted(self, times: Tensor, tokens: int, steps: int = 200) -> Tensor:
        factor = self._factor(tokens / self.patch**2, steps)
        return factor * times / (1 + (factor - 1) * times)

    def _factor(self, tokens: float, steps: int) -> float:
        if self.base is None or self.most is None:
            return self.shift
        mu = _on_line(self.base, self.most, tokens)
        if self.base_of_ten and self.most_of_ten and tokens <= LONG:
            of_ten = _on_line(self.base_of_ten, self.most_of_ten, tokens)
            mu += (of_ten - mu) * (200 - steps) / 190
        return math.exp(mu)


def _on_line(one: tuple[float, float], other: tuple[float, float], x: float) -> float:
    return one[1] + (other[1] - one[1]) / (other[0] - one[0]) * (x - one[0])


def weighted_mse(
    answer: Tensor, wanted: Tensor, weight: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Mean over the batch of each picture's mean squared error times its weight; in fp32. A
    ``mask`` (B, 1, h, w) in 0..1 says which places count, and how much.
    """
    error = (answer.float() - wanted.float()).square()
    if mask is not None:
        error = error * (mask / mask.mean(dim=(1, 2, 3), keepdim=True).clamp(min=1e-3))
    return (error.mean(dim=(1, 2, 3)) * weight).mean()
