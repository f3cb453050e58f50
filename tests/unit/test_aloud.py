"""What a group hears of somebody's trainings: how far they are, and nothing that names them."""

from dataclasses import replace

import pytest

from bot import aloud
from bot.conversation import step
from bot.draft import Conversation, State
from bot.events import Choice, Command, Show
from bot.facts import Board, Facts
from bot.frontend import Limits, Message
from bot.office import Door
from bot.render import render
from bot.texts.catalog import Catalog, languages
from storage.access import Pause, Standing
from storage.job import Job, JobState
from storage.line import entry_of
from tests.jobs import make_job
from trainer.run import Phase, Progress

GROUP = Limits(start_link="https://t.me/bot?start=")
HALF = Progress(phase=Phase.TRAINING, step=10, total=20, eta_s=250.0, loss=0.08)
FACTS = Facts(
    now=0.0, new_id="D" * 26, person="tg:1", first_name="Ada", board=Board(online=1), in_group=True
)
DRAFT = Conversation(state=State.NAME, draft="D" * 26, name="secretdraft")


def job(state: JobState, **more: object) -> Job:
    return make_job(person="tg:1", chat="tg:1", name="secretname", state=state, **more)


def told(facts: Facts, language: str = "en", limits: Limits = GROUP) -> Message:
    return render(aloud.status(facts), Catalog.load(language), limits)


def lines(*jobs: Job, board: Board = FACTS.board) -> list[str]:
    return told(replace(FACTS, jobs=jobs, board=board)).text.splitlines()


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (job(JobState.HELD), "⏳ not in the queue yet"),
        (job(JobState.PREPARING, prepared=3), "✂️ preparing"),
        (job(JobState.TRAINING), "🏋️ in training"),
        (job(JobState.TRAINING, progress=HALF), "🏋️ 50 % · about 5 min left"),
        (job(JobState.TRAINING, progress=replace(HALF, eta_s=None)), "🏋️ 50 %"),
        (job(JobState.TRAINING, progress=replace(HALF, step=1)), "🏋️ 5 %"),
        (job(JobState.COPYING), "📦 nearly there: the file is being packed"),
        (job(JobState.DELIVERING), "📦 nearly there: the file is being packed"),
    ],
)
def test_each_training_is_one_line(one: Job, said: str) -> None:
    assert lines(one) == ["Your training:", said]


def test_who_waits_hears_the_place_and_about_when() -> None:
    one = job(JobState.QUEUED)
    board = Board(line=(entry_of(one),), online=1, starts_in={one.id: 500.0})
    assert lines(one, board=board)[1:] == ["⏳ in the queue, place 1 · starts in about 9 min"]
    assert lines(one, board=replace(board, starts_in={}))[1:] == ["⏳ in the queue, place 1"]
    unable = replace(board, able=frozenset({"another"}))
    assert lines(one, board=unable)[1:] == ["⏳ in the queue, place 1"]


def test_what_holds_them_up_is_said_once() -> None:
    two = (job(JobState.QUEUED), job(JobState.QUEUED))
    away = Board(line=tuple(map(entry_of, two)), online=0, starts_in={two[1].id: 500.0})
    said = lines(*two, board=away)
    assert said[0] == "Your 2 trainings:"
    assert said[1:3] == ["⏳ in the queue, place 1", "⏳ in the queue, place 2"]
    assert said[3:] == ["No training computer is online right now."]
    paused = replace(away, online=1, pause=Pause(since=0.0))
    assert lines(*two, board=paused)[3:] == ["Training is paused for now. I'll keep your place."]


def test_the_rest_is_one_press_away_in_private() -> None:
    (row,) = told(FACTS).buttons
    assert [(one.url, one.data) for one in row] == [("https://t.me/bot?start=status", "")]
    assert told(FACTS, limits=Limits()).buttons == ()


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("state", list(JobState))
def test_nothing_names_a_model_or_a_draft_or_a_person(state: JobState, language: str) -> None:
    facts = replace(FACTS, jobs=(job(state, progress=HALF),), is_admin=True)
    _, (shown,) = step(DRAFT, Command("status"), facts)
    assert isinstance(shown, Show)
    text = render(shown.screen, Catalog.load(language), GROUP).text
    assert text
    assert not any(word in text for word in ("secret", "Ada", "mochi", "0.08"))


def test_only_what_is_for_all_is_answered_and_a_draft_stays_as_it_is() -> None:
    for event in (Command("models"), Command("delete"), Choice("stopnow", "J"), Command("cancel")):
        assert step(DRAFT, event, FACTS) == (DRAFT, ())
    assert step(DRAFT, Command("status"), FACTS)[0] == DRAFT


def test_whoever_is_not_let_in_hears_nothing() -> None:
    outside = replace(FACTS, door=Door(mode="invite", standing=Standing.DENIED))
    assert step(DRAFT, Command("status"), outside) == (DRAFT, ())
