"""The method of ``bench/train_memory``: bytes that are counted without computing anything are those
that the CPU's allocator gives out while the same step is computed.
"""

import gc
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from bench import live_bytes, train_memory
from trainer import architectures, lora, step
from trainer.dataset import Dataset
from trainer.families import sd15
from trainer.families.family import Model
from trainer.objective import Diffusion

pytestmark = [pytest.mark.timeout(180), pytest.mark.usefixtures("one_thread")]
SIDE = 128
NARROW = {
    "block_out_channels": (32, 64),
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "layers_per_block": 1,
    "sample_size": 16,
    "attention_head_dim": 4,
}


def work_on(device: str, point: train_memory.Point) -> step.Work:
    with torch.device(device):
        network = architectures.SD15_UNET.build(architectures.UNET_15 | NARROW)
    alphas = torch.linspace(0.99, 0.01, 1000, device=device)
    latents = torch.zeros(4, SIDE // 8, SIDE // 8, device=device)
    condition = {"context": torch.zeros(77, 768, device=device)}
    model = Model(
        path=Path("nowhere"),
        dtype=torch.float32,
        device=torch.device(device),
        denoiser=network.eval().requires_grad_(requires_grad=False),
        objective=Diffusion(alphas, "epsilon"),
    )
    params = replace(point.params, precision="fp32")
    pairs = lora.inject(model, sd15.TRAITS, params)
    data = Dataset(
        latents=(latents,) * point.batch,
        sizes=((SIDE, SIDE),) * point.batch,
        masks=(None,) * point.batch,
        captions=("",) * point.batch,
        paths=(),
        held_out=0,
        digest="",
        conditions=(condition,) * (point.batch + 1),
    )
    work = step.Work(family=sd15, model=model, data=data, params=params)
    step.prepare(work)
    for weight in lora.weights(pairs):
        weight.grad = torch.zeros_like(weight)
    return work


def said(point: train_memory.Point, monkeypatch: pytest.MonkeyPatch) -> int:
    work = work_on("meta", point)
    with monkeypatch.context() as patch, live_bytes.counted(None) as live:
        patch.setattr(step, "autocast", lambda *_: nullcontext())  # meta has none
        train_memory.hold(live, work.model, work)
        before = live.now
        live_bytes.backward(step.loss(work, 0))
    return live.peak - before


def taken(point: train_memory.Point) -> int:
    work = work_on("cpu", point)
    step.loss(work, 0).backward()
    gc.collect()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step.loss(work, 1).backward()
    assert profiler.profiler is not None
    events = profiler.profiler.kineto_results.events()
    now = peak = 0
    for one in sorted(
        (one for one in events if one.name() == "[memory]"), key=lambda one: one.start_ns()
    ):
        now += one.nbytes()
        peak = max(peak, now)
    return peak


@pytest.mark.parametrize("checkpointing", [False, True])
def test_what_is_counted_is_what_is_taken(
    checkpointing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = train_memory.Point(
        family="sd15", side=SIDE, batch=2, rank=8, checkpointing=checkpointing
    )
    assert said(point, monkeypatch) == pytest.approx(taken(point), rel=0.1)
