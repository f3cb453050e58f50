"""One cell of the GPU's table, in a process of its own: ``python -m bench.gpu_run CELL_JSON OUT``.

A true-size U-Net with random weights, made on the device; latents and captions are random, too.
Three ways to take the same step:

- eager: the loop's own step, as the trainer takes it;
- blocks: the same, after ``torch.compile`` of the repeated blocks alone;
- graph: forward and backward of one shape captured once and replayed, then the loop's own clipping
  and optimizer. Noise and times are drawn outside, as always.
"""

import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trainer.__main__ import prepare

prepare()  # as in a training process, before the heavy imports

import torch  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from trainer import architectures, loop, lora, objective, optimizers, schedule, step  # noqa: E402
from trainer.dataset import Dataset  # noqa: E402
from trainer.families import family_of  # noqa: E402
from trainer.families.family import Condition, Model  # noqa: E402
from trainer.params import TrainParams  # noqa: E402
from trainer.run import RunSpec  # noqa: E402

PICTURES = 16
TOKENS = 77
TINY: dict[str, dict[str, Any]] = {
    "sd15": {"block_out_channels": (32, 64, 64, 64)},
    "sdxl": {
        "block_out_channels": (32, 64, 64),
        "transformer_layers_per_block": (1, 1, 2),
        "attention_head_dim": (2, 4, 4),
    },
}
PIECES = {"sd15": architectures.SD15_UNET, "sdxl": architectures.SDXL_UNET}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """``side`` in pixels; ``warm`` steps are taken before ``steps`` are timed."""

    family: str
    side: int
    batch: int
    mode: str
    rank: int = 16
    device: str = "cuda"
    precision: str = "bf16"
    tiny: bool = False
    warm: int = 5
    steps: int = 30


def ready(cell: Cell, work: Path) -> loop.Run:
    """A run as it is before its first step."""
    params = TrainParams(
        trigger="mochix",
        class_word="person",
        base_model="bench",
        family=cell.family,
        resolution=cell.side,
        rank=cell.rank,
        alpha=float(cell.rank),
        batch_size=cell.batch,
        max_steps=10_000,
        precision=cell.precision,
        seed=1,
    )
    device, dtype = torch.device(cell.device), step.DTYPES[cell.precision]
    family, piece = family_of(cell.family), PIECES[cell.family]
    config = piece.config | (TINY[cell.family] if cell.tiny else {})
    torch.manual_seed(1)
    with torch.device(device):
        network = piece.build(config).to(dtype).eval().requires_grad_(requires_grad=False)
        alphas = (1 - torch.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2).cumprod(0)
    aim = objective.Diffusion(alphas, "epsilon")
    model = Model(path=work, dtype=dtype, device=device, denoiser=network, objective=aim)
    pairs = lora.inject(model, family.TRAITS, params)
    work_of = step.Work(family=family, model=model, data=data_of(cell, config), params=params)
    spec = RunSpec(
        params=params,
        base=work,
        dataset=work,
        output=work / "bench.safetensors",
        work=work,
        device=cell.device,
    )
    run = loop.Run(spec=spec, work=work_of, pairs=pairs, prompts=None, say=lambda _: None)
    run._prepare()  # noqa: SLF001
    return run


def data_of(cell: Cell, config: dict[str, Any]) -> Dataset:
    side, device = cell.side // 8, torch.device(cell.device)

    def condition() -> Condition:
        one = {"context": torch.randn(TOKENS, config["cross_attention_dim"], device=device)}
        return one | ({"pooled": torch.randn(1280, device=device)} if cell.family == "sdxl" else {})

    return Dataset(
        latents=tuple(torch.randn(4, side, side, device=device) for _ in range(PICTURES)),
        sizes=((cell.side, cell.side),) * PICTURES,
        masks=(None,) * PICTURES,
        captions=("mochix person",) * PICTURES,
        paths=(Path("0001.png"),) * PICTURES,
        held_out=0,
        digest="bench",
        conditions=tuple(condition() for _ in range(PICTURES + 1)),
    )


def own_step(run: loop.Run) -> Callable[[], None]:
    def take() -> None:
        run._step()  # noqa: SLF001
        run.step += 1

    return take


class Captured:
    """A graph of forward and backward of one shape. Its inputs stay where they are and are written
    over before each replay.
    """

    def __init__(self, run: loop.Run) -> None:
        self.run = run
        self.count = run.work.params.batch_size
        latents, conditions = self._batch(0)
        self.latents = latents.clone()
        self.noise = torch.randn_like(latents)
        self.times = torch.zeros(self.count, dtype=torch.long, device=latents.device)
        self.conditions = [{name: one.clone() for name, one in c.items()} for c in conditions]
        # What is lazy in a first step cannot be captured.
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self._both()
        torch.cuda.current_stream().wait_stream(side)
        self._clear()
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self._both()

    def _batch(self, first: int) -> tuple[Tensor, Sequence[Condition]]:
        data = self.run.work.data
        assert data.conditions is not None
        place = slice(first, first + self.count)
        return torch.stack(list(data.latents[place])), data.conditions[place]

    def _both(self) -> None:
        params, model, aim = self.run.work.params, self.run.work.model, self.run.work.model.aim
        # What autocast has cast is not kept: a replay would see the weights of the capture.
        with torch.autocast("cuda", step.DTYPES[params.precision], cache_enabled=False):
            noisy = aim.noisy(self.latents, self.noise, self.times)
            answer = self.run.work.family.predict(model, noisy, self.times, self.conditions)
        wanted = aim.target(self.latents, self.noise, self.times)
        weight = aim.weight(self.times, params.min_snr_gamma)
        objective.weighted_mse(answer, wanted, weight, None).backward()

    def _clear(self) -> None:
        for one in self.run.weights:
            if one.grad is not None:
                one.grad.zero_()

    def __call__(self) -> None:
        run, params = self.run, self.run.work.params
        draw = step.generator(params.seed, run.step)
        latents, conditions = self._batch(run.step % (PICTURES - self.count + 1))
        self.latents.copy_(latents)
        self.noise.copy_(torch.randn(latents.shape, generator=draw))
        self.times.copy_(run.work.model.aim.draw(self.count, latents.shape[-1] ** 2, draw))
        for kept, one in zip(self.conditions, conditions, strict=True):
            for name, tensor in one.items():
                kept[name].copy_(tensor)
        self._clear()
        self.graph.replay()
        optimizers.set_rate(run.optimizer, schedule.share(run.step, params))
        torch.nn.utils.clip_grad_norm_(run.weights, params.max_grad_norm, foreach=True)
        run.optimizer.step()
        run.step += 1


def settle(cell: Cell) -> None:
    if cell.device == "cuda":
        torch.cuda.synchronize()


def flops_of(run: loop.Run) -> int:
    """Of one step's forward and backward, as they are executed: frozen weights get no gradient."""
    with FlopCounterMode(display=False) as counter:
        step.loss(run.work, 0).backward()
    run.optimizer.zero_grad(set_to_none=False)
    return int(counter.get_total_flops())


def measure(cell: Cell) -> dict[str, Any]:
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = ready(cell, Path(folder))
    settle(cell)
    built = time.perf_counter()
    flops = flops_of(run)
    if cell.mode == "blocks":
        run.work.model.denoiser.compile_repeated_blocks()
    settle(cell)
    counted = time.perf_counter()
    take = Captured(run) if cell.mode == "graph" else own_step(run)
    take()
    settle(cell)
    first = time.perf_counter() - counted
    for _ in range(cell.warm):
        take()
    settle(cell)
    if cell.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    spent = []
    for _ in range(cell.steps):
        start = time.perf_counter()
        take()
        settle(cell)
        spent.append(time.perf_counter() - start)
    # Without waiting after each step, as the loop runs.
    start = time.perf_counter()
    for _ in range(cell.steps):
        take()
    settle(cell)
    each = (time.perf_counter() - start) / cell.steps
    peak = torch.cuda.max_memory_allocated() if cell.device == "cuda" else 0
    loss = float(step.loss(run.work, 0))
    return asdict(cell) | {
        "build_s": round(built - began, 3),
        "first_step_s": round(first, 3),
        "step_s": round(each, 6),
        "step_s_median_waited": round(statistics.median(spent), 6),
        "images_per_s": round(cell.batch / each, 3),
        "tflop_per_step": round(flops / 1e12, 4),
        "tflops": round(flops / each / 1e12, 3),
        "peak_gib": round(peak / 2**30, 3),
        "pairs": len(run.pairs),
        "loss_finite": math.isfinite(loss),
    }


if __name__ == "__main__":
    cell_text, out = sys.argv[1:]
    Path(out).write_text(json.dumps(measure(Cell(**json.loads(cell_text)))))
