"""Train the demo base from nothing: ``python -m bench.demo_base FOLDER``.

A miniature of the Stable Diffusion 1.5 architecture learns the drawn world. FOLDER keeps what each
phase has made (drawings, VAE, latents, U-Net), so a run that was ended goes on; the finished base
goes to ``trainer/demo``. The figures go to ``bench/results/demo_base.json``.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from bench.demo_base import unet, vae
from bench.demo_base.parts import drawings, scheduler
from bench.drawn import words
from trainer.demo_base import INDEX

MOST_BYTES = 15_000_000


def export(target: Path, parts: dict[str, Any], factor: float) -> int:
    """A diffusers folder in half precision; its bytes."""
    parts["vae"].register_to_config(scaling_factor=factor)
    for name, part in parts.items():
        part.half().save_pretrained(target / name)
    scheduler().save_pretrained(target / "scheduler")
    words.write(target / "tokenizer")
    (target / "model_index.json").write_text(json.dumps(INDEX, indent=1) + "\n")
    return sum(path.stat().st_size for path in target.rglob("*") if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--vae-steps", type=int, default=8000)
    parser.add_argument("--minutes", type=float, default=42, help="for U-Net and text encoder")
    parser.add_argument("--polish-minutes", type=float, default=8, help="for the decoder")
    parser.add_argument("--target", type=Path, default=Path("trainer/demo"))
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    pictures = drawings(asked.folder)
    own_vae, figures = vae.learn(asked.folder, pictures, asked.vae_steps)
    own_vae.eval()
    latents, factor = vae.latents_of(asked.folder, own_vae, pictures)
    own_unet, text, learned = unet.learn(asked.folder, latents, asked.minutes * 60)
    polished = vae.polish(asked.folder, own_vae, pictures, asked.polish_minutes * 60)
    size = export(asked.target, {"unet": own_unet, "vae": own_vae, "text_encoder": text}, factor)
    result = figures | polished | learned
    result |= {"bytes": size, "scaling_factor": factor, "pictures": len(pictures)}
    Path("bench/results/demo_base.json").write_text(json.dumps(result, indent=1) + "\n")
    if size > MOST_BYTES:
        raise SystemExit(f"{size} bytes are more than {MOST_BYTES}")


if __name__ == "__main__":
    main()
