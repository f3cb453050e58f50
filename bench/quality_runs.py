"""Which LoRAs the quality benchmark trains, how it trains one, and what it sees in its samples."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import quality_eyes, quality_truth
from bench.quality_truth import CLASS, HEROES, OWN, TRIGGER, Asked
from trainer import loop
from trainer.params import TrainParams
from trainer.run import RunSpec

STEPS = (50, 100, 200, 400)
EQUAL = 200  # steps of every comparison
OURS: dict[str, Any] = {
    "resolution": quality_truth.SIDE,
    "rank": 16,
    "alpha": 16.0,
    "learning_rate": 3e-3,
    "max_steps": EQUAL,
    "precision": "fp32",
}
# What the two scripts do unless they are told otherwise; rates apart, which belong to full-size
# models: each is given those that ours is given.
DIFFUSERS: dict[str, Any] = {
    "rank": 4,
    "alpha": 4.0,
    "targets": "attention",
    "lr_schedule": "constant",
    "warmup": 0.0,
    "min_snr_gamma": 0.0,
    "caption_dropout": 0.0,
}
SD_SCRIPTS: dict[str, Any] = {
    "rank": 4,
    "alpha": 1.0,
    "targets": "all",
    "lr_schedule": "constant",
    "warmup": 0.0,
    "min_snr_gamma": 0.0,
    "caption_dropout": 0.0,
}
RATES = (1e-3, 3e-3, 9e-3)
TEXT_RATE = 1e-3
PRESERVED = 0.35
GUIDANCE = 4.0
TURNS = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One LoRA: ``name`` says in what it differs from ours."""

    name: str
    captions: str = "class"
    changes: dict[str, Any] = field(default_factory=dict)


def plans(*, quick: bool) -> tuple[Plan, ...]:
    if quick:
        return (Plan(name="steps 50", changes={"max_steps": 50}),)
    usual = OURS["learning_rate"]
    peers = (("diffusers", DIFFUSERS), ("sd-scripts", SD_SCRIPTS))
    return (
        Plan(name=f"steps {EQUAL}"),
        Plan(name="text encoder", changes={"text_encoder_lr": TEXT_RATE}),
        *(Plan(name=f"{who} {usual:g}", changes=recipe) for who, recipe in peers),
        *(Plan(name=f"steps {n}", changes={"max_steps": n}) for n in STEPS if n != EQUAL),
        Plan(name="rank 4", changes={"rank": 4, "alpha": 4.0}),
        *_kept_apart(),
        Plan(name="rank 64", changes={"rank": 64, "alpha": 64.0}),
        *(Plan(name=f"captions {c}", captions=c) for c in ("scene", "trigger")),
        *(Plan(name=f"rate {r:g}", changes={"learning_rate": r}) for r in RATES if r != usual),
        *(
            Plan(name=f"{who} {rate:g}", changes={**recipe, "learning_rate": rate})
            for who, recipe in peers
            for rate in RATES
            if rate != usual
        ),
    )


def _kept_apart() -> tuple[Plan, ...]:
    """What keeps the class word as it was: fewer layers, steps without the trigger, scenes said."""
    attention, kept = {"targets": "attention"}, {"preservation": PRESERVED}
    shares = (0.2, PRESERVED, 0.5)
    return (
        *(Plan(name=f"preservation {s:g}", changes={"preservation": s}) for s in shares),
        Plan(name="preservation scene", captions="scene", changes=kept),
        Plan(name="attention", changes=attention),
        Plan(name="attention scene", captions="scene", changes=attention),
        Plan(name="attention preservation", changes=attention | kept),
        Plan(name="attention preservation scene", captions="scene", changes=attention | kept),
        Plan(name="attention steps 400", changes=attention | {"max_steps": 400}),
    )


def train(base: Path, folder: Path, hero: str, plan: Plan) -> Path:
    """The LoRA's file; from ``folder`` where it was trained before."""
    name = f"{hero} {plan.name}".replace(" ", "-")
    output = folder / "loras" / f"{name}.safetensors"
    if output.exists():
        return output
    output.parent.mkdir(parents=True, exist_ok=True)
    own = {"trigger": TRIGGER, "class_word": CLASS, "base_model": "demo"}
    spec = RunSpec(
        params=TrainParams(**(own | OURS | plan.changes)),
        base=base,
        dataset=quality_truth.dataset(folder / f"{hero}-{plan.captions}", hero, plan.captions),
        output=output,
        work=folder / "runs" / name,
        device="cpu",
        sample_at=(),
        save_at=(),
    )
    spec.work.mkdir(parents=True, exist_ok=True)
    loop.train(spec, lambda _: None, lambda: False)
    return output


@torch.no_grad()
def samples(pipeline: Any, asked: Sequence[Asked]) -> torch.Tensor:
    """(N, 3, side, side) bytes, each from its own seed."""
    side = quality_truth.SIDE // 8
    noise = torch.cat(
        [
            torch.randn(1, 4, side, side, generator=torch.Generator().manual_seed(one.seed))
            for one in asked
        ]
    )
    drawn = pipeline(
        [one.text for one in asked],
        latents=noise,
        num_inference_steps=TURNS,
        guidance_scale=GUIDANCE,
        output_type="np",
    ).images
    return torch.from_numpy(np.round(drawn * 255).astype(np.uint8)).permute(0, 3, 1, 2)


def figures(
    eyes: quality_eyes.Eyes, pictures: torch.Tensor, asked: Sequence[Asked], hero: str
) -> dict[str, Any]:
    """Shares of 1, by group of prompts: ``own`` how much of the hero is seen, ``named`` how much
    of what the prompt names, ``place`` whether that is the place.
    """
    seen = quality_eyes.look(eyes, pictures)
    look = {k: v for k, v in quality_truth.look_of(HEROES[hero]).items() if k in OWN}
    found: dict[str, Any] = {}
    for group in ("trigger", "class", "other"):
        here = [n for n, one in enumerate(asked) if one.group == group]
        by = {k: _share([seen[n][k] == v for n in here]) for k, v in look.items()}
        named = [seen[n][k] == v for n in here for k, v in asked[n].named.items() if k != "pose"]
        found[group] = {
            "own": _share(list(by.values())),
            "by": by,
            "named": _share(named),
            "place": _share([seen[n]["place"] == asked[n].named["place"] for n in here]),
            "pose": _share([seen[n]["pose"] == asked[n].named["pose"] for n in here]),
        }
    return found


def _share(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4)
