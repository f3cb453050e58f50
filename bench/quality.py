"""Does a LoRA show its character, does the base stay itself? ``python -m bench.quality FOLDER``.

Truth is known, because we draw it. A small network that reads pictures (``quality_eyes``) looks at
samples of the demo base, and of LoRAs that our trainer made from twelve drawings each. FOLDER keeps
what is done, so a run that was ended goes on. ``--quick`` tries one character with one LoRA.
The figures go to ``bench/results/quality.json``, their plot beside it.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline

from bench import machine, quality_eyes, quality_plot, quality_runs, quality_truth
from bench.quality_runs import Plan
from storage import bases

DRAWINGS = 3600
ROUNDS = 8
GROUPS = ("trigger", "class", "other")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--base", type=Path, default=bases.demo().path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--heroes", nargs="+", default=list(quality_truth.HEROES))
    parser.add_argument("--drawings", type=int, default=DRAWINGS, help="that the judge learns from")
    parser.add_argument("--runs", type=int, help="only the first ones")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(asked.threads)
    pipeline = pipeline_of(asked.base)
    drawings, rounds = (800, 2) if asked.quick else (asked.drawings, ROUNDS)
    eyes, right = quality_eyes.learn(asked.folder, pipeline.vae, drawings, rounds)
    print(json.dumps(right), flush=True)
    bench = Bench(asked.folder, asked.base, pipeline, eyes)
    heroes = asked.heroes[:1] if asked.quick else asked.heroes
    plans = quality_runs.plans(quick=asked.quick)[: asked.runs]
    for plan in (None, *plans):
        for hero in heroes:
            bench.measure(hero, plan)
    names = ["base", *(one.name for one in plans)]
    result: dict[str, Any] = {"eyes_drawings": drawings, "eyes_right": right, "heroes": heroes}
    result["runs"] = bench.mean_of(heroes, names)
    machine.write("quality_quick" if asked.quick else "quality", result)
    if not asked.quick:
        quality_plot.draw(machine.RESULTS / "quality.json", machine.RESULTS / "quality.png")


def pipeline_of(base: Path) -> Any:
    pipeline = StableDiffusionPipeline.from_pretrained(
        base, safety_checker=None, dtype=torch.float32
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


class Bench:
    """What is measured so far, by character and run; each in a file of its own once it is there,
    so that several processes can share a folder.
    """

    def __init__(self, folder: Path, base: Path, pipeline: Any, eyes: quality_eyes.Eyes) -> None:
        self.folder, self.base, self.pipeline, self.eyes = folder, base, pipeline, eyes
        self.path = folder / "figures"
        self.path.mkdir(exist_ok=True)
        self.asked = quality_truth.prompts()
        self.own: torch.Tensor | None = None

    def measure(self, hero: str, plan: Plan | None) -> None:
        """``plan`` None is the base without any LoRA."""
        path = self._place(hero, plan.name if plan else "base")
        if path.exists():
            return
        began = time.monotonic()
        if plan is None:
            pictures = self._base_alone()
        else:
            file = quality_runs.train(self.base, self.folder, hero, plan)
            self.pipeline.load_lora_weights(str(file))
            pictures = quality_runs.samples(self.pipeline, self.asked)
            self.pipeline.unload_lora_weights()
        found = quality_runs.figures(self.eyes, pictures, self.asked, hero)
        found["s"] = round(time.monotonic() - began, 1)
        path.write_text(json.dumps({"run": plan.name if plan else "base"} | found, indent=1))
        summary = {group: (found[group]["own"], found[group]["named"]) for group in GROUPS}
        print(path.stem, summary, flush=True)

    def _base_alone(self) -> torch.Tensor:
        """The same for all characters."""
        if self.own is None:
            self.own = quality_runs.samples(self.pipeline, self.asked)
        return self.own

    def _place(self, hero: str, run: str) -> Path:
        return self.path / f"{hero}-{run.replace(' ', '-')}.json"

    def mean_of(self, heroes: list[str], plans: list[str]) -> dict[str, Any]:
        """Each run's figures as means over the characters, and each character's own."""
        done: dict[str, Any] = {}
        for run in plans:
            paths = {hero: self._place(hero, run) for hero in heroes}
            each = {h: json.loads(p.read_text()) for h, p in paths.items() if p.exists()}
            if not each:
                continue
            mean = {
                group: {
                    what: _mean([one[group][what] for one in each.values()])
                    for what in ("own", "named", "place", "pose")
                }
                for group in GROUPS
            }
            done[run] = mean | {"each": each}
        return done


def _mean(values: list[float]) -> float:
    return round(sum(values) / len(values), 4)


if __name__ == "__main__":
    main()
