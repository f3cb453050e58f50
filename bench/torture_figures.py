"""Gathers the JSON files of `tests.torture --json` and `bench.torture_peers --out` into one figure.

python -m bench.torture_figures FOLDER [FOLDER ...]
"""

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from bench.machine import RESULTS, write

KINDS = (
    "worker kill -9",
    "worker SIGTERM",
    "worker frozen past its lease",
    "worker frozen, less than a lease",
    "trainer kill -9",
    "redis kill -9",
    "bot kill -9",
    "database kill -9",
    "database frozen",
    "database locked by another",
)
USUAL = 3  # workers
FAULTS = ("lost", "stuck", "failed", "doubled", "wrong_last", "left_over")
NAMES = {"plain": "as it comes", "tuned": "with settings"}

Run = dict[str, Any]


def of_ours(text: Run) -> Run:
    found, plan = text["verdict"], text["plan"]
    counts = {name: len(found.get(name, ())) for name in FAULTS}
    counts["stuck"] = len(found["unhealed"])
    return counts | {
        "who": _who(plan),
        "seed": plan["seed"],
        "jobs": plan["jobs"],
        "job_s": plan["job_s"],
        "done": found["done"],
        "beside": found["beside"],
        "blows": found["blows"],
        "took_s": round(found["took_s"], 1),
        "own_gap_s": round(found["own_gap_s"], 1),
        "recovery": {kind: _rounded(*some) for kind, some in found["recovery"].items()},
        "own": {kind: _rounded(*some) for kind, some in found.get("own", {}).items()},
        "away": {kind: _rounded(*some) for kind, some in found.get("away", {}).items()},
    }


def _who(plan: Run) -> str:
    many = "" if plan["workers"] == USUAL else f", {plan['workers']} workers"
    return f"lorabot, {plan['database']}{many}"


def of_peer(text: Run) -> Run:
    kept = ("seed", "jobs", "job_s", "done", "lost", "stuck", "doubled", "beside", "left_over")
    gaps = {kind: some for kind, some in text["gaps"].items() if some}
    return {name: text[name] for name in (*kept, "blows", "took_s")} | {
        "who": f"{text['library']} {NAMES[text['how']]}",
        "never_again": text["never_healed"],
        "recovery": {
            kind: _rounded(len(some), statistics.median(some), max(some))
            for kind, some in gaps.items()
        },
    }


def _rounded(count: int, median: float, most: float) -> tuple[int, float, float]:
    return count, round(median, 1), round(most, 1)


def summed(runs: list[Run]) -> Run:
    """Faults of all seeds; per kind the times, the middle of the medians and the longest.
    ``database_away_s`` is the part of its blows in which it did not answer itself, and beside a
    free worker is all of a wait in which there was one.
    """
    return {
        "seeds": sorted(run["seed"] for run in runs),
        "jobs": sum(run["jobs"] for run in runs),
        "done": sum(run["done"] for run in runs),
        **{name: sum(run.get(name, 0) for run in runs) for name in (*FAULTS, "beside")},
        "recovery_s": _over_seeds([run["recovery"] for run in runs]),
        "recovery_beside_a_free_worker_s": _over_seeds([run.get("own", {}) for run in runs]),
        "database_away_s": _over_seeds([run.get("away", {}) for run in runs]),
    }


def _over_seeds(runs: list[dict[str, tuple[int, float, float]]]) -> dict[str, Run]:
    by_kind: dict[str, list[tuple[int, float, float]]] = defaultdict(list)
    for run in runs:
        for kind, figures in run.items():
            by_kind[kind].append(figures)
    return {
        kind: {
            "times": sum(count for count, _, _ in by_kind[kind]),
            "median": round(statistics.median(one for _, one, _ in by_kind[kind]), 1),
            "most": max(most for _, _, most in by_kind[kind]),
        }
        for kind in KINDS
        if kind in by_kind
    }


def table(found: dict[str, Run]) -> str:
    head = ("", "jobs", "lost", "stuck", "doubled", "worker -9: median, most")
    lines = [f"{head[0]:32}" + "".join(f"{one:>9}" for one in head[1:5]) + f"  {head[5]}"]
    for who, one in found.items():
        back = one["recovery_s"].get("worker kill -9", {"median": "-", "most": "-"})
        figures = (one["jobs"], one["lost"], one["stuck"], one["doubled"])
        words = f"  {back['median']} s, {back['most']} s"
        lines.append(f"{who:32}" + "".join(f"{figure:>9}" for figure in figures) + words)
    for who, one in found.items():
        for kind, back in one["recovery_s"].items():
            lines.append(
                f"{who:32} {kind:34} {back['times']:4} {back['median']:6} {back['most']:6}"
            )
    return "\n".join(lines)


def plot(found: dict[str, Run]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    names = list(found)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), sharey=True)
    begin = [0.0] * len(names)
    for fault in ("lost", "stuck", "doubled"):
        shares = [100 * one[fault] / one["jobs"] for one in found.values()]
        left.barh(names, shares, left=begin, label=fault)
        begin = [a + b for a, b in zip(begin, shares, strict=True)]
    left.set(xlabel="jobs of a hundred")
    left.legend()
    left.invert_yaxis()
    for name, one in found.items():
        back = one["recovery_s"].get("worker kill -9")
        if back is not None:
            right.plot([back["median"], back["most"]], [name, name], "-", color="grey")
            right.plot(back["median"], name, "o", color="tab:blue")
            right.plot(back["most"], name, "|", color="tab:blue", markersize=12)
    right.set(xlabel="seconds until a killed worker's job runs again: median, longest")
    right.set_xlim(left=0)
    figure.tight_layout()
    figure.savefig(RESULTS / "torture.png", dpi=100)


def main(folders: list[str]) -> None:
    runs = []
    for folder in folders:
        for path in sorted(Path(folder).glob("*.json")):
            text = json.loads(path.read_text())
            runs.append(of_ours(text) if "verdict" in text else of_peer(text))
    by_who: dict[str, list[Run]] = defaultdict(list)
    for run in runs:
        by_who[run["who"]].append(run)
    order = sorted(by_who, key=lambda who: (not who.startswith("lorabot"), who))
    found = {who: summed(by_who[who]) for who in order}
    write("torture", {"summary": found, "runs": runs})
    plot(found)
    print(table(found))


if __name__ == "__main__":
    main(sys.argv[1:])
