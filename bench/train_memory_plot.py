"""``python -m bench.train_memory_plot``: the table of ``docs/bases.md`` and the plot of what each
base takes, from ``trainer/memory.json``.
"""

from dataclasses import replace

import matplotlib as mpl

from bench.machine import RESULTS
from trainer import lighter, memory
from trainer.params import FAMILIES, TrainParams
from trainer.presets import params_for

CARDS = (8, 10, 12, 16, 24, 32, 40, 48, 80)  # GiB
GIB = 2**30
PHOTOS = 15
TITLES = {
    "sd15": "SD 1.5",
    "sdxl": "SDXL",
    "flux": "FLUX.1-dev",
    "flux2": "FLUX.2 klein 4B",
    "zimage": "Z-Image",
    "qwen": "Qwen-Image",
}


def of(family: str) -> TrainParams:
    params = params_for(family, family, ("subject", "person"), PHOTOS)
    return replace(params, precision="bf16")


def peak(params: TrainParams) -> float:
    need = memory.estimate(params)
    assert need is not None
    return (need.peak + memory.CONTEXT) / GIB


def verdict(params: TrainParams, card: int) -> str:
    free = card * GIB - memory.CONTEXT
    if peak(params) <= card:
        return "yes"
    changes = lighter.first_that_fits(params, free, failed=True)
    if changes is None:
        return "–"
    return f"{changes['resolution']} px" if "resolution" in changes else "slower"


def table() -> str:
    lines = [
        f"| base, resolution | as it is | slower | {' | '.join(f'{one} GB' for one in CARDS)} |",
        "|---|---|---|" + "---|" * len(CARDS),
    ]
    for family in FAMILIES:
        params = of(family)
        slower = replace(params, gradient_checkpointing=True)
        fits = " | ".join(verdict(params, one) for one in CARDS)
        name = f"{TITLES[family]}, {params.resolution}"
        lines.append(f"| {name} | {peak(params):.1f} | {peak(slower):.1f} | {fits} |")
    return "\n".join(lines)


def plot() -> None:
    mpl.use("agg")
    from matplotlib import pyplot as plt

    colours = {
        "base model": "#9aa5b1",
        "pairs, gradients, optimizer": "#d98e32",
        "activations": "#3b6fb5",
        "the GPU's libraries": "#cfd6dd",
    }
    _, axes = plt.subplots(figsize=(10, 5), layout="constrained")
    for row, family in enumerate(reversed(FAMILIES)):
        for offset, again in ((0.2, False), (-0.2, True)):
            need = memory.estimate(replace(of(family), gradient_checkpointing=again))
            assert need is not None
            rest = need.peak + memory.CONTEXT - need.steps
            left = 0.0
            for (name, colour), size in zip(
                colours.items(), (need.weights, need.pairs, need.activations, rest), strict=True
            ):
                label = name if row == 0 and not again else None
                axes.barh(row + offset, size / GIB, 0.36, left, color=colour, label=label)
                left += size / GIB
            axes.text(left, row + offset, f" {left:.1f}", va="center", fontsize=8)
    axes.set_yticks(range(len(FAMILIES)), [TITLES[one] for one in reversed(FAMILIES)])
    axes.set_xlabel("GiB at batch 1; above as it is, below with activations computed twice")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    plt.savefig(RESULTS / "train_memory.png", dpi=110)


if __name__ == "__main__":
    print(table())
    plot()
