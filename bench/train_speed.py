"""Our trainer beside its peers, on the same small model and pictures, in one run.

``python -m bench.train_speed [--sd-scripts DIR] [--diffusers DIR] [--peer-python PYTHON]
[--sd-python PYTHON] [--sd-path DIR]``; ``bench/train_speed.md`` says where the peers come from.
They take turns, because the machine is shared; of each the median round counts.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from PIL import Image

from bench import train_peers as peers
from bench.machine import RESULTS, write
from bench.train_peers import Record, Setting

TINY = (32, 64, 128, 128)
FULL = (320, 640, 1280, 1280)
MAKE = """
import json, sys, torch
from pathlib import Path
from diffusers import UNet2DConditionModel
from bench import random_base
folder, widths = Path(sys.argv[1]), json.loads(sys.argv[2])
random_base.make(folder)
torch.manual_seed(1)
UNet2DConditionModel(
    sample_size=8, block_out_channels=widths, cross_attention_dim=random_base.WIDTH,
    attention_head_dim=8,
).save_pretrained(folder / "unet")
"""
GOALS = {
    "native_step_over_floor_at_most": 1.05,
    "cold_first_step_of_sd_scripts_at_most": 1 / 3,
    "warm_first_step_s_at_most": 0.3,
    "job_faster_than_the_quickest_peer_at_least": 2,
    "rss_of_the_smallest_peer_at_most": 0.7,
}


def make(setting: Setting, count: int) -> None:
    """Base model, pictures in each peer's layout, tokenizer where sd-scripts looks, the stub."""
    subprocess.run(
        [sys.executable, "-c", MAKE, str(setting.base), json.dumps(setting.widths)],
        cwd=peers.ROOT,
        env=setting.environment(),
        check=True,
    )
    names = setting.folder / "captioned" / "metadata.jsonl"
    for folder in (setting.pictures, setting.folder / "plain", names.parent):
        folder.mkdir(parents=True)
    lines = []
    for number in range(1, count + 1):
        noise = Image.effect_noise((setting.side, setting.side), 60 + number).convert("RGB")
        name = f"{number:04}.png"
        for folder in (setting.pictures, setting.folder / "plain", names.parent):
            noise.save(folder / name)
        (setting.pictures / name).with_suffix(".txt").write_text("mochix person")
        lines.append(json.dumps({"file_name": name, "text": "mochix person"}))
    names.write_text("\n".join(lines))
    tokenizers = setting.folder / "tokenizers"
    tokenizers.mkdir()
    (tokenizers / "openai_clip-vit-large-patch14").symlink_to(setting.base / "tokenizer")
    stub = setting.folder / "stub" / "torchvision"
    stub.mkdir(parents=True)
    (stub / "__init__.py").touch()
    (stub / "transforms.py").write_text(peers.STUB)


def inside(setting: Setting, rounds: int) -> dict[str, Any]:
    path, out = peers.run_file(setting, "inside"), setting.folder / "inside.out"
    command = [sys.executable, "-m", "bench.train_inside", str(path), str(rounds), str(out)]
    environment = setting.environment()
    subprocess.run(command, cwd=peers.ROOT, env=environment, check=True)
    figures: dict[str, Any] = json.loads(out.read_text())
    return figures


def rounds_of(
    setting: Setting, asked: argparse.Namespace, say: Callable[[str], None]
) -> dict[str, list[Record]]:
    records: dict[str, list[Record]] = {}
    for turn in range(asked.rounds + 1):
        found = peers.native(setting, turn)
        if asked.sd_scripts:
            found["sd-scripts"] = peers.sd_scripts(
                setting, asked.peer_python, asked.sd_scripts, asked.sd_path
            )
        if asked.diffusers:
            for script in ("text_to_image", "dreambooth"):
                name = f"diffusers {script.replace('_', '-')}"
                found[name] = peers.diffusers(setting, asked.peer_python, asked.diffusers, script)
        for name, record in found.items():
            say(f"{turn} {name}: first {record.first_step_s:.2f} job {record.wall_s:.2f} s")
            # The first round finds nothing in the caches of the disk, and does not count.
            if turn:
                records.setdefault(name, []).append(record)
    return records


def figures_of(records: dict[str, list[Record]]) -> dict[str, dict[str, float]]:
    figures = {}
    for name, many in records.items():
        steps = [value for one in many for value in one.step_s]
        figures[name] = {
            "first_step_s": round(statistics.median(one.first_step_s for one in many), 3),
            "job_s": round(statistics.median(one.wall_s for one in many), 3),
            "job_s_min": round(min(one.wall_s for one in many), 3),
            "step_s_median": round(statistics.median(steps), 5),
            "step_s_min": round(min(steps), 5),
            "peak_rss_mb": round(statistics.median(one.rss_mb for one in many), 1),
            "vae_s": round(statistics.median(one.vae_s for one in many), 3),
        }
    return figures


def against(figures: dict[str, dict[str, float]]) -> dict[str, float]:
    """The ratios that the goals speak of."""
    ours, warm = figures["native, cold"], figures["native, warm"]
    others = {name: one for name, one in figures.items() if not name.startswith("native")}
    if not others:
        return {}
    quickest = min(one["job_s"] for one in others.values())
    found = {
        "warm_first_step_s": warm["first_step_s"],
        "job_cold_faster_than_the_quickest_peer": quickest / ours["job_s"],
        "job_warm_faster_than_the_quickest_peer": quickest / warm["job_s"],
        "rss_of_the_smallest_peer": ours["peak_rss_mb"]
        / min(one["peak_rss_mb"] for one in others.values()),
    }
    if "sd-scripts" in others:
        first = others["sd-scripts"]["first_step_s"]
        found["cold_first_step_of_sd_scripts"] = ours["first_step_s"] / first
    return {name: round(value, 3) for name, value in found.items()}


def plot(figures: dict[str, dict[str, float]], name: str, title: str) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    panels = (
        ("first_step_s", "start to first step, s", 1),
        ("job_s", "whole job, s", 1),
        ("step_s_median", "step, ms", 1000),
        ("peak_rss_mb", "peak memory, MB", 1),
    )
    _, many = plt.subplots(1, len(panels), figsize=(12, 2.6), sharey=True, layout="constrained")
    names = list(figures)[::-1]
    colours = ["#3b6fb5" if name.startswith("native") else "#b0b0b0" for name in names]
    for axes, (key, label, scale) in zip(many, panels, strict=True):
        values = [figures[name][key] * scale for name in names]
        bars = axes.barh(names, values, color=colours)
        axes.bar_label(bars, fmt="%.3g", padding=2)
        axes.set_xlabel(label)
        axes.set_xlim(0, max(values) * 1.25)
        axes.spines[["top", "right"]].set_visible(False)
    plt.suptitle(title)
    plt.savefig(RESULTS / f"{name}.png", dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sd-scripts", type=Path)
    parser.add_argument("--diffusers", type=Path)
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--sd-path", type=Path, help="a folder with sd-scripts' own pins")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--inside-rounds", type=int, default=300)
    parser.add_argument("--full", action="store_true", help="a U-Net of full size at 256 px")
    asked = parser.parse_args()
    widths, side, count = (FULL, 256, 4) if asked.full else (TINY, 64, 12)
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(
            folder=Path(folder), widths=widths, side=side, steps=asked.steps, threads=asked.threads
        )
        make(setting, count)
        step = inside(setting, asked.inside_rounds)
        print(json.dumps(step), flush=True)
        records = rounds_of(setting, asked, lambda line: print(line, flush=True))
    figures = figures_of(records)
    name = "train_speed_full" if asked.full else "train_speed"
    title = f"{asked.steps} steps, {count} pictures of {side} px, U-Net {widths}, rank 8, fp32"
    with suppress(ImportError):
        plot(figures, name, title)
    told = {"threads": asked.threads, "rounds": asked.rounds, "steps": asked.steps}
    told |= {"pictures": count, "side": side, "unet": widths, "rank": setting.rank}
    results = {"setting": told, "goals": GOALS, "reached": against(figures)}
    write(name, results | {"inside_a_step": step, "trainers": figures})


if __name__ == "__main__":
    main()
