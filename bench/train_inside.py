"""Inside a step: the loop's own step beside the bare floor, in turn, and where the rest goes.

``python -m bench.train_inside RUN_JSON ROUNDS OUT_JSON``. The floor is forward and backward of
the same U-Net with the same pairs, on inputs that lie ready: no data, no noise, no optimizer.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from trainer.__main__ import prepare

prepare()  # as in a training process, before the heavy imports

import torch  # noqa: E402

from trainer import batches, loop, lora, objective, optimizers, step  # noqa: E402
from trainer.families import family_of  # noqa: E402
from trainer.run import RunSpec  # noqa: E402

WARM_UP = 5


def ready(spec: RunSpec) -> tuple[loop.Run, Any]:
    """A run as it is before its first step."""
    spec.work.mkdir(parents=True, exist_ok=True)
    spec = loop.settled(spec)
    family, model = family_of(spec.params.family), loop.new_model(spec)
    data, _ = loop._encode(spec, family, model, lambda _: None, keep=False)  # noqa: SLF001
    family.load_denoiser(model)
    pairs = lora.inject(model, family.TRAITS, spec.params)
    work = step.Work(family=family, model=model, data=data, params=spec.params)
    run = loop.Run(spec=spec, work=work, pairs=pairs, prompts=None, say=lambda _: None)
    run._prepare()  # noqa: SLF001
    return run, model


def floor_of(run: loop.Run, model: Any) -> Callable[[], None]:
    data = run.work.data
    assert data.conditions is not None
    noisy, times = torch.randn_like(data.latents[0])[None], torch.tensor([500])
    context = data.conditions[0]["context"][None]
    wanted = torch.randn_like(noisy)

    def bare() -> None:
        answer = model.denoiser(noisy, times, context, return_dict=False)[0]
        torch.nn.functional.mse_loss(answer, wanted).backward()

    return bare


@contextmanager
def without_gradients(run: loop.Run) -> Iterator[None]:
    """As backward likes it best: nothing to add to, nothing to clear. The loop's own are put back,
    which is not counted.
    """
    weights = lora.weights(run.pairs)
    own = [weight.grad for weight in weights]
    for weight in weights:
        weight.grad = None
    try:
        yield
    finally:
        for weight, grad in zip(weights, own, strict=True):
            weight.grad = grad


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


class Parts:
    """Seconds of single calls of a step, by name."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = {}

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*args, **named)
            finally:
                self.spent.setdefault(name, []).append(time.perf_counter() - began)

        return wrapped

    @contextmanager
    def watching(self, run: loop.Run) -> Iterator[None]:
        places: tuple[tuple[str, Any, str], ...] = (
            ("batch order", batches, "of_step"),
            ("generator", step, "generator"),
            ("learning rate", optimizers, "set_rate"),
            ("noisy", type(run.work.model.aim), "noisy"),
            ("loss", objective, "weighted_mse"),
            ("forward", run.work.family, "predict"),
            ("backward", torch.Tensor, "backward"),
            ("clip", torch.nn.utils, "clip_grad_norm_"),
            ("optimizer", run.optimizer, "step"),
            ("zero grad", run.optimizer, "zero_grad"),
        )
        patches = [
            patch.object(where, what, self.timed(name, getattr(where, what)))
            for name, where, what in places
        ]
        for one in patches:
            one.start()
        try:
            yield
        finally:
            for one in patches:
                one.stop()


def measure(run: loop.Run, model: Any, rounds: int) -> dict[str, Any]:
    bare = floor_of(run, model)

    def own() -> None:
        run._step()  # noqa: SLF001
        run.step += 1

    def floor_s() -> float:
        with without_gradients(run):
            return seconds(bare)

    floor, native, ratio = [], [], []
    for turn in range(rounds + WARM_UP):
        pair = [floor_s(), seconds(own)] if turn % 2 else [seconds(own), floor_s()][::-1]
        if turn >= WARM_UP:
            floor.append(pair[0])
            native.append(pair[1])
            ratio.append(pair[1] / pair[0])
    parts, whole = Parts(), []
    with parts.watching(run):
        whole = [seconds(own) for _ in range(max(10, rounds // 4))]
    spent = {name: 1000 * statistics.median(values) for name, values in parts.spent.items()}
    spent["everything else"] = 1000 * statistics.median(whole) - sum(spent.values())
    return {
        "floor_s": {"median": statistics.median(floor), "min": min(floor)},
        "native_step_s": {"median": statistics.median(native), "min": min(native)},
        "native_over_floor": {
            "of_medians": statistics.median(native) / statistics.median(floor),
            "of_minima": min(native) / min(floor),
            "median_of_pairs": statistics.median(ratio),
        },
        "step_parts_ms": {name: round(value, 3) for name, value in spent.items()},
        "pairs": len(run.pairs),
        "rounds": rounds,
    }


if __name__ == "__main__":
    path, rounds_text, out = sys.argv[1:]
    run, model = ready(RunSpec.from_json(Path(path).read_text()))
    Path(out).write_text(json.dumps(measure(run, model, int(rounds_text))))
