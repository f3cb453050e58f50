"""The training loop: settings, data, model, optimiser, steps. It reads from top to bottom."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from trainer import batches, checkpoint, dataset, export, lora, loss, schedule
from trainer.families import sd15
from trainer.params import TrainParams
from trainer.run import Finished, Phase, Progress, RunSpec

log = logging.getLogger(__name__)

REPORT_S = 0.25
SMOOTHING = 0.9  # of the loss and the speed that people see
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
ODD = 0x9E3779B97F4A7C15  # 2**64 / golden ratio: spreads neighbouring keys far apart


class DivergedError(Exception):
    """The loss is not a number any more."""


class StoppedError(Exception):
    """Asked to stop; the checkpoint is written."""


Say = Callable[[Progress], None]


def train(spec: RunSpec, say: Say, stopping: Callable[[], bool]) -> Finished:
    """One run from the first import to the checked file."""
    params = spec.params
    device = _device(spec.device)
    pictures = dataset.find(spec.dataset)
    model = sd15.load(spec.base, DTYPES[params.precision], device)

    say(Progress(phase=Phase.ENCODING, total=params.max_steps))
    data = dataset.encode(pictures, model, params)
    model.vae = None  # the largest part of what is not needed any more

    pairs = lora.inject(model, params)
    optimizer = _optimizer(pairs, params, device)
    digest = checkpoint.digest_of(params, data.digest)
    step = checkpoint.load(spec.work, digest, pairs, optimizer)
    if step:
        log.info("going on after step %d", step)

    meter = Meter(total=params.max_steps, step=step)
    saved_at = time.monotonic()
    say(meter.progress())
    while step < params.max_steps:
        _set_rate(optimizer, schedule.share(step, params))
        value = _loss(model, data, params, step)
        value.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        meter.add(value.detach(), step)
        if meter.due or step == params.max_steps:
            say(meter.read())
        if stopping() or time.monotonic() - saved_at > spec.checkpoint_every_s:
            meter.read()  # a run that went wrong must not become a checkpoint
            checkpoint.save(spec.work, step, digest, pairs, optimizer)
            saved_at = time.monotonic()
            if stopping():
                raise StoppedError

    say(Progress(phase=Phase.SAVING, step=step, total=step, loss=meter.loss))
    export.write(spec.output, pairs, params, data.sizes)
    return Finished(steps=step, loss=meter.loss)


def _loss(model: sd15.Model, data: dataset.Dataset, params: TrainParams, step: int) -> Tensor:
    """One batch, of one size. All that is random in it follows from seed and step."""
    draw = _generator(params.seed, step)
    chosen = batches.of_step(data.sizes, params.batch_size, params.seed, step)
    latents = torch.stack([data.latents[one] for one in chosen])  # (B, 4, h, w)
    noise = torch.randn(latents.shape, generator=draw)
    if params.noise_offset:
        noise += params.noise_offset * torch.randn((*latents.shape[:2], 1, 1), generator=draw)
    noise = noise.to(latents)
    timesteps = torch.randint(len(model.alphas), (len(chosen),), generator=draw)
    dropped = torch.rand(len(chosen), generator=draw) < params.caption_dropout
    timesteps = timesteps.to(model.device)
    alphas = model.alphas[timesteps].to(latents.dtype)  # (B,)

    with torch.autocast(model.device.type, DTYPES[params.precision], params.precision != "fp32"):
        context = _context(model, data, chosen, dropped)
        noisy = loss.add_noise(latents, noise, alphas)
        prediction = sd15.predict(model, noisy, timesteps, context)
    wanted = loss.target(latents, noise, alphas, model.prediction_type)
    weight = loss.min_snr_weight(alphas, params.min_snr_gamma, model.prediction_type)
    return loss.weighted_mse(prediction, wanted, weight)


def _context(
    model: sd15.Model, data: dataset.Dataset, chosen: batches.Batch, dropped: Tensor
) -> Tensor:
    """(B, tokens, width): the captions' encodings, the empty caption's where it is dropped."""
    if data.contexts is not None:
        empty = len(data.captions)
        rows = [empty if drop else one for one, drop in zip(chosen, dropped, strict=True)]
        return data.contexts[rows]
    texts = ["" if drop else data.captions[one] for one, drop in zip(chosen, dropped, strict=True)]
    return sd15.encode_prompts(model, texts)


def _generator(seed: int, step: int) -> torch.Generator:
    return torch.Generator().manual_seed((seed * ODD + step * 2 + 1) % 2**63)


def _optimizer(
    pairs: list[lora.Pair], params: TrainParams, device: torch.device
) -> torch.optim.AdamW:
    rates = {"unet": params.learning_rate, "te": params.text_encoder_lr}
    groups = [
        {
            "params": [
                weight for one in pairs if one.part == part for weight in (one.down, one.up)
            ],
            "lr": rate,
            "peak": rate,
        }
        for part, rate in rates.items()
        if rate
    ]
    return torch.optim.AdamW(groups, fused=device.type == "cuda")


def _set_rate(optimizer: torch.optim.Optimizer, share: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * share


def _device(name: str) -> torch.device:
    if name != "auto":
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(slots=True)
class Meter:
    """Loss and speed as people see them. The device is asked for its loss only when it is due."""

    total: int
    step: int
    loss: float | None = None
    speed: float | None = None
    _sum: Tensor | None = None
    _count: int = 0
    _read_at: float = field(default_factory=time.monotonic)

    @property
    def due(self) -> bool:
        return time.monotonic() - self._read_at >= REPORT_S

    def add(self, value: Tensor, step: int) -> None:
        self._sum = value if self._sum is None else self._sum + value
        self._count += 1
        self.step = step

    def read(self) -> Progress:
        """Raises DivergedError when one of the losses since the last reading was not finite."""
        now = time.monotonic()
        if self._sum is not None and self._count:
            mean = float(self._sum) / self._count
            if mean != mean or mean in (float("inf"), float("-inf")):  # noqa: PLR0124  a NaN
                raise DivergedError(f"loss {mean} at step {self.step}")
            self.loss = mean if self.loss is None else _blend(self.loss, mean)
            speed = self._count / max(1e-6, now - self._read_at)
            self.speed = speed if self.speed is None else _blend(self.speed, speed)
        self._sum, self._count, self._read_at = None, 0, now
        return self.progress()

    def progress(self) -> Progress:
        left = None if self.speed is None else (self.total - self.step) / self.speed
        return Progress(
            phase=Phase.TRAINING,
            step=self.step,
            total=self.total,
            loss=self.loss,
            steps_per_s=self.speed,
            eta_s=left,
        )


def _blend(old: float, new: float) -> float:
    return SMOOTHING * old + (1 - SMOOTHING) * new
