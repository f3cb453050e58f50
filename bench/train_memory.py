"""What a training takes of a GPU's memory, for each family in its true size.

``python -m bench.train_memory [--families sd15 …]`` takes real steps (``trainer/step.py``, our own
pairs) of true-size models on torch's ``meta`` device and counts live bytes (``bench/live_bytes.py``
says what is assumed). It writes the formula that fits them to ``trainer/memory.json``, which the
trainer reads, and figures and a plot to ``results/train_memory.*``. Predictions and the hold-out
points that were not fitted are in the results. It needs no GPU and 6 GB of memory at most.
"""

import argparse
import gc
import json
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import nnls  # type: ignore[import-untyped]

from bench import memory_beside, true_sizes
from bench.live_bytes import Live, backward, counted
from bench.machine import RESULTS, write
from trainer import lora, step
from trainer.dataset import Dataset
from trainer.families import family_of
from trainer.families.family import Model
from trainer.params import FAMILIES, TEXT_TRAINED, TrainParams

FIGURES = RESULTS / "train_memory.json"
TABLE = Path(__file__).parent.parent / "trainer" / "memory.json"
RANKS = (16, 64)
RANK = 3  # its place among the features
BATCHES = (1, 2)
HELD_OUT = (896, 3, 32)  # side, batch and rank of the points that nothing is fitted to
WAYS = {"kept": False, "again": True}  # what is done with activations: gradient checkpointing


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    family: str
    side: int
    batch: int
    rank: int
    checkpointing: bool
    targets: str = "all"
    text: bool = False

    @property
    def params(self) -> TrainParams:
        return TrainParams(
            trigger="mochix",
            class_word="person",
            base_model=self.family,
            family=self.family,
            resolution=self.side,
            rank=self.rank,
            batch_size=self.batch,
            gradient_checkpointing=self.checkpointing,
            targets=self.targets,
            text_encoder_lr=1e-5 if self.text else 0.0,
            precision="bf16",
        )

    @property
    def features(self) -> list[float]:
        pixels = self.batch * self.side**2 / memory_beside.MEGA
        return [1, self.batch, pixels, self.rank, self.rank * pixels]


def data_of(point: Point) -> Dataset:
    traits = family_of(point.family).TRAITS
    small = point.side // traits.vae_scale
    latents = torch.empty(traits.channels, small, small, device=true_sizes.META)
    captions = tuple(true_sizes.condition(point.family) for _ in range(point.batch + 1))
    return Dataset(
        latents=(latents,) * point.batch,
        sizes=((point.side, point.side),) * point.batch,
        masks=(None,) * point.batch,
        captions=("",) * point.batch,
        paths=(),
        held_out=0,
        digest="",
        conditions=None if point.text else captions,
    )


def hold(live: Live, model: Model, work: step.Work) -> None:
    memory_beside.hold(live, model.denoiser, model.vae, *model.encoders.values())
    for one in work.data.latents:
        live.hold(one)
    for condition in work.data.conditions or ():
        for one in condition.values():
            live.hold(one)


def of_step(point: Point, model: Model) -> int:
    """The bytes that a step takes at its peak, above weights, pairs and their gradients."""
    family = family_of(point.family)
    pairs = lora.inject(model, family.TRAITS, point.params)
    work = step.Work(family=family, model=model, data=data_of(point), params=point.params)
    step.prepare(work)
    for weight in lora.weights(pairs):
        weight.grad = torch.zeros_like(weight)  # as in every batch of a step but the first
    with counted(torch.bfloat16) as live:
        hold(live, model, work)
        before = live.now
        backward(step.loss(work, 0))
    step.restore(model)
    lora.remove(pairs)
    gc.collect()
    return live.peak - before


def fitted(points: list[Point], found: list[int], trained: int) -> list[float]:
    """Bytes for each feature: least squares of the relative error, none of them negative. What a
    rank takes by itself is known: each of its ``trained`` numbers is cast to two bytes.
    """
    rows: NDArray[np.float64] = np.array([one.features for one in points])
    wanted: NDArray[np.float64] = np.array(found, dtype=np.float64)
    known, rows = 2.0 * trained * rows[:, RANK], np.delete(rows, RANK, axis=1)
    scale = rows.max(axis=0)
    numbers, _ = nnls(rows / scale / wanted[:, None], (wanted - known) / wanted)
    return [float(x) for x in np.insert(numbers / scale, RANK, 2.0 * trained)]


def steps_of(
    family: str, model: Model, trained: dict[str, int], points: list[dict[str, Any]], targets: str
) -> dict[str, Any]:
    """The formula for each way; each point is noted."""
    table: dict[str, Any] = {}
    low, high = true_sizes.BASES[family].sides
    for way, again in WAYS.items():
        asked = [
            Point(
                family=family,
                side=side,
                batch=batch,
                rank=rank,
                checkpointing=again,
                targets=targets,
            )
            for side, batch, rank in ((low, 1, 16), (high, 1, 16), (low, 2, 16), (high, 1, 64))
        ]
        found = [of_step(one, model) for one in asked]
        numbers = fitted(asked, found, trained[targets])
        side, batch, rank = HELD_OUT
        other = replace(asked[0], side=side, batch=batch, rank=rank)
        for one, size in zip([*asked, other], [*found, of_step(other, model)], strict=True):
            points.append(noted(one, way, size, numbers) | {"held_out": one is other})
        table[way] = [round(x) for x in numbers]
        print(family, targets, way, points[-1], flush=True)
    return table


def noted(point: Point, way: str, size: int, numbers: list[float]) -> dict[str, Any]:
    said = float(np.dot(point.features, numbers))
    return {
        "family": point.family,
        "side": point.side,
        "batch": point.batch,
        "rank": point.rank,
        "targets": point.targets,
        "way": way,
        "bytes": size,
        "formula": round(said),
        "off": round(said / size - 1, 4),
    }


def text_steps_of(family: str, model: Model, table: dict[str, Any]) -> dict[str, Any]:
    """What a trained text encoder adds, beside the casts of its own pairs: bytes for a step, and
    for each picture of a batch.
    """
    found = {}
    trained = table["with_text"]["all"] - table["pairs"]["all"]
    for way, again in WAYS.items():
        added = []
        for batch in BATCHES:
            point = Point(
                family=family,
                side=true_sizes.BASES[family].sides[0],
                batch=batch,
                rank=RANKS[0],
                checkpointing=again,
                text=True,
            )
            plain = float(np.dot(point.features, table["step"]["all"][way]))
            added.append(of_step(point, model) - plain - 2 * trained * point.rank)
        each = max(0.0, added[1] - added[0])
        found[way] = [max(0, round(added[0] - each)), round(each)]
    return found


def pairs_of(family: str, model: Model, *, text: bool) -> dict[str, int]:
    """Trained numbers for each unit of rank."""
    found = {}
    for targets in ("attention", "all"):
        point = Point(
            family=family,
            side=512,
            batch=1,
            rank=1,
            checkpointing=False,
            targets=targets,
            text=text,
        )
        pairs = lora.inject(model, family_of(family).TRAITS, point.params)
        found[targets] = sum(weight.numel() for weight in lora.weights(pairs))
        lora.remove(pairs)
    return found


def size_of(*networks: Any) -> int:
    return sum(one.numel() for network in networks for one in network.state_dict().values())


def measure(family: str, points: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The family's part of the table, first without the runs that train attention alone."""
    began = time.monotonic()
    trained = family in TEXT_TRAINED
    model = true_sizes.model(family, text=True, vae=True)
    pairs = pairs_of(family, model, text=False)
    table: dict[str, Any] = {
        "denoiser": size_of(model.denoiser),
        "encoders": size_of(*model.encoders.values()),
        "vae": size_of(model.vae),
        "pairs": pairs,
        "with_text": pairs_of(family, model, text=True) if trained else None,
        "step": {"all": steps_of(family, model, pairs, points, "all")},
        "caption": memory_beside.caption(family),
        **{what: memory_beside.line(family, what) for what in ("encode", "decode", "draw")},
    }
    table["text_step"] = text_steps_of(family, model, table) if trained else None
    yield table
    table["step"]["attention"] = steps_of(family, model, pairs, points, "attention")
    yield table
    print(family, f"{time.monotonic() - began:.0f} s", flush=True)


def keep(family: str, measured: dict[str, Any], points: list[dict[str, Any]]) -> None:
    """Families may be measured by several processes, at once or one day after the other."""
    known = json.loads(TABLE.read_text()) if TABLE.exists() else {}
    TABLE.write_text(json.dumps({**known, family: measured}, indent=1) + "\n")
    others = json.loads(FIGURES.read_text())["points"] if FIGURES.exists() else []
    points = [*points, *(one for one in others if one["family"] != family)]
    write("train_memory", {"torch": torch.__version__, "points": points})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--families", nargs="+", default=list(FAMILIES), choices=FAMILIES)
    asked = parser.parse_args()
    step.autocast = lambda *_: nullcontext()  # type: ignore[assignment]  # ``counted`` casts
    for family in asked.families:
        points: list[dict[str, Any]] = []
        for measured in measure(family, points):
            keep(family, measured, points)


if __name__ == "__main__":
    main()
