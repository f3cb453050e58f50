"""Noise, target and weight of the diffusion loss."""

import torch
from torch import Tensor


def add_noise(latents: Tensor, noise: Tensor, alphas: Tensor) -> Tensor:
    """x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) eps (DDPM, arXiv:2006.11239, equation 4).

    ``latents`` and ``noise`` (B, C, h, w); ``alphas`` (B,), the cumulated product at each
    picture's timestep.
    """
    a = alphas.view(-1, 1, 1, 1)
    return a.sqrt() * latents + (1 - a).sqrt() * noise


def target(latents: Tensor, noise: Tensor, alphas: Tensor, prediction_type: str) -> Tensor:
    """What the network is to predict: eps, or v = sqrt(a_t) eps - sqrt(1 - a_t) x_0
    (arXiv:2202.00512, section 4).
    """
    if prediction_type == "epsilon":
        return noise
    if prediction_type == "v_prediction":
        a = alphas.view(-1, 1, 1, 1)
        return a.sqrt() * noise - (1 - a).sqrt() * latents
    raise ValueError(f"prediction type {prediction_type!r} is not known")


def min_snr_weight(alphas: Tensor, gamma: float, prediction_type: str) -> Tensor:
    """(B,) weights min(SNR, gamma) / SNR for eps, min(SNR, gamma) / (SNR + 1) for v
    (arXiv:2303.09556, equation 7 and section 3.4); all one when ``gamma`` is 0.
    """
    if not gamma:
        return torch.ones_like(alphas)
    snr = alphas / (1 - alphas)
    clipped = snr.clamp(max=gamma)
    return clipped / (snr + 1 if prediction_type == "v_prediction" else snr)


def weighted_mse(prediction: Tensor, wanted: Tensor, weight: Tensor) -> Tensor:
    """Mean over the batch of each picture's mean squared error times its weight; in fp32."""
    error = (prediction.float() - wanted.float()).square().mean(dim=(1, 2, 3))
    return (error * weight).mean()
