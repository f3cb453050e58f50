"""Train the demo base from nothing: ``python -m bench.train_demo_base FOLDER``.

A miniature of the Stable Diffusion 1.5 architecture learns the drawn world. FOLDER keeps what each
phase has made (drawings, VAE, latents, U-Net), so a run that was ended goes on; the finished base
goes to ``trainer/demo``. The figures go to ``bench/results/demo_base.json``.
"""

import argparse
import json
import math
import random
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from bench.drawn import creatures, words
from bench.drawn.draw import draw
from trainer.demo_base import MAX_TOKENS
from trainer.objective import Diffusion, weighted_mse

SIDE = 128
WIDTH = 96  # of the text encoder
PICTURES = 14_000
NAMED = 0.12  # share of captions that name the creature by a word that means nothing
DROPPED = 0.1
EMA = 0.999
GAMMA = 5.0


def picture(seed: int) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """(SIDE, SIDE, 3)."""
    dice = random.Random(f"picture {seed}")
    one, where = creatures.creature(dice), creatures.scene(dice)
    return np.asarray(draw(one, where, SIDE))


def caption(seed: int, turn: int) -> str:
    """Another one each time that a picture is seen."""
    dice = random.Random(f"picture {seed}")
    one, where = creatures.creature(dice), creatures.scene(dice)
    said = random.Random(f"caption {seed} {turn}")
    if said.random() < DROPPED:
        return ""
    if said.random() < NAMED:
        text = creatures.caption(one, where, said)
        return text.replace("character", f"{creatures.made_up(said)} character", 1)
    return creatures.caption(one, where, said)


def drawings(folder: Path) -> Tensor:
    """(PICTURES, 3, SIDE, SIDE) bytes."""
    path = folder / "pictures.npy"
    if not path.exists():
        with ProcessPoolExecutor(2) as pool:
            made = list(pool.map(picture, range(PICTURES), chunksize=200))
        np.save(path, np.stack(made))
    return torch.from_numpy(np.load(path)).permute(0, 3, 1, 2)


def new_vae(groups: int = 2) -> Any:
    return AutoencoderKL(
        block_out_channels=(16, 32, 48, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=groups,
        layers_per_block=1,
        sample_size=SIDE,
    )


def new_unet() -> Any:
    return UNet2DConditionModel(
        sample_size=SIDE // 8,
        block_out_channels=(64, 104, 160),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=8,
    )


def new_text(tokens: int) -> Any:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=tokens,
            hidden_size=WIDTH,
            intermediate_size=3 * WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=MAX_TOKENS,
            bos_token_id=tokens - 2,
            eos_token_id=tokens - 1,
            pad_token_id=tokens - 1,
        )
    )


def scheduler() -> Any:
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


class Average:
    """A slow copy of the weights: what is kept in the end."""

    def __init__(self, *networks: Any) -> None:
        self.live = [weight for one in networks for weight in one.parameters()]
        self.slow = [weight.detach().clone() for weight in self.live]
        self.turns = 0

    @torch.no_grad()
    def follow(self) -> None:
        self.turns += 1
        share = 1 - min(EMA, (1 + self.turns) / (10 + self.turns))
        torch._foreach_lerp_(self.slow, self.live, share)

    @torch.no_grad()
    def swap(self) -> None:
        for slow, live in zip(self.slow, self.live, strict=True):
            kept = live.clone()
            live.copy_(slow)
            slow.copy_(kept)


def rate(step: int, total: int, peak: float) -> float:
    warm = min(1.0, (step + 1) / 100)
    return peak * warm * (0.5 + 0.5 * math.cos(math.pi * step / total)) + 1e-6


def _edges(x: Tensor) -> tuple[Tensor, Tensor]:
    return x[..., 1:] - x[..., :-1], x[..., 1:, :] - x[..., :-1, :]


def train_vae(folder: Path, pictures: Tensor, steps: int, batch: int) -> dict[str, Any]:
    path = folder / "vae.pt"
    torch.manual_seed(1)
    vae = new_vae().to(memory_format=torch.channels_last)
    if path.exists():
        saved = torch.load(path)
        vae.load_state_dict(saved["vae"])
        return {"vae": vae, **saved["figures"]}
    # Hardly any noise at first: there has to be something to see through it.
    torch.nn.init.constant_(vae.quant_conv.bias[4:], -6.0)
    optimizer = torch.optim.AdamW(
        vae.parameters(), weight_decay=1e-4, betas=(0.9, 0.98), fused=True
    )
    average, began, seen = Average(vae), time.monotonic(), 0.0
    order = torch.Generator().manual_seed(2)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate(step, steps, 1e-3)
        chosen = torch.randint(len(pictures), (batch,), generator=order)
        # Quarters of pictures for most of the time: four times as many steps.
        x = pictures[chosen].float() / 127.5 - 1
        # Colours and sides turn about: the VAE is to hold more than the world's nine colours.
        if step % 8 == 1:
            x = x[:, torch.randperm(3, generator=order)]
        if step % 3 == 0:
            x = x.flip(-1)
        with torch.autocast("cpu", torch.bfloat16):
            seen_as = vae.encode(x).latent_dist
            noise = torch.randn(seen_as.mean.shape, generator=order)
            y = vae.decode(seen_as.mean + seen_as.std * noise).sample
        y = y.float()
        loss = (y - x).abs().mean() + 0.5 * (y - x).square().mean()
        for a, b in zip(_edges(y), _edges(x), strict=True):
            loss = loss + 0.5 * (a - b).abs().mean()
        spread = seen_as.mean.float().square() + seen_as.var.float() - 1 - seen_as.logvar.float()
        loss = loss + 2e-5 * 0.5 * spread.sum(dim=(1, 2, 3)).mean() / 16
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        average.follow()
        if step == steps // 2:
            torch.save(vae.state_dict(), folder / "half.pt")
        seen = 0.98 * seen + 0.02 * float(loss.detach())
        if step % 500 == 0:
            print(f"vae {step} {seen:.4f} {time.monotonic() - began:.0f} s", flush=True)
    average.swap()
    with torch.no_grad():
        x = pictures[:256].float() / 127.5 - 1
        y = torch.cat([vae(part).sample for part in x.split(32)]).clamp(-1, 1)
    psnr = float(10 * torch.log10(4 / (y - x).square().mean()))
    figures = {"psnr_db": psnr, "vae_steps": steps, "vae_s": time.monotonic() - began}
    torch.save({"vae": vae.state_dict(), "figures": figures}, path)
    return {"vae": vae, **figures}


@torch.no_grad()
def latents_of(folder: Path, vae: Any, pictures: Tensor) -> tuple[Tensor, float]:
    """(N, 4, h, w) with a spread of one, and the factor that gave it to them."""
    path = folder / "latents.pt"
    if not path.exists():
        found = [
            vae.encode(part.float() / 127.5 - 1).latent_dist.mean for part in pictures.split(64)
        ]
        torch.save(torch.cat(found), path)
    whole: Tensor = torch.load(path)
    return whole / whole.std(), float(1 / whole.std())


def train_unet(folder: Path, latents: Tensor, seconds: float, batch: int) -> dict[str, Any]:
    """For so many seconds; the rate follows the clock, so that any length comes to rest."""
    tokens = words.write(folder / "tokenizer")
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    torch.manual_seed(3)
    unet, text = new_unet().to(memory_format=torch.channels_last), new_text(tokens)
    weights = [*unet.parameters(), *text.parameters()]
    optimizer = torch.optim.AdamW(weights, weight_decay=1e-3, betas=(0.9, 0.99), fused=True)
    average = Average(unet, text)
    aim = Diffusion(scheduler().alphas_cumprod, "epsilon")
    spent, step, losses = _resume(folder, unet, text, optimizer, average)
    order = torch.Generator().manual_seed(4 + step)
    began, kept = time.monotonic() - spent, time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        for group in optimizer.param_groups:
            group["lr"] = rate(min(step, 100) if step < 100 else 100, 10**9, 1.2e-3) * (
                0.5 + 0.5 * math.cos(math.pi * now / seconds)
            )
        chosen = torch.randint(len(latents), (batch,), generator=order)
        texts = [caption(int(one), step) for one in chosen]
        ids = tokenizer(
            texts, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        ).input_ids
        x = latents[chosen]
        noise = torch.randn(x.shape, generator=order)
        times = torch.randint(1000, (batch,), generator=order)
        with torch.autocast("cpu", torch.bfloat16):
            context = text(ids)[0]
            answer = unet(aim.noisy(x, noise, times), times, context).sample
        loss = weighted_mse(answer, noise, aim.weight(times, GAMMA))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        average.follow()
        step += 1
        losses.append(float(loss.detach()))
        if step % 50 == 0:
            print(f"unet {step} {np.mean(losses[-200:]):.4f} {now:.0f} s", flush=True)
        if time.monotonic() - kept > 240:
            _keep(folder, unet, text, optimizer, average, now, step, losses)
            kept = time.monotonic()
    _keep(folder, unet, text, optimizer, average, seconds, step, losses)
    average.swap()
    return {
        "unet": unet,
        "text": text,
        "unet_steps": step,
        "unet_s": seconds,
        "batch": batch,
        "loss": float(np.mean(losses[-500:])),
        "losses": [round(float(np.mean(losses[n : n + 100])), 5) for n in range(0, step, 100)],
    }


def _keep(
    folder: Path,
    unet: Any,
    text: Any,
    optimizer: Any,
    average: Average,
    now: float,
    step: int,
    losses: list[float],
) -> None:
    making = folder / "unet.tmp"
    torch.save(
        {
            "unet": unet.state_dict(),
            "text": text.state_dict(),
            "optimizer": optimizer.state_dict(),
            "slow": average.slow,
            "numbers": (now, step, losses),
        },
        making,
    )
    making.rename(folder / "unet.pt")


def _resume(
    folder: Path, unet: Any, text: Any, optimizer: Any, average: Average
) -> tuple[float, int, list[float]]:
    path = folder / "unet.pt"
    if not path.exists():
        return 0.0, 0, []
    saved = torch.load(path, weights_only=False)
    unet.load_state_dict(saved["unet"])
    text.load_state_dict(saved["text"])
    optimizer.load_state_dict(saved["optimizer"])
    average.slow = saved["slow"]
    now, step, losses = saved["numbers"]
    average.turns = step
    return now, step, losses


def export(target: Path, vae: Any, unet: Any, text: Any, factor: float) -> int:
    """A diffusers folder in half precision; its bytes."""
    from trainer.demo_base import INDEX

    vae.register_to_config(scaling_factor=factor)
    for part, name in ((unet, "unet"), (vae, "vae"), (text, "text_encoder")):
        part.half().save_pretrained(target / name)
    scheduler().save_pretrained(target / "scheduler")
    words.write(target / "tokenizer")
    (target / "model_index.json").write_text(json.dumps(INDEX, indent=1))
    return sum(path.stat().st_size for path in target.rglob("*"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--vae-steps", type=int, default=1500)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--target", type=Path, default=Path("trainer/demo"))
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    pictures = drawings(asked.folder)
    figures = train_vae(asked.folder, pictures, asked.vae_steps, 4)
    vae = figures.pop("vae").eval()
    print(figures, flush=True)
    latents, factor = latents_of(asked.folder, vae, pictures)
    learned = train_unet(asked.folder, latents, asked.minutes * 60, 32)
    size = export(asked.target, vae, learned.pop("unet"), learned.pop("text"), factor)
    result = (
        figures | learned | {"bytes": size, "scaling_factor": factor, "pictures": len(pictures)}
    )
    Path("bench/results/demo_base.json").write_text(json.dumps(result, indent=1) + "\n")
    print(result, flush=True)


if __name__ == "__main__":
    main()
