"""The pictures of the docs: ``python -m bench.demo_lora FOLDER`` draws what the base knows, and
what it knows of the sample character after the demo's own training.
FOLDER keeps the LoRA. ``docs/demo-base.png``: eight prompts. ``docs/demo-lora.png``: sample photos,
the base and the LoRA at the same four prompts and seeds.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from bench import quality
from bot import samples
from storage import bases
from trainer import loop, presets
from trainer.run import RunSpec

WORDS = ("mochix", "character")
KNOWN = (
    "a round red character, smiling, in the meadow",
    "a tall blue character wearing a orange scarf, in the snow",
    "a square green character with yellow spots, in the night",
    "a pear purple character with horns, in the desert",
    "a round pink character with blue belly and long ears, in the sea",
    "a tall white character with red stripes, wearing a green hat, in the room",
    "a square orange character with pointed ears, wearing a purple bow, grey background",
    "a round yellow character wearing a blue glasses, waving, in the meadow",
)
ASKED = ("in the meadow, smiling", "in the snow, waving", "in the night, jumping", "in the sea")
TURNS, GUIDANCE = 20, 4.0
SIDE, GAP = 192, 6


def drawn(pipeline: Any, texts: tuple[str, ...], seed: int) -> list[Image.Image]:
    found: list[Image.Image] = pipeline(
        list(texts),
        num_inference_steps=TURNS,
        guidance_scale=GUIDANCE,
        generator=[torch.Generator().manual_seed(seed + n) for n in range(len(texts))],
    ).images
    return found


def train(folder: Path, base: Path) -> Path:
    """The demo's standard training of the sample photos, whole pictures, as the bot would order."""
    chosen = bases.demo()
    pictures = folder / "photos"
    pictures.mkdir(parents=True, exist_ok=True)
    names = sorted(Path(samples.__file__).parent.glob("*.jpg"))
    for number, name in enumerate(names, start=1):
        with Image.open(name) as photo:
            photo.resize((128, 128), Image.Resampling.LANCZOS).save(pictures / f"{number:04}.png")
        (pictures / f"{number:04}.txt").write_text(" ".join(WORDS))
    params = presets.params_for("demo", chosen.family, WORDS, len(names), chosen.overrides)
    spec = RunSpec(
        params=params,
        base=base,
        dataset=pictures,
        output=folder / "mochi.safetensors",
        work=folder / "run",
        device="cpu",
        sample_at=(),
        save_at=(),
    )
    if not spec.output.exists():
        spec.work.mkdir(exist_ok=True)
        began = time.monotonic()
        loop.train(spec, lambda _: None, lambda: False)
        print(f"{params.max_steps} steps in {time.monotonic() - began:.0f} s")
    return spec.output


def grid(rows: list[list[Image.Image]]) -> Image.Image:
    side = SIDE + GAP
    whole = Image.new("RGB", (side * len(rows[0]) - GAP, side * len(rows) - GAP), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            small = picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            whole.paste(small, (x * side, y * side))
    return whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--base", type=Path, default=bases.demo().path)
    parser.add_argument("--target", type=Path, default=Path("docs"))
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    pipeline = quality.pipeline_of(asked.base)
    known = drawn(pipeline, KNOWN, 11)
    grid([known[:4], known[4:]]).save(asked.target / "demo-base.png")
    names = sorted(Path(samples.__file__).parent.glob("*.jpg"))
    photos = [Image.open(names[n]).convert("RGB") for n in (0, 2, 3, 4)]
    texts = tuple(f"{' '.join(WORDS)}, {where}" for where in ASKED)
    before = drawn(pipeline, texts, 21)
    pipeline.load_lora_weights(str(train(asked.folder, asked.base)))
    after = [drawn(pipeline, texts, seed) for seed in (21, 31)]
    alone = tuple(f"a {WORDS[1]}, {where}" for where in ASKED)
    rows = [photos, before, *after, drawn(pipeline, alone, 21)]
    grid(rows).save(asked.target / "demo-lora.png")


if __name__ == "__main__":
    main()
