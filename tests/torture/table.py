"""The run as a table for people."""

from tests.torture.siege import Plan
from tests.torture.verdict import Verdict


def written(plan: Plan, verdict: Verdict) -> str:
    head = f"{plan.jobs} jobs of {plan.job_s:g} s, {plan.workers} workers, lease {plan.lease_s:g} s"
    lines = [
        f"{head}, seed {plan.seed}: {verdict.took_s:.0f} s",
        "",
        f"{'blow':34} {'times':>5}  {'hit':>4} {'median':>7} {'most':>7} {'own':>7}",
    ]
    for kind in sorted(verdict.blows.keys() | verdict.recovery.keys()):
        count, median, most = verdict.recovery.get(kind, (0, 0.0, 0.0))
        times = f"{median:6.1f}s {most:6.1f}s" if count else ""
        if kind in verdict.own:
            times += f" {verdict.own[kind][2]:6.1f}s"
        lines.append(f"{kind:34} {verdict.blows.get(kind, 0):5}  {count or '':>4} {times}")
    lines += [
        f"{f'{kind}, by itself':34} {count:5}  {'':>4} {median:6.1f}s {most:6.1f}s"
        for kind, (count, median, most) in sorted(verdict.away.items())
    ]
    counts = {
        "ordered": verdict.ordered,
        "done": verdict.done,
        "lost": len(verdict.lost),
        "failed": len(verdict.failed),
        "doubled": len(verdict.doubled),
        "with a wrong last message": len(verdict.wrong_last),
        "results in the status message, too": verdict.in_both,
        "processes left over": len(verdict.left_over),
        "trainers beside another of the same job": verdict.beside,
        "files of claims that were lost": verdict.litter,
    }
    lines += ["", ", ".join(f"{count} {what}" for what, count in counts.items())]
    lines.append(f"claims per job {verdict.attempts}")
    wait = f"longest wait after a worker's kill {verdict.gap_s:.1f} s"
    lines.append(f"{wait}; {verdict.own_gap_s:.1f} s while a worker was free")
    faults = verdict.faults(plan.lease_s)
    lines += [f"FAULT: {one}" for one in faults]
    if faults:
        lines.append(f"everything lies in {verdict.folder}")
    return "\n".join(lines)
