"""The trainer on a GPU: steps a second, share of the card's own matmul rate, memory, compilation.

``python -m bench.gpu [--families sd15 sdxl] [--batches 1 4] [--modes eager blocks graph]``. Every
cell is a process of its own. ``--device cpu --tiny`` tries the script itself where there is no GPU
(the graphs are left out) and writes nothing.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.machine import RESULTS, write

SIDES = {"sd15": 512, "sdxl": 1024}
GOALS = {"sdxl_batch_4_share_of_matmul_rate_at_least": 0.45, "of_the_best_peer_at_batch_1": 2}
RATE = """
import json, sys, torch
side = 8192
a, b = (torch.randn(side, side, device="cuda", dtype=torch.bfloat16) for _ in range(2))
times = []
for turn in range(13):
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record(); a @ b; end.record(); torch.cuda.synchronize()
    if turn > 2: times.append(start.elapsed_time(end) / 1e3)
times.sort()
free, total = torch.cuda.mem_get_info()
print(json.dumps({"gpu": torch.cuda.get_device_name(), "torch": torch.__version__,
    "memory_gib": round(total / 2**30, 1), "matmul_tflops": 2 * side**3 / times[5] / 1e12}))
"""


def card() -> dict[str, Any]:
    """The card's name and its rate for bf16 products of 8192 x 8192, the median of ten."""
    done = subprocess.run([sys.executable, "-c", RATE], check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def cell(asked: dict[str, Any], timeout_s: float) -> dict[str, Any]:
    """What the cell measured, or how it ended."""
    with tempfile.NamedTemporaryFile(suffix=".json") as out:
        command = [sys.executable, "-m", "bench.gpu_run", json.dumps(asked), out.name]
        try:
            done = subprocess.run(
                command,
                cwd=Path(__file__).parent.parent,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return asked | {"failed": f"longer than {timeout_s:.0f} s"}
        if done.returncode:
            return asked | {"failed": done.stderr[-600:]}
        found: dict[str, Any] = json.loads(Path(out.name).read_text())
        return found


def break_even(cells: list[dict[str, Any]]) -> dict[str, float | None]:
    """After how many steps a mode's longer first step is paid back; None: never."""
    plain = {
        (one["family"], one["batch"]): one
        for one in cells
        if one["mode"] == "eager" and "failed" not in one
    }
    found: dict[str, float | None] = {}
    for one in cells:
        other = plain.get((one["family"], one["batch"]))
        if other is None or one["mode"] == "eager" or "failed" in one:
            continue
        gain = other["step_s"] - one["step_s"]
        cost = max(0.0, one["first_step_s"] - other["first_step_s"])
        name = f"{one['family']} x{one['batch']} {one['mode']}"
        found[name] = round(cost / gain, 1) if gain > 0 else None
    return found


def plot(cells: list[dict[str, Any]], rate: float, title: str) -> None:
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    done = [one for one in cells if "failed" not in one][::-1]
    names = [f"{one['family']} x{one['batch']} {one['mode']}" for one in done]
    panels = (
        ("images a second", [one["images_per_s"] for one in done]),
        ("share of the matmul rate, %", [100 * one["tflops"] / rate for one in done]),
        ("peak memory, GiB", [one["peak_gib"] for one in done]),
    )
    size = (12, 1 + 0.32 * len(done))
    _, many = plt.subplots(1, len(panels), figsize=size, sharey=True, layout="constrained")
    for axes, (label, values) in zip(many, panels, strict=True):
        axes.bar_label(axes.barh(names, values, color="#3b6fb5"), fmt="%.3g", padding=2)
        axes.set_xlabel(label)
        axes.set_xlim(0, max(values) * 1.25)
        axes.spines[["top", "right"]].set_visible(False)
    plt.suptitle(title)
    plt.savefig(RESULTS / "gpu.png", dpi=110)


def wanted(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    each = itertools.product(asked.families, asked.batches, asked.modes)
    for family, batch, mode in each:
        if mode == "graph" and asked.device != "cuda":
            continue
        side = 64 if asked.tiny else SIDES[family]
        told = {"family": family, "side": side, "batch": batch, "mode": mode}
        yield told | {"rank": asked.rank, "device": asked.device, "tiny": asked.tiny}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--families", nargs="+", default=list(SIDES), choices=list(SIDES))
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 4])
    parser.add_argument("--modes", nargs="+", default=["eager", "blocks", "graph"])
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--timeout", type=float, default=240.0, help="seconds for one cell")
    asked = parser.parse_args()
    about = card() if asked.device == "cuda" else {"gpu": "none", "matmul_tflops": 0.0}
    print(json.dumps(about), flush=True)
    cells = []
    for told in wanted(asked):
        cells.append(cell(told, asked.timeout))
        print(json.dumps(cells[-1]), flush=True)
    if asked.tiny or asked.device != "cuda":
        return
    rate = about["matmul_tflops"]
    for one in cells:
        if "failed" not in one:
            one["share_of_matmul_rate"] = round(one["tflops"] / rate, 4)
    results = {"card": about, "goals": GOALS, "break_even_steps": break_even(cells)}
    write("gpu", results | {"cells": cells})
    if any("failed" not in one for one in cells):
        plot(cells, rate, f"{about['gpu']}, rank {asked.rank}, bf16, random weights of true size")


if __name__ == "__main__":
    main()
