"""The table of docs/security.md is true as far as a program can tell, and so are our checks."""

import re
from pathlib import Path

import pytest

from checks import advisories, secret_scan

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"


def test_each_named_test_exists() -> None:
    named = re.findall(r"`(test_\w+(?:\.py)?)` \|$", _model(), re.MULTILINE)
    assert len(named) > 40
    files = {path.name for path in TESTS.rglob("test_*.py")}
    known = {
        name
        for path in TESTS.rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)\(", path.read_text(encoding="utf-8"))
    }
    assert not set(named) - files - known


def test_each_measure_names_its_test() -> None:
    rows = [line for line in _model().splitlines() if line.startswith("| ") and "|---" not in line]
    bare = [row for row in rows if not row.rstrip().endswith(("` |", "Test |"))]
    assert not bare


def _model() -> str:
    return (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "text",
    [
        "token = '110201543" + ":AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsax'",
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "AWS = 'AKIA" + "ABCDEFGHIJKLMNOP'",
        "x = 'ghp_" + "a" * 36 + "'",
        "url: postgres" + "://lora:sesame-open@db/lora",
        "SECRET_KEY" + "=abcdefghijklmnopqrstuvwxyz",
    ],
)
def test_a_secret_is_found_and_not_shown(text: str) -> None:
    found = list(secret_scan.found_in("line\n" + text))
    assert found
    assert found[0][0] == 2
    assert all(len(digest) == 64 for _, _, digest in found)


def test_what_is_no_secret_is_none() -> None:
    plain = (
        "SECRET_KEY=\nTELEGRAM_BOT_TOKEN=\npostgres://user:${PASSWORD}@db/x\n12:30:45 sk-learn\n"
    )
    assert not list(secret_scan.found_in(plain))


def test_this_repository_holds_no_secret() -> None:
    assert secret_scan.main([]) == 0


def test_a_package_in_another_version_is_told() -> None:
    assert advisories.drifted({"pytest": "0.0.1", "no-such-package-here": "1"})
    assert "pytest" in advisories.pins()
