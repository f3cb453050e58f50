"""What is shown for a job, and that there are words for all of it."""

import ast
import re
from pathlib import Path

import pytest

from bot import job_screens, screens
from bot.delivery import Attach, Link, OnServer, PathOnly, way
from bot.estimate import start_times
from bot.frontend import Limits
from bot.render import render
from bot.screen import Button, Line, Screen, Slot
from bot.texts.catalog import Catalog, MissingTextError, nearest
from bot.web import words
from storage.job import Failure, JobState, Rejection
from storage.line import entry_of
from tests.jobs import make_job
from trainer.run import Failure as Cause
from trainer.run import Phase, Progress

ENGLISH = Catalog.load("en")
WIDE = Limits(text=10_000)
PACKAGES = ("bot", "lorabot", "pictures", "pipeline")
SOURCES = [path for package in PACKAGES for path in Path(package).rglob("*.py")]


def text_of(screen: Screen) -> str:
    return render(screen, ENGLISH, WIDE).text


@pytest.mark.parametrize("state", list(JobState))
def test_every_state_of_a_job_has_words(state: JobState) -> None:
    assert "mochi" in text_of(job_screens.status(make_job(state=state)))


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_of_a_failure_has_words(cause: Cause) -> None:
    job = make_job(state=JobState.FAILED, failure=Failure(code=f"fail.{cause}"))
    text = text_of(job_screens.status(job)) if cause is not Cause.KILLED else job.code
    assert job.code in text


def test_training_shows_bar_percent_time_and_speed() -> None:
    progress = Progress(
        phase=Phase.TRAINING, step=62, total=100, loss=0.081, steps_per_s=1.9, eta_s=290
    )
    text = text_of(job_screens.status(make_job(state=JobState.TRAINING, progress=progress)))
    for part in ("62 %", "about 5 min left", "step 62/100", "1.9 it/s", "loss 0.081"):
        assert part in text


def test_no_time_is_promised_after_a_few_steps() -> None:
    progress = Progress(phase=Phase.TRAINING, step=5, total=1000, eta_s=100)
    text = text_of(job_screens.status(make_job(state=JobState.TRAINING, progress=progress)))
    assert "left" not in text


@pytest.mark.parametrize(
    ("seconds", "said"), [(1, 1), (61, 2), (540, 9), (601, 15), (1500, 25), (1501, 30)]
)
def test_minutes_are_rounded_up(seconds: float, said: int) -> None:
    assert screens.minutes(seconds) == said


def test_rejected_photos_are_told_with_their_reasons() -> None:
    rejections = (Rejection(number=3, code="photo.duplicate", args={"other": 1}),)
    text = text_of(job_screens.status(make_job(rejections=rejections)))
    assert "#3 is the same as #1" in text


def test_a_waiting_job_says_when_and_that_nobody_is_there() -> None:
    assert "place 2" in text_of(job_screens.status(make_job(), place=2, starts_in_s=500))
    assert "9 min" in text_of(job_screens.status(make_job(), place=2, starts_in_s=500))
    assert "No training computer" in text_of(job_screens.status(make_job(), online=0))


def test_the_words_of_people_are_not_markup() -> None:
    line = Line(key="name.taken", args={"name": "**a**`b`\n" + "c" * 999})
    text = text_of(Screen(slot=Slot.TOAST, lines=(line,)))
    assert "*" not in text
    assert "`" not in text
    assert "\n" not in text
    assert len(text) < 300


def test_a_long_text_is_cut_to_what_the_network_takes() -> None:
    screen = Screen(slot=Slot.TOAST, lines=(Line(key="help.text"),) * 99)
    assert len(render(screen, ENGLISH, Limits(text=500)).text) == 500


def used_keys() -> set[str]:
    """Every string literal of the sources that looks like a key of the catalogue."""
    families = {key.partition(".")[0] for key in ENGLISH.texts}
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                head, dot, tail = node.value.partition(".")
                a_key = tail.replace("_", "").replace(".", "").isalpha() and tail != "json"
                if dot and head in families and a_key:
                    found.add(node.value)
    return found


def page_keys() -> set[str]:
    """What the page's templates say by themselves, and its script."""
    found = {f"web.{name}" for name in (*words.PLAIN, *words.COUNTED)}
    for path in Path(words.__file__).parent.glob("templates/*.html"):
        found |= set(re.findall(r'say\("([a-z_.]+)"', path.read_text(encoding="utf-8")))
    return found


def test_every_key_in_the_code_has_a_sentence() -> None:
    assert page_keys() <= set(ENGLISH.texts)
    assert len(used_keys()) > 60
    assert used_keys() - set(ENGLISH.texts) == set()


def test_every_sentence_is_used() -> None:
    composed = (
        "kind.",
        "status.",
        "phase.",
        "queue.",
        "fail.",
        "quality.",
        "reason.",
        "howto.",
        "tool.",
        "language.",
        "ask_setting.",
        "setting.",
        "now_quality.",
        "now_tool.",
        "now_pings.",
        "pings.",
        "choice.",
    )
    unused = set(ENGLISH.texts) - used_keys() - page_keys() - {"oops", "unknown"}
    assert {key for key in unused if not key.startswith(composed)} == set()


def test_a_missing_sentence_or_argument_fails_loudly() -> None:
    with pytest.raises(MissingTextError):
        ENGLISH.text("no.such.key")
    with pytest.raises(MissingTextError):
        ENGLISH.text("photo.broken")


def test_plurals_follow_the_language() -> None:
    assert ENGLISH.text("photos.so_far", {}, 1) == "1 photo so far."
    assert ENGLISH.text("photos.so_far", {}, 2) == "2 photos so far."
    assert nearest("xx-YY") == nearest("en-GB") == "en"


def test_the_delivery_ladder() -> None:
    telegram = Limits(out_file_bytes=50)
    assert way(50, telegram, "") == Attach()
    assert way(51, telegram, "https://x") == Link(base="https://x")
    assert way(51, telegram, "") == OnServer()
    assert way(1, Limits(links=True), "") == Link(base="")
    assert way(1, Limits(paths=True), "") == PathOnly()


def test_starts_are_estimated_over_all_workers() -> None:
    running = make_job(id="A", state=JobState.TRAINING, started_at=40.0)
    line = [entry_of(job) for job in (running, make_job(id="B"), make_job(id="C"))]
    starts, new = start_times(line, {"demo": 100.0}, workers=1, now=100.0)
    assert (starts, new) == ({"A": 0.0, "B": 40.0, "C": 140.0}, 240.0)
    starts, new = start_times(line, {"demo": 100.0}, workers=2, now=100.0)
    assert (starts, new) == ({"A": 0.0, "B": 0.0, "C": 40.0}, 100.0)


def test_labels_stay_short() -> None:
    button = Button(label="button.word", args={"word": "x" * 500}, verb="name")
    screen = Screen(slot=Slot.PANEL, lines=(Line(key="ask.name"),), buttons=((button,),))
    assert len(render(screen, ENGLISH, WIDE).buttons[0][0].label) <= 64
