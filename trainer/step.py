"""One batch's loss. All that is random in it follows from seed and number: a resume needs no
random state.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainer import batches, compiling, dataset, lora, objective
from trainer.dataset import Dataset
from trainer.families.family import Condition, Family, Model
from trainer.params import TrainParams

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
ODD = 0x9E3779B97F4A7C15  # 2**64 / golden ratio: spreads neighbouring keys far apart
LOOKS = 8  # noises and times at which each held-out picture is looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What every step needs."""

    family: Family
    model: Model
    data: Dataset
    params: TrainParams
    pairs: Sequence[lora.Pair] = ()


def prepare(work: Work) -> None:
    """Trade time for memory, where that is wanted: activations are computed twice, not kept. The
    libraries do it for a network that is in training mode; nothing else of ours depends on it.
    """
    if work.params.gradient_checkpointing:
        for network in _networks(work.model):
            _switch(network, "enable")
            network.train()


def restore(model: Model) -> None:
    """The networks as they were loaded: the next run may want it otherwise."""
    for network in _networks(model):
        if network.training:
            _switch(network, "disable")
            network.eval()


def _networks(model: Model) -> tuple[Any, ...]:
    return (model.denoiser, *model.encoders.values())


def _switch(network: Any, way: str) -> None:
    """The two libraries name it differently."""
    name = f"{way}_gradient_checkpointing"
    if not hasattr(network, name):
        name = f"activation_checkpointing_{way}"
    getattr(network, name)()


@contextmanager
def at_rest(work: Work) -> Iterator[None]:
    """Networks as they are used, not trained."""
    busy = [one for one in _networks(work.model) if one.training]
    for network in busy:
        network.eval()
    try:
        with compiling.resting(work.model):
            yield
    finally:
        for network in busy:
            network.train()


def generator(seed: int, number: int) -> torch.Generator:
    return torch.Generator().manual_seed((seed * ODD + number * 2 + 1) % 2**63)


def loss(work: Work, number: int) -> Tensor:
    """Of the batch with this number, counted over the whole run."""
    params, draw = work.params, generator(work.params.seed, number)
    chosen = batches.of_step(work.data.trained, params.batch_size, params.seed, number)
    if preserves(params.preservation, number):
        return _preservation_loss(work, chosen, draw)
    return _loss(work, chosen, draw, params.caption_dropout)


def preserves(share: float, number: int) -> bool:
    """Whether this batch is one of those that keep the base as it is: evenly that share of all."""
    return int((number + 1) * share) > int(number * share)


@torch.no_grad()
def held_out_loss(work: Work) -> float:
    """The mean over the pictures that are not trained on, always with the same noise."""
    count = len(work.data.sizes)
    looks = [
        _loss(work, (place,), generator(work.params.seed, -1 - place * LOOKS - look), 0.0)
        for place in range(count - work.data.held_out, count)
        for look in range(LOOKS)
    ]
    return float(torch.stack(looks).mean())


def _loss(work: Work, chosen: batches.Batch, draw: torch.Generator, dropout: float) -> Tensor:
    data, params, model = work.data, work.params, work.model
    seen = _noised(work, chosen, draw)
    dropped = torch.rand(len(chosen), generator=draw) < dropout
    with autocast(model, params):
        conditions = _conditions(work, chosen, dropped)
        answer = work.family.predict(model, seen.noisy, seen.times, conditions)
    wanted = model.aim.target(seen.latents, seen.noise, seen.times)
    weight = model.aim.weight(seen.times, params.min_snr_gamma)
    return objective.weighted_mse(answer, wanted, weight, _masks(data, chosen))


def _preservation_loss(work: Work, chosen: batches.Batch, draw: torch.Generator) -> Tensor:
    """Without the trigger the model is to answer what the base answers: what is learned belongs to
    the trigger, not to the class word. The idea of DreamBooth's prior preservation
    (arXiv:2208.12242, section 3.2) on the pictures that are there, so that no others are needed.
    """
    params, model = work.params, work.model
    seen = _noised(work, chosen, draw)
    with autocast(model, params):
        with torch.no_grad(), lora.switched_off(work.pairs):
            plain = _plain(work, chosen)
            wanted = work.family.predict(model, seen.noisy, seen.times, plain)
        if params.text_encoder_lr:
            plain = _plain(work, chosen)
        answer = work.family.predict(model, seen.noisy, seen.times, plain)
    weight = model.aim.weight(seen.times, params.min_snr_gamma)
    return objective.weighted_mse(answer, wanted, weight)


@dataclass(frozen=True, slots=True)
class _Seen:
    """(B, C, h, w) each; ``times`` (B,), on the device."""

    latents: Tensor
    noise: Tensor
    times: Tensor
    noisy: Tensor


def _noised(work: Work, chosen: batches.Batch, draw: torch.Generator) -> _Seen:
    params, model = work.params, work.model
    latents = torch.stack([work.data.latents[one] for one in chosen])
    noise = torch.randn(latents.shape, generator=draw)
    if params.noise_offset:
        noise += params.noise_offset * torch.randn((*latents.shape[:2], 1, 1), generator=draw)
    noise = noise.to(latents)
    tokens = latents.shape[-2] * latents.shape[-1]
    times = model.aim.draw(len(chosen), tokens, draw).to(model.device)
    return _Seen(latents, noise, times, model.aim.noisy(latents, noise, times))


def autocast(model: Model, params: TrainParams) -> torch.autocast:
    """The pairs are kept in fp32 and used in the model's precision."""
    return torch.autocast(
        model.device.type, DTYPES[params.precision], enabled=params.precision != "fp32"
    )


def _conditions(work: Work, chosen: batches.Batch, dropped: Tensor) -> Sequence[Condition]:
    """The captions' encodings, the empty caption's where it is dropped."""
    both = list(zip(chosen, dropped.tolist(), strict=True))
    if work.data.conditions is not None:
        return [work.data.conditions[-1 if drop else one] for one, drop in both]
    texts = ["" if drop else work.data.captions[one] for one, drop in both]
    return work.family.encode_prompts(work.model, texts)


def _plain(work: Work, chosen: batches.Batch) -> Sequence[Condition]:
    """The captions without the trigger."""
    if work.data.plain is not None:
        return [work.data.plain[one] for one in chosen]
    texts = [dataset.without(work.data.captions[one], work.params) for one in chosen]
    return work.family.encode_prompts(work.model, texts)


def _masks(data: Dataset, chosen: batches.Batch) -> Tensor | None:
    """(B, 1, h, w), or None where no picture of the batch has one."""
    masks = [data.masks[one] for one in chosen]
    if all(mask is None for mask in masks):
        return None
    whole = torch.ones_like(data.latents[chosen[0]][:1])
    return torch.stack([whole if mask is None else mask for mask in masks])
