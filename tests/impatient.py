"""Pauses that are there for people and their machines, and that no test need wait for."""

import pytest

PAUSES: dict[str, object] = {
    "bot.presenter.DEBOUNCE_S": 0.02,
    "bot.presenter.LOOK_S": 0.1,
    "bot.notifier.LOOK_S": 0.05,
    "bot.courier.LOOK_S": 0.05,
    "bot.crier.LOOK_S": 0.1,
    "bot.janitor.LEAVING_S": 0.1,
    "bot.telegram.menus.LOOK_S": 0.1,
    "pipeline.worker.SWEEP_S": (0.05, 0.1),
    "pipeline.inspector.PAUSE_S": 0.05,
    "pipeline.twin.LOOK_S": 0.05,
}


def shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what runs in this process. A test that is about one of them sets it itself."""
    for name, value in PAUSES.items():
        monkeypatch.setattr(name, value)
