"""What a waiting job's chat shows beside its own row."""

from dataclasses import replace

import pytest

from bot.facts import Board
from bot.outlook import WAIT_FOR_WORKER_S, Outlook, outlook
from bot.screen import Line
from storage.access import Pause
from storage.line import entry_of
from tests.jobs import make_job

NOW = 2000.0
OLD = entry_of(make_job(id="A", created_at=NOW - 2 * WAIT_FOR_WORKER_S))
NEW = replace(OLD, created_at=NOW)
FRONT = Board(line=(OLD,), starts_in={"A": 300.0}, online=1, able=frozenset({"demo"}))


def test_place_and_start_come_from_the_line() -> None:
    assert outlook(OLD, FRONT, NOW).shown == (1, Line(key="start.in", args={"minutes": 5}))
    far = replace(FRONT, line=(), further=900, places={"A": 777})
    assert outlook(OLD, far, NOW).place == 777


def test_seconds_alone_are_no_news() -> None:
    soon, later = Outlook(place=2, starts_in_s=290.0), Outlook(place=2, starts_in_s=295.0)
    assert soon.shown == later.shown
    assert soon.shown != replace(later, place=1).shown


@pytest.mark.parametrize(
    ("board", "key"),
    [
        (replace(FRONT, online=0), "start.nobody"),
        (replace(FRONT, able=frozenset({"other"})), "start.unable"),
        (replace(FRONT, pause=Pause(since=NOW)), "paused.now"),
    ],
)
def test_what_keeps_it_waiting_is_said(board: Board, key: str) -> None:
    assert outlook(OLD, board, NOW).shown[1].key == key


def test_a_new_job_gives_workers_a_moment_to_be_seen() -> None:
    nobody = replace(FRONT, online=0, able=frozenset())
    assert outlook(NEW, nobody, NOW).shown[1].key == "start.in"
