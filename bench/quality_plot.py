"""One figure for each thing that was varied, from the benchmark's JSON."""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

from bench.quality_runs import EQUAL

LINES = (
    ("trigger", "own", "with the trigger: its features", "tab:blue", "-"),
    ("class", "own", "class word alone: its features", "tab:red", "-"),
    ("trigger", "place", "with the trigger: the place asked for", "tab:blue", "--"),
    ("other", "named", "somebody else: what the prompt names", "tab:green", "--"),
)


def draw(source: Path, target: Path) -> None:
    runs = json.loads(source.read_text())["runs"]
    figure, axes = plt.subplots(2, 3, figsize=(15, 8), sharey=True)
    usual = f"steps {EQUAL}"
    counts = _named(runs, "steps")
    _panel(axes[0, 0], runs, "steps", dict(sorted(counts.items(), key=lambda one: int(one[0]))))
    sixteen = {"16": usual}
    _panel(axes[0, 1], runs, "rank", {"4": "rank 4"} | sixteen | {"64": "rank 64"})
    rates = _named(runs, "rate") | {"0.003": usual}
    _panel(axes[0, 2], runs, "learning rate", dict(sorted(rates.items())))
    captions = {"trigger and class": usual} | _named(runs, "captions")
    _panel(axes[1, 0], runs, "captions", captions)
    recipes = {"ours": usual, "and text encoder": "text encoder"}
    for who in ("diffusers", "sd-scripts"):
        rates = _named(runs, who)
        if rates:
            best = max(rates.values(), key=lambda name: runs[name]["trigger"]["own"])
            recipes[f"{who}\n(rate {best.split()[-1]})"] = best
    _panel(axes[1, 1], runs, "recipe, equal steps", recipes)
    apart = {
        "ours": usual,
        "said\nscenes": "captions scene",
        "atten-\ntion": "attention",
        "atten-\ntion,\nscenes": "attention scene",
        "preser-\nvation": "preservation 0.35",
        "preser-\nvation,\nscenes": "preservation scene",
        "all three": "attention preservation scene",
    }
    _panel(axes[1, 2], runs, "what keeps the class word as it was", apart)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=2)
    axes[0, 0].set_ylabel("share of samples")
    axes[1, 0].set_ylabel("share of samples")
    figure.tight_layout(rect=(0, 0.07, 1, 1))
    figure.savefig(target, dpi=80)
    plt.close(figure)


def _named(runs: dict[str, Any], prefix: str) -> dict[str, str]:
    return {name.removeprefix(f"{prefix} "): name for name in runs if name.startswith(f"{prefix} ")}


def _panel(axis: Any, runs: dict[str, Any], title: str, where: dict[str, str]) -> None:
    """``where``: from the label on the axis to the run."""
    known = {label: name for label, name in where.items() if name in runs}
    if len(known) < 2:
        axis.set_title(f"{title}: not measured yet")
        axis.axis("off")
        return
    for group, what, label, colour, style in LINES:
        values = [runs[name][group][what] for name in known.values()]
        axis.plot(list(known), values, style, marker="o", color=colour, label=label)
        axis.axhline(runs["base"][group][what], color=colour, linestyle=":", alpha=0.5)
    axis.set_title(f"{title} (dotted: the base alone)")
    axis.set_ylim(0, 1.02)
