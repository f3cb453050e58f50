"""What a run takes of the memory beside its steps: captions, the autoencoder, samples. On torch's
``meta`` device, as all of ``bench/train_memory``.
"""

import itertools
from typing import Any

import torch

from bench import true_sizes
from bench.live_bytes import Live, counted
from trainer.families import family_of

MEGA = 1e6  # pixels


def hold(live: Live, *networks: Any) -> None:
    """What lies there already."""
    for network in networks:
        if network is not None:
            for one in itertools.chain(network.parameters(), network.buffers()):
                live.hold(one)
                if one.grad is not None:
                    live.hold(one.grad)


@torch.no_grad()
def line(family: str, what: str) -> list[int]:
    """Bytes of a picture's way through the autoencoder, or of a look without gradients: for one
    picture, and for a megapixel of it.
    """
    base, module = true_sizes.BASES[family], family_of(family)
    model = true_sizes.model(family, vae=what != "draw", denoiser=what == "draw")
    found = []
    for side in base.sides:
        small = side // module.TRAITS.vae_scale
        latents = torch.empty(1, module.TRAITS.channels, small, small, device=true_sizes.META)
        pixels = torch.empty(1, 3, side, side, device=true_sizes.META)
        condition = true_sizes.condition(family)
        with counted(torch.bfloat16 if what == "draw" else None) as live:
            hold(live, model.vae, model.denoiser)
            before = live.now
            if what == "encode":
                live.hold(pixels)
                module.encode_pictures(model, pixels, torch.Generator())
            elif what == "decode":
                live.hold(latents)
                module.decode(model, latents)
            else:
                times = torch.zeros(1, device=true_sizes.META)
                module.predict(model, latents, times, [condition])
        found.append(live.peak - before)
    low, high = (side**2 / MEGA for side in base.sides)
    slope = (found[1] - found[0]) / (high - low)
    return [max(0, round(found[0] - slope * low)), round(slope)]


@torch.no_grad()
def caption(family: str) -> int:
    model = true_sizes.model(family, text=True, denoiser=False)
    with counted(None) as live:
        hold(live, *model.encoders.values())
        before = live.now
        true_sizes.read_caption(family, model)
    return live.peak - before
