"""The set-up script, as far as it goes without installing anything."""

import json
from pathlib import Path

import pytest

import run


def report(*names: str) -> str:
    return json.dumps({"install": [{"metadata": {"name": name}} for name in names]})


def test_a_cuda_build_is_recognised_by_what_comes_with_it() -> None:
    assert run.brings_cuda(report("torch", "nvidia-cublas"))
    assert not run.brings_cuda(report("torch", "sympy"))


def test_without_a_gpu_the_cuda_build_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip is played by a program that answers as pip does where only the CUDA build is offered."""
    monkeypatch.setattr(run, "has_nvidia_gpu", lambda: False)
    pip = ["python3", "-c", f"print({report('torch', 'nvidia-cudnn-cu13')!r})"]
    with pytest.raises(SystemExit, match="CPU build"):
        run.refuse_cuda(pip)
    monkeypatch.setattr(run, "has_nvidia_gpu", lambda: True)
    run.refuse_cuda(pip)


def test_a_changed_requirement_asks_for_a_new_set_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text("a")
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("b")
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "CONSTRAINTS", constraints)
    monkeypatch.setattr(run, "STAMP", tmp_path / "stamp")
    (tmp_path / "stamp").write_text(run.stamp_for(run.EXTRAS["run"]))
    assert run.is_set_up(run.EXTRAS["run"])
    assert not run.is_set_up(run.EXTRAS["dev"])
    constraints.write_text("c")
    assert not run.is_set_up(run.EXTRAS["run"])


def test_torch_is_pinned() -> None:
    pinned = run.CONSTRAINTS.read_text().splitlines()
    assert "torch==2.13.0" in pinned


def test_the_readme_begins_with_the_two_commands_and_a_picture() -> None:
    screen = (run.ROOT / "README.md").read_text().splitlines()[:30]
    assert "python3 run.py" in screen
    assert "python3 run.py test" in screen
    (picture,) = [line for line in screen if line.startswith("![")]
    assert (run.ROOT / picture.rpartition("(")[2].rstrip(")")).is_file()


def test_the_ci_runs_the_readmes_command() -> None:
    assert "python3 run.py test" in (run.ROOT / ".ci" / "run").read_text()


def test_every_setting_stands_in_the_example() -> None:
    from storage.settings import Settings

    example = (run.ROOT / ".env.example").read_text()
    advanced = {"lease_s", "drain_s", "max_attempts"}
    for name in set(Settings.model_fields) - advanced:
        assert f"\n{name.upper()}=" in example
