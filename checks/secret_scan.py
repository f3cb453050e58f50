"""``python -m checks.secret_scan``: no token, key or password in a file that git knows.

Offline, in a second. What is made up for tests and examples stands in ``made_up.txt`` by its
digest: ``python -m checks.secret_scan --accept`` writes that list anew, and a reviewer looks at it.
"""

import hashlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MADE_UP = Path(__file__).with_name("made_up.txt")
MOST_BYTES = 2_000_000  # what is larger is data
RULES = {
    "a private key": r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----",
    "a Telegram token": r"\b\d{8,10}:[A-Za-z0-9_-]{34,36}\b",
    "a Discord token": r"\b[MNO][A-Za-z0-9_-]{23,25}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}\b",
    "a cloud's key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[0-9A-Za-z_-]{35}\b",
    "a forge's token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{60,}|glpat-[\w-]{20,})\b",
    "a hub's or a vendor's token": (
        r"\b(?:hf_[A-Za-z0-9]{30,}|sk-[A-Za-z0-9_-]{32,}|xox[abprs]-[\w-]{20,})"
    ),
    "a signed token": r"\beyJ[A-Za-z0-9_-]{15,}\.eyJ[A-Za-z0-9_-]{15,}\.[A-Za-z0-9_-]{20,}",
    "an address with a password": r"\b[a-z][a-z0-9+]*://[^\s/:@{}<>'\"$]*:[^\s/:@{}<>'\"$]{6,}@",
    "a secret in a setting": (
        r"(?m)^\s*(?:[A-Z_]*(?:TOKEN|SECRET|PASSWORD|_KEY))\s*[=:]\s*['\"]?[A-Za-z0-9+/_-]{20,}"
    ),
}
COMPILED = {what: re.compile(rule) for what, rule in RULES.items()}


def files() -> list[Path]:
    """Those that git knows, and those that it would be asked to know."""
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    said = subprocess.run(asked, cwd=ROOT, capture_output=True, check=True).stdout
    return [ROOT / name for name in said.decode().split("\0") if name]


def found_in(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, kind and the digest of each find. The find itself is never shown."""
    for what, rule in COMPILED.items():
        for match in rule.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield line, what, hashlib.sha256(match[0].strip().encode()).hexdigest()


def scan(paths: list[Path]) -> Iterator[tuple[str, int, str, str]]:
    for path in paths:
        if path == MADE_UP or not path.is_file() or path.stat().st_size > MOST_BYTES:
            continue
        data = path.read_bytes()
        if b"\0" in data[:8000]:
            continue
        for line, what, digest in found_in(data.decode("utf-8", "replace")):
            yield str(path.relative_to(ROOT)), line, what, digest


def main(arguments: list[str]) -> int:
    found = sorted(scan(files()))
    if arguments == ["--accept"]:
        kept = {f"{digest}  {name}" for name, _, _, digest in found}
        MADE_UP.write_text("".join(f"{one}\n" for one in sorted(kept)), encoding="ascii")
        print(f"{len(kept)} made-up secrets are accepted; look at them before you commit.")
        return 0
    known = {tuple(line.split("  ", 1)) for line in MADE_UP.read_text("ascii").splitlines()}
    new = [one for one in found if (one[3], one[0]) not in known]
    for name, line, what, _ in new:
        print(f"{name}:{line}: this looks like {what}")
    if new:
        print("If it is real: take it out and make a new one. If it is made up: --accept.")
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
