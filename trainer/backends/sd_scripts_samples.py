"""The samples that sd-scripts draws, as ours: prompts in, pictures and one grid out, scored."""

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from PIL import Image

from trainer import drawing, grid, judge, outside, scores
from trainer.backends.sd_scripts_folder import pictures
from trainer.backends.sd_scripts_options import NAME
from trainer.run import RunSpec

DRAWN = re.compile(NAME + r"_(\d{6})_(\d{2})_\d+(_\d+)?\.png")
GUIDANCE = 7.0
STEPS = 20
FLUX = {"scale": 1.0, "guidance_scale": 3.5, "sample_steps": 28}


def prompts(spec: RunSpec) -> str:
    """Its file of prompts (JSON, in which no word of a prompt is taken for an option)."""
    side = spec.params.resolution
    usual = {"scale": GUIDANCE, "sample_steps": STEPS} if spec.params.family != "flux" else FLUX
    # With guidance by a second, unconditioned answer a step takes two passes.
    passes = 1 if usual["scale"] == 1.0 else 2
    steps = drawing.steps(int(usual["sample_steps"]), passes, spec)
    return json.dumps(
        [
            {
                "prompt": one.text,
                "negative_prompt": "",
                "seed": one.seed,
                "width": one.width or side,
                "height": one.height or side,
                **usual,
                "sample_steps": steps,
            }
            for one in spec.prompts
        ],
        ensure_ascii=False,
    )


def steps_with(folder: Path, count: int, before: int) -> dict[int, list[Path]]:
    """The pictures of each step of which all are there, in the order of their prompts. Those of
    ``before`` and later ones may still be written.
    """
    found: dict[int, dict[int, Path]] = defaultdict(dict)
    for path in sorted(folder.glob("*.png")):
        if named := DRAWN.fullmatch(path.name):
            found[int(named[1])][int(named[2])] = path
    return {
        step: [paths[number] for number in sorted(paths)]
        for step, paths in sorted(found.items())
        if step < before and len(paths) == count
    }


def take(spec: RunSpec, step: int, paths: Sequence[Path]) -> Path:
    """Into the run's own folder, with their grid and what they are worth; the grid's path."""
    drawn = []
    for path in paths:
        with Image.open(path, formats=("PNG",)) as opened:
            drawn.append(opened.convert("RGB"))
    outside.forget(spec.work, step)
    whole = grid.write(spec.work, step, drawn)
    scores.append(spec.work, scored(spec, step, drawn))
    for path in paths:
        with suppress(FileNotFoundError):
            path.unlink()
    return whole


def scored(spec: RunSpec, step: int, drawn: Sequence[Image.Image]) -> scores.Scored:
    """Only samples with the trigger are to be like the photos."""
    asked = zip(spec.prompts, drawn, strict=False)
    shown = [picture for prompt, picture in asked if spec.params.trigger in prompt.text]
    if not shown:
        return scores.Scored(step=step)
    references, most = [], 0.0
    for path in pictures(spec.dataset):
        with Image.open(path) as opened:
            references.append(judge.embed(opened))
            most = max(most, judge.burnt(opened))
    loud = sum(judge.burnt(one) for one in shown) / len(shown)
    return scores.Scored(
        step=step,
        likeness=judge.likeness([judge.embed(one) for one in shown], references),
        spoilt=sum(judge.is_spoilt(one) for one in shown) / len(shown),
        burnt=max(0.0, loud - most),
    )
