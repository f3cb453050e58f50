"""``python3 -m tests.torture --jobs 100 --minutes 5 --seed 7``; exit code 1: a fault."""

import argparse
import asyncio
import json
import random
import sys
from dataclasses import asdict
from pathlib import Path

from tests.torture.siege import Plan, besiege
from tests.torture.table import written

BUSY_SHARE = 0.6  # of the workers' time that the jobs would take without any blow


def plan_of(words: argparse.Namespace) -> Plan:
    for_s = 60 * words.minutes
    fitting = BUSY_SHARE * for_s * words.workers / words.jobs
    return Plan(
        jobs=words.jobs,
        for_s=for_s,
        seed=words.seed,
        every_s=words.every,
        job_s=words.job_seconds or round(max(0.5, fitting - 1.0), 1),
        lease_s=words.lease,
        workers=words.workers,
        database=words.database,
        only=words.only,
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m tests.torture", description=__doc__)
    parser.add_argument("--jobs", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=5.0, help="how long blows fall")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--lease", type=float, default=3.0, help="seconds")
    parser.add_argument("--every", type=float, default=3.0, help="seconds between blows")
    parser.add_argument("--job-seconds", type=float, default=0.0, help="0: to fit the minutes")
    parser.add_argument(
        "--database", default="", help="a URL, or postgres: one of its own; else SQLite"
    )
    parser.add_argument(
        "--only", default="", help="blows with this in their name: bot, database, -9"
    )
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    return parser.parse_args()


def main() -> int:
    words = arguments()
    plan = plan_of(words)
    print(f"seed {plan.seed}", flush=True)
    verdict = asyncio.run(besiege(plan))
    faults = verdict.faults(plan.lease_s)
    print(written(plan, verdict))
    if words.json is not None:
        public = asdict(plan) | {"database": plan.database.partition(":")[0] or "sqlite"}
        figures = {"plan": public, "verdict": asdict(verdict), "faults": faults}
        words.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
