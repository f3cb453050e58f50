"""Train the demo base from nothing: ``python -m bench.demo_base FOLDER``.

A miniature of the Stable Diffusion 1.5 architecture learns the drawn world. FOLDER keeps what each
phase has made (drawings, VAE, U-Net), so a run that was ended goes on; ``--from`` begins with the
weights of another base. The finished base goes to ``trainer/demo``, the figures to
``bench/results/demo_base.json``.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from bench import machine
from bench.demo_base import unet, vae
from bench.demo_base.cells import code
from bench.demo_base.parts import drawings, scheduler
from bench.drawn import words
from bench.random_base import INDEX

MOST_BYTES = 15_000_000


def export(target: Path, parts: dict[str, Any], factor: float) -> int:
    """A diffusers folder in half precision; its bytes."""
    parts["vae"].register_to_config(scaling_factor=factor)
    for name, part in parts.items():
        part.half().save_pretrained(target / name)
        _forget_origin(target / name / "config.json")
    scheduler().save_pretrained(target / "scheduler")
    words.write(target / "tokenizer")
    (target / "model_index.json").write_text(json.dumps(INDEX, indent=1) + "\n")
    return sum(path.stat().st_size for path in target.rglob("*") if path.is_file())


def _forget_origin(path: Path) -> None:
    """The folder that the weights were loaded from is nobody's business."""
    settings = json.loads(path.read_text())
    settings.pop("_name_or_path", None)
    path.write_text(json.dumps(settings, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--from", dest="start", type=Path, help="a base to begin with")
    parser.add_argument("--vae-minutes", type=float, default=45)
    parser.add_argument("--minutes", type=float, default=60, help="for U-Net and text encoder")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--target", type=Path, default=Path("trainer/demo"))
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(asked.threads)
    pictures = drawings(asked.folder)
    own_vae, seen = vae.learn(asked.folder, pictures, asked.vae_minutes * 60, asked.start)
    codes = torch.cat([code(part) for part in pictures.split(64)])
    spread = float(codes.std())
    own_unet, text, learned = unet.learn(
        asked.folder, codes / spread, asked.minutes * 60, asked.start
    )
    parts = {"unet": own_unet, "vae": own_vae, "text_encoder": text}
    size = export(asked.target, parts, 1 / spread)
    result = {"start": str(asked.start), "threads": asked.threads} | seen | learned
    result |= {"bytes": size, "scaling_factor": 1 / spread, "pictures": len(pictures)}
    machine.write("demo_base", result)
    if size > MOST_BYTES:
        raise SystemExit(f"{size} bytes are more than {MOST_BYTES}")


if __name__ == "__main__":
    main()
