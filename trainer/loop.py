"""The training loop: settings, data, model, optimiser, steps. It reads from top to bottom."""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from trainer import (
    asked,
    checkpoint,
    compiling,
    comrades,
    dataset,
    lora,
    optimizers,
    samples,
    schedule,
    step,
)
from trainer.asked import Wish
from trainer.families import family_of
from trainer.families.family import Condition, Family, Model
from trainer.meter import Meter
from trainer.moments import Moments
from trainer.run import Finished, Message, Phase, Progress, RunSpec

log = logging.getLogger(__name__)


class StoppedError(Exception):
    """Asked to stop; the checkpoint is written."""


Say = Callable[[Message], None]
Stopping = Callable[[], bool]


def train(spec: RunSpec, say: Say, stopping: Stopping, shelf: Model | None = None) -> Finished:
    """One run from the base model to the checked file. ``shelf`` is a base model that is loaded
    already, wholly or in part, and stays so; without it each network goes when its work is done.
    """
    family = family_of(spec.params.family)
    spec = settled(spec)
    model = shelf or new_model(spec)
    data, prompts = _encode(spec, family, model, say, keep=shelf is not None)
    if model.denoiser is None:
        family.load_denoiser(model)
    pairs = lora.inject(model, family.TRAITS, spec.params)
    try:
        work = step.Work(family=family, model=model, data=data, params=spec.params, pairs=pairs)
        return Run(spec=spec, work=work, pairs=pairs, prompts=prompts, say=say).go(stopping)
    finally:
        compiling.take_off(model)
        lora.remove(pairs)
        step.restore(model)


def settled(spec: RunSpec) -> RunSpec:
    """With a precision: bf16 where the GPU has it, else half; the CPU is best at fp32."""
    if spec.params.precision != "auto":
        return spec
    device = _device(spec.device)
    precision = "fp32"
    if device.type == "cuda":
        precision = "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return replace(spec, params=replace(spec.params, precision=precision))


def new_model(spec: RunSpec) -> Model:
    return Model(
        path=spec.base,
        dtype=step.DTYPES[spec.params.precision],
        device=_device(spec.device),
        prediction=spec.params.prediction,
    )


def _device(name: str) -> torch.device:
    if name != "auto":
        return torch.device(name)
    if not torch.cuda.is_available():
        return torch.device("cpu")
    # Of several processes of one run each has its own.
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def _encode(
    spec: RunSpec, family: Family, model: Model, say: Say, *, keep: bool
) -> tuple[dataset.Dataset, tuple[Condition, ...] | None]:
    """Captions, then pictures, and the prompts of the samples. None: those have to be encoded
    each time, because the text encoder changes.
    """
    params = spec.params
    pictures = dataset.find(spec.dataset, params.hold_out)
    pictures = dataset.within(pictures, params.resolution)
    pictures = dataset.in_resolutions(pictures, params.resolutions, params.hold_out)
    say(Progress(phase=Phase.ENCODING, total=params.max_steps))
    if not model.encoders:
        family.load_text(model)
    conditions = prompts = plain = None
    if not params.text_encoder_lr:
        conditions = dataset.encode_captions(pictures, family, model)
        if params.preservation:
            plain = dataset.encode_plain(pictures, family, model, params)
        prompts = samples.encode(spec.prompts, family, model)
        if not keep:
            model.encoders.clear()
    data = dataset.encode(pictures, family, model, params, spec.work)
    data.conditions, data.plain = conditions, plain
    if not (keep or spec.prompts):
        model.vae = None
    return data, prompts


@dataclass(slots=True, kw_only=True)
class Run:
    """What the loop has in its hands."""

    spec: RunSpec
    work: step.Work
    pairs: list[lora.Pair]
    prompts: tuple[Condition, ...] | None
    say: Say
    step: int = 0
    compiles: bool = True  # until it was done or failed
    optimizer: optimizers.Optimizer = field(init=False)
    # What the optimizer steps: all weights, one by one or as a flat one of each group.
    weights: list[torch.nn.Parameter] = field(init=False)
    scaler: torch.amp.GradScaler = field(init=False)
    others: comrades.Comrades = field(init=False)
    digest: str = field(init=False)

    def go(self, stopping: Stopping) -> Finished:
        spec, total = self.spec, self.spec.params.max_steps
        meter = self._prepare()
        moments = Moments(spec, self.work, self.pairs, self.prompts, self.say)
        saved_at = time.monotonic()
        wishes: set[Wish] = set()
        self.say(meter.progress())
        while self.step < total:
            self._compile(meter)
            meter.add(self._step(), self.step + 1)
            self.step += 1
            if meter.due or self.step == total:
                self.say(meter.read())
                wishes = self._heard(moments, meter)
            if self.others.rank == 0 and moments.due(self.step, wishes):
                # A run that went wrong must not become a file.
                self.say(meter.read())
                moments.note(meter)
                moments.make(self.step, wishes, meter)
            over = self.others.agree(Wish.FINISH in wishes or moments.over)
            stop = self.others.agree(stopping()) and not over
            wishes = set()
            if stop or over or time.monotonic() - saved_at > spec.checkpoint_every_s:
                meter.read()
                self._save(meter)
                saved_at = time.monotonic()
            if stop:
                raise StoppedError
            if over:
                break
        if self.others.rank:
            return Finished(steps=self.step, loss=meter.loss)
        return moments.finish(self.step, meter)

    def _prepare(self) -> Meter:
        params, model = self.spec.params, self.work.model
        self.optimizer = optimizers.make(self.pairs, self.work.family.TRAITS, params)
        self.weights = optimizers.leaves(self.optimizer)
        # Half precision has no room for small gradients; the others need no scale.
        self.scaler = torch.amp.GradScaler(model.device.type, enabled=params.precision == "fp16")
        self.others = comrades.find(self.spec.devices, model.device)
        self.digest = checkpoint.digest_of(params, self.work.data.digest)
        step.prepare(self.work)
        meter = Meter(total=params.max_steps)
        self._resume(meter)
        return meter

    def _heard(self, moments: Moments, meter: Meter) -> set[Wish]:
        """What was asked for since the last report; only one process of several answers."""
        if self.others.rank:
            return set()
        moments.note(meter)
        return asked.taken(self.spec.work)

    def _compile(self, meter: Meter) -> None:
        if not self.compiles:
            return
        params, model, sizes = self.work.params, self.work.model, len(set(self.work.data.trained))
        left = params.max_steps - self.step
        if compiling.pays(params, model, sizes, left, meter.speed):
            compiling.put_on(model, params)
            self.compiles = False
            # The steps before tell nothing of the speed from now on.
            meter.speed = None

    def _step(self) -> Tensor:
        """One step of the optimizer, from all its batches; their mean loss, on the device."""
        params = self.work.params
        optimizers.set_rate(self.optimizer, schedule.share(self.step, params))
        losses = self._gradients()
        self.others.share_gradients(self.weights)
        stepped: Any = self.optimizer  # of torch's own kind, or one that a scaler takes for it
        self.scaler.unscale_(stepped)
        if params.max_grad_norm:
            torch.nn.utils.clip_grad_norm_(self.weights, params.max_grad_norm, foreach=True)
        self.scaler.step(stepped)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        return losses[0] if len(losses) == 1 else torch.stack(losses).mean()

    def _gradients(self) -> list[Tensor]:
        """Of all batches of a step, added up; once more without compiled blocks where they fail."""
        try:
            return self._both_ways()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            if not compiling.is_on(self.work.model):
                raise
            compiling.give_up(self.work.model, error)
        self.optimizer.zero_grad(set_to_none=True)
        return self._both_ways()

    def _both_ways(self) -> list[Tensor]:
        """Forward and back; each batch's loss."""
        each, count = self.work.params.gradient_accumulation, self.others.count
        losses = []
        for turn in range(each):
            number = (self.step * each + turn) * count + self.others.rank
            value = step.loss(self.work, number)
            self.scaler.scale(value / each).backward()
            losses.append(value.detach())
        return losses

    def _resume(self, meter: Meter) -> None:
        numbers = checkpoint.load(self.spec.work, self.digest, self.pairs, self.optimizer)
        if not numbers:
            return
        self.step = meter.step = int(numbers["step"])
        meter.loss = numbers.get("loss")
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(
                {**self.scaler.state_dict(), "scale": numbers["scale"]}
                | {"_growth_tracker": int(numbers["growth"])}
            )
        log.info("going on after step %d", self.step)

    def _save(self, meter: Meter) -> None:
        if self.others.rank:
            return
        numbers: dict[str, float] = {"step": self.step}
        if meter.loss is not None:
            numbers["loss"] = meter.loss
        if self.scaler.is_enabled():
            state = self.scaler.state_dict()
            numbers |= {"scale": state["scale"], "growth": state["_growth_tracker"]}
        checkpoint.save(self.spec.work, self.digest, self.pairs, self.optimizer, numbers)
