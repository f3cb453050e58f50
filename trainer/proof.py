"""Whether a finished file does anything: what the model answers with it, and what without."""

from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from trainer import export, lora, step

MANY = 256.0
NUMBER = -1  # of the draw that the answers are compared at: none of the training's


@torch.no_grad()
def of_file(path: Path, work: step.Work, pairs: list[lora.Pair]) -> float:
    """How far the file moves the model's answer to a picture that it was trained on, as a share of
    the answer. Raises ArtifactError where it is nothing, or not a number. The pairs then hold what
    the file holds.
    """
    with safe_open(path, framework="pt") as file:
        export.read(file, pairs, work)
    with step.at_rest(work):
        with lora.switched_off(pairs):
            plain = _answer(work)
        moved = _share(_answer(work), plain)
        if moved == 0:
            # Half precision may round a small change away, and not the same many times over.
            with lora.strengthened(pairs, MANY):
                moved = _share(_answer(work), plain) / MANY
    if not moved > 0:
        raise export.ArtifactError(f"the model answers with it as without it ({moved})")
    return moved


def _share(changed: Tensor, plain: Tensor) -> float:
    return float((changed - plain).norm() / plain.norm().clamp(min=1e-12))


def _answer(work: step.Work) -> Tensor:
    draw = step.generator(work.params.seed, NUMBER)
    latents = work.data.latents[0][None]
    noise = torch.randn(latents.shape, generator=draw).to(latents)
    aim = work.model.aim
    times = aim.course(4, latents.shape[-2] * latents.shape[-1])[2:3].to(work.model.device)
    with step.autocast(work.model, work.params):
        conditions = (
            work.data.conditions[:1]
            if work.data.conditions is not None
            else work.family.encode_prompts(work.model, work.data.captions[:1])
        )
        noisy = aim.noisy(latents, noise, times)
        return work.family.predict(work.model, noisy, times, conditions).float()
