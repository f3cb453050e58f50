"""The table of docs/faults.md names tests that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FAULTS = ROOT / "docs" / "faults.md"
ROW = re.compile(r"^\| (?!Fault \||---)", re.MULTILINE)
NAMED = re.compile(r"`(test_\w+)`")


def test_each_named_test_exists() -> None:
    named = set(NAMED.findall(FAULTS.read_text(encoding="utf-8")))
    assert len(named) > 60
    known = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))
    }
    assert not named - known


def test_each_fault_names_its_test() -> None:
    lines = FAULTS.read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if ROW.match(line)]
    assert len(rows) > 50
    assert not [row for row in rows if not NAMED.search(row.rsplit("|", 2)[1])]
