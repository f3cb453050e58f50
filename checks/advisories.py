"""``python -m checks.advisories``: what is installed is what was tested, and nothing of it is known
to be open to attack.

The first is looked at here; the second is asked of the package index by pip-audit. Without an
answer, offline say, this tells so and does not fail.
"""

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)$", re.MULTILINE)
PATIENCE_S = 20


def pins() -> dict[str, str]:
    return dict(PIN.findall(CONSTRAINTS.read_text(encoding="utf-8")))


def drifted(pinned: dict[str, str]) -> list[str]:
    """Installed in another version than the tests ran with. What is not installed is no matter."""
    found = []
    for name, wanted in pinned.items():
        try:
            here = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        # A build's own mark, like +cpu, is no other version.
        if here.partition("+")[0] != wanted.partition("+")[0]:
            found.append(f"{name} {here} is installed, the tests ran with {wanted}")
    return found


def audited() -> tuple[list[str], int]:
    """Known weaknesses, and for how many packages the index could say."""
    own = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "-f", "json"]
    where = ["-r", str(CONSTRAINTS), "-s", "pypi", "--timeout", "3"]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip_audit", *where, *own],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        told = json.loads(done.stdout)["dependencies"]
    except (subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
        return [], 0
    known = [one for one in told if "vulns" in one]
    weak = [
        f"{one['name']} {one['version']}: {weakness['id']}, mended in "
        f"{', '.join(weakness['fix_versions']) or 'no version yet'}"
        for one in known
        for weakness in one["vulns"]
    ]
    return weak, len(known)


def main() -> int:
    pinned = pins()
    wrong = drifted(pinned)
    weak, asked = audited()
    print("\n".join([*wrong, *weak]) or f"{len(pinned)} packages are as they were tested.")
    if asked < len(pinned):
        print(f"Advisories: the package index could say something of {asked} of {len(pinned)}.")
    return 1 if weak else 0


if __name__ == "__main__":
    sys.exit(main())
