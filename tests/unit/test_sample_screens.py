"""What is shown of a running training beside its bar, and who may steer it."""

from dataclasses import replace

import pytest

from bot import job_screens, sample_screens
from bot.conversation import step
from bot.draft import Conversation
from bot.events import Action, AskFinish, AskSamples, CancelJob, Choice, Show
from bot.facts import Facts
from bot.frontend import Limits
from bot.render import render
from bot.screen import Screen, Shelved
from bot.texts.catalog import Catalog
from storage.job import Job, JobState, Samples, Taken
from tests.jobs import PARAMS, make_job
from trainer.run import Phase, Progress

ENGLISH = Catalog.load("en")
LIMITS = Limits(text=10_000, caption=1024)
AT_62 = Progress(phase=Phase.TRAINING, step=62, total=100, steps_per_s=2.0, eta_s=60.0)
TRAINING = make_job(state=JobState.TRAINING, progress=AT_62, params=replace(PARAMS, max_steps=100))


def text_of(screen: Screen | None) -> str:
    assert screen is not None
    return render(screen, ENGLISH, LIMITS).text


def labels(screen: Screen) -> list[str]:
    return [one.label for row in render(screen, ENGLISH, LIMITS).buttons for one in row]


def press(verb: str, job: Job | None, person: str = "web:me", **more: bool) -> tuple[Action, ...]:
    facts = Facts(now=0.0, new_id="N", person=person, pressed=job, **more)  # type: ignore[arg-type]
    _, actions = step(Conversation(), Choice(verb, job.id if job else "X"), facts)
    return actions


def said(actions: tuple[Action, ...]) -> list[str]:
    return [one.screen.lines[0].key for one in actions if isinstance(one, Show)]


def test_a_training_can_be_looked_at_and_stopped() -> None:
    assert labels(job_screens.status(TRAINING)) == ["🖼 Sample now", "📉 Loss chart", "Stop…"]
    # Before its first step there is nothing to look at and nothing to keep.
    loading = replace(TRAINING, progress=Progress(phase=Phase.LOADING))
    assert labels(job_screens.status(loading)) == ["Cancel"]
    assert labels(job_screens.ask_stop(loading)) == ["Stop it", "Go on"]


def test_the_bar_stays_while_samples_are_drawn() -> None:
    drawing = replace(TRAINING, progress=replace(AT_62, phase=Phase.SAMPLING))
    text = text_of(job_screens.status(drawing))
    assert "62 %" in text
    assert "drawing samples" in text
    assert "left" not in text


def test_before_a_stop_the_loss_is_named() -> None:
    screen = job_screens.ask_stop(TRAINING)
    assert text_of(screen) == "Stop mochi at 62 %?"
    assert labels(screen) == ["Stop, keep this", "Stop, throw away", "Go on"]
    ending = replace(TRAINING, asked_finish=True)
    assert labels(job_screens.ask_stop(ending)) == ["Stop it", "Go on"]
    assert "keeps what it has learned" in text_of(job_screens.status(ending))


@pytest.mark.parametrize(
    ("verb", "wanted"),
    [("samples", AskSamples), ("stopkeep", AskFinish), ("stopnow", CancelJob)],
)
def test_each_press_is_answered_and_only_the_owners_counts(verb: str, wanted: type) -> None:
    actions = press(verb, TRAINING)
    assert [type(one) for one in actions] == [wanted, Show]
    assert {wanted, Show} <= {type(one) for one in press(verb, TRAINING, "tg:9", is_admin=True)}
    assert said(press(verb, TRAINING, "tg:9")) == ["old.button"]
    assert [type(one) for one in press(verb, TRAINING, "tg:9")] == [Show]
    assert said(press(verb, None)) == ["old.button"]


@pytest.mark.parametrize("verb", ["samples", "stopkeep"])
@pytest.mark.parametrize("state", [one for one in JobState if one is not JobState.TRAINING])
def test_what_does_not_train_is_not_asked(verb: str, state: JobState) -> None:
    (action,) = press(verb, replace(TRAINING, state=state))
    assert said((action,))[0] in {"stop.late", "stop.not_now"}


def test_the_chart_is_shown_to_its_owner_when_there_is_one() -> None:
    assert said(press("chart", TRAINING)) == ["chart.none"]
    assert said(press("chart", TRAINING, "tg:9")) == ["old.button"]
    (action,) = press("chart", replace(TRAINING, chart="samples/J/chart.jpg"))
    assert isinstance(action, Show)
    assert action.screen.picture == Shelved("samples/J/chart.jpg", stay=True)


def test_samples_say_what_was_asked_for_and_when() -> None:
    assert sample_screens.samples(TRAINING) is None
    drawn = replace(TRAINING, samples=Samples(step=50, grid="g.jpg", small="s.jpg", likeness=0.87))
    screen = sample_screens.samples(drawn)
    text = text_of(screen)
    assert screen is not None
    assert screen.picture == Shelved("g.jpg", "s.jpg", base="demo")
    assert not screen.notify
    for part in ("samples after 50 %", "1 · mochix person", "4 · a person", "same start", "87 %"):
        assert part in text
    plain = replace(TRAINING, samples=Samples(step=50, grid="g.jpg"))
    assert "Likeness" not in text_of(sample_screens.samples(plain))


@pytest.mark.parametrize(
    ("taken", "stopped", "words"),
    [
        (None, False, ""),
        (Taken(step=70, best=70, last=100, by="faces", compared=4), False, "no longer grew"),
        (Taken(step=70, best=70, last=100, by="held_out", compared=4), False, "by heart"),
        (Taken(step=100, best=100, last=100, by="faces", compared=4), False, "last version"),
        (Taken(step=100, best=50, last=100, by="likeness", compared=4), False, "shorter"),
        (Taken(step=100, best=100, last=100, by="likeness", compared=1), False, ""),
        (Taken(step=100, best=100, last=100), False, ""),
        (Taken(step=62, best=62, last=62, by="likeness", compared=3), True, "up to 62 %"),
    ],
)
def test_the_result_says_which_version_it_is_where_there_was_a_choice(
    taken: Taken | None, stopped: bool, words: str
) -> None:
    job = replace(TRAINING, taken=taken, asked_finish=stopped)
    lines = sample_screens.which_step(job)
    assert len(lines) == bool(words)
    for line in lines:
        assert words in ENGLISH.text(line.key, line.args)
